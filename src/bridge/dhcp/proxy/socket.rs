//! The sockets of a client, opened in the container's network namespace.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6, UdpSocket};

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use crate::bridge::dhcp::client::{Transmit, packet};
use crate::bridge::netns::Netns;
use crate::sys::link_layer;

/// The ports of RFC 8415, and the address of all its servers on a link.
const CLIENT6: u16 = 546;
const SERVERS6: (Ipv6Addr, u16) = (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2), 547);
/// No message of a server is longer than a packet.
const LONGEST: usize = 65536;
/// What waits to be read may take so much of the kernel's memory, in bytes.
const QUEUE: usize = 128 << 10;
const EVERYBODY: [u8; 6] = [0xff; 6];

/// An interface, and the socket that its messages come by.
pub struct Wire {
    socket: tokio::net::UdpSocket,
    interface: String,
    index: u32,
    v6: bool,
}

impl Wire {
    /// Opens the socket. For IPv6 the interface needs its link-local address, which is not there at once: EADDRNOTAVAIL.
    pub fn open(netns: &Netns, interface: &str, index: u32, v6: bool) -> io::Result<Wire> {
        let open = || if v6 { open6(interface, index, &link_local(index)?) } else { open4(index) };
        let socket = netns.inside(open).map_err(|error| io::Error::other(error.to_string()))??;
        socket.set_nonblocking(true)?;
        let _ = socket.set_recv_buffer_size(QUEUE);
        // A packet socket is none of UDP, but is waited for and read in the same way.
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        Ok(Wire { socket, interface: interface.into(), index, v6 })
    }

    /// The next message.
    pub async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(LONGEST, 0);
        loop {
            let length = self.socket.recv(buffer).await?;
            let message = if self.v6 { Some(&buffer[..length]) } else { packet::to_client(&buffer[..length]) };
            if let Some(message) = message {
                return Ok(message.to_vec());
            }
        }
    }

    /// Sends a message. One that the kernel cannot route goes to everybody on the link.
    pub fn send(&self, netns: &Netns, message: &Transmit) -> io::Result<()> {
        match message {
            Transmit::Multicast(bytes) => {
                let to = SocketAddrV6::new(SERVERS6.0, SERVERS6.1, 0, self.index);
                SockRef::from(&self.socket).send_to(bytes, &to.into()).map(drop)
            }
            Transmit::Broadcast(from, bytes) => self.broadcast(*from, Ipv4Addr::BROADCAST, bytes),
            Transmit::Unicast(from, to, bytes) => {
                let sent = netns.inside(|| unicast(&self.interface, *from, *to, bytes));
                match sent {
                    Ok(Ok(())) => Ok(()),
                    _ => self.broadcast(*from, *to, bytes),
                }
            }
        }
    }

    fn broadcast(&self, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
        let packet = packet::to_servers(from, to, bytes).ok_or(Errno::EMSGSIZE)?;
        SockRef::from(&self.socket).send_to(&packet, &link_layer::ipv4_on(self.index, EVERYBODY)).map(drop)
    }
}

/// A packet socket that hears what comes to the client's port, and nothing else of the container's traffic.
fn open4(index: u32) -> io::Result<Socket> {
    let op = |code: u32, jt: u8, jf: u8, k: u32| SockFilter::new(code as u16, jt, jf, k);
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET};
    let filter = [
        // The protocol is UDP,
        op(BPF_LD | BPF_B | BPF_ABS, 0, 0, 9),
        op(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 17),
        // the packet is whole,
        op(BPF_LD | BPF_H | BPF_ABS, 0, 0, 6),
        op(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x3fff),
        // and behind its header the port is the client's.
        op(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0),
        op(BPF_LD | BPF_H | BPF_IND, 0, 0, 2),
        op(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, packet::CLIENT_PORT.into()),
        op(BPF_RET | BPF_K, 0, 0, LONGEST as u32),
        op(BPF_RET | BPF_K, 0, 0, 0),
    ];
    // Without a protocol it hears nothing until it is bound.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
    socket.attach_filter(&filter)?;
    socket.bind(&link_layer::ipv4_on(index, EVERYBODY))?;
    Ok(socket)
}

fn open6(interface: &str, index: u32, address: &Ipv6Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&SocketAddrV6::new(*address, CLIENT6, 0, index).into())?;
    Ok(socket)
}

/// The interface's link-local address.
fn link_local(index: u32) -> io::Result<Ipv6Addr> {
    let addresses = crate::bridge::netlink::Route::open()?.addresses(index)?;
    let found = addresses.iter().find_map(|address| match address.net {
        ipnet::IpNet::V6(net) if net.addr().is_unicast_link_local() => Some(net.addr()),
        _ => None,
    });
    found.ok_or_else(|| Errno::EADDRNOTAVAIL.into())
}

fn unicast(interface: &str, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(from, packet::CLIENT_PORT).into())?;
    UdpSocket::from(socket).send_to(bytes, (to, packet::SERVER_PORT)).map(drop)
}
