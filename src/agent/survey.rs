//! Which ports are in use in the network namespace (sock_diag(7)).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use nix::errno::Errno;
use rnet_stack::Family;

use super::ports::{Port, Ports};
use crate::config::{LoopbackSource, Network, Protocol};

/// linux/sock_diag.h, linux/netlink.h
const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_HEADER: usize = 16;
/// linux/inet_diag.h: sizes of `inet_diag_req`, `inet_diag_req_v2` and `inet_diag_msg`, and the attribute that tells of IPV6_V6ONLY.
const REQUEST_TCP: usize = 60;
const REQUEST: usize = 56;
const SOCKET: usize = 72;
const INET_DIAG_SKV6ONLY: u16 = 11;
/// The states (net/tcp_states.h) of sockets that wait for anybody: TCP that listens, and UDP that is not connected.
const LISTEN: u8 = 10;
const CLOSE: u8 = 7;

/// Enough for what the kernel puts into one message.
const BUFFER: usize = 64 << 10;

/// The addresses at which sockets are reached from outside.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    own: [Option<IpAddr>; 2],
    /// Whether those at the container's loopback are.
    loopback: bool,
}

impl Addresses {
    fn of(network: &Network) -> Addresses {
        let own = [network.ipv4.map(|subnet| subnet.address.into()), network.ipv6.map(|subnet| subnet.address.into())];
        Addresses { own, loopback: network.loopback_source == LoopbackSource::Loopback }
    }

    fn reach(&self, family: Family, address: IpAddr) -> bool {
        let own = self.own[usize::from(family == Family::V6)];
        let is_loopback = self.loopback && address == super::sockets::loopback(family);
        own.is_some() && (own == Some(address) || is_loopback)
    }
}

/// Looks at the sockets of the namespace that it was made in.
pub struct Survey {
    socket: Socket,
    buffer: Vec<u8>,
    /// What was seen last, in the kernel's order.
    seen: Vec<Port>,
    wanted: Vec<Protocol>,
    addresses: Addresses,
    /// Ports of which the kernel gives one to each UDP socket that asks for none: such a socket is a client's.
    clients: RangeInclusive<u16>,
}

impl Survey {
    /// To look for sockets that are reached at the container's address.
    ///
    /// # Errors
    /// When there is no netlink socket to be had.
    pub fn open(network: &Network, wanted: Vec<Protocol>) -> io::Result<Survey> {
        Survey::at(Addresses::of(network), wanted)
    }

    /// To look for sockets that are reached at the loopback address, in the families that a network has.
    ///
    /// # Errors
    /// When there is no netlink socket to be had.
    pub fn of_loopback(network: &Network, wanted: Vec<Protocol>) -> io::Result<Survey> {
        let own = [(Family::V4, network.ipv4.is_some()), (Family::V6, network.ipv6.is_some())];
        let own = own.map(|(family, has)| has.then(|| super::sockets::loopback(family)));
        Survey::at(Addresses { own, loopback: false }, wanted)
    }

    fn at(addresses: Addresses, wanted: Vec<Protocol>) -> io::Result<Survey> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let mut ends = range.split_whitespace().filter_map(|word| word.parse().ok());
        let clients = ends.next().unwrap_or(32768)..=ends.next().unwrap_or(60999);
        Ok(Survey { socket, buffer: Vec::with_capacity(BUFFER), seen: Vec::new(), wanted, addresses, clients })
    }

    /// Puts the ports that are in use into `ports`; says whether there may be others than the last time.
    ///
    /// # Errors
    /// When the kernel has no sock_diag for a protocol that is wanted.
    pub fn take(&mut self, ports: &mut Ports) -> nix::Result<bool> {
        let before = std::mem::take(&mut self.seen);
        self.seen.reserve(before.len());
        self.dump_all()?;
        if self.seen == before {
            return Ok(false);
        }
        ports.clear();
        self.seen.iter().for_each(|port| ports.set(*port, true));
        Ok(true)
    }

    fn dump_all(&mut self) -> nix::Result<()> {
        for place in 0..self.wanted.len() {
            match self.wanted[place] {
                Protocol::Tcp => self.dump(&request_tcp(), Protocol::Tcp)?,
                Protocol::Udp => {
                    for family in [libc::AF_INET, libc::AF_INET6] {
                        self.dump(&request_udp(family as u8), Protocol::Udp)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn dump(&mut self, request: &[u8], protocol: Protocol) -> nix::Result<()> {
        self.socket.send(request, 0).map_err(errno)?;
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0).map_err(errno)?;
            let mut rest = self.buffer.as_slice();
            while let Some((kind, body, next)) = message(rest) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        // A kernel without IPv6 has nothing to tell of it.
                        return if code == 0 || -code == libc::ENOENT { Ok(()) } else { Err(Errno::from_raw(-code)) };
                    }
                    _ => note(body, protocol, &self.addresses, &self.clients, &mut self.seen),
                }
                rest = next;
            }
        }
    }
}

/// Notes the port of one socket, where it is reached at the container's address.
fn note(body: &[u8], protocol: Protocol, addresses: &Addresses, clients: &RangeInclusive<u16>, seen: &mut Vec<Port>) {
    let Some((number, address, v6_only)) = listener(body) else { return };
    if protocol == Protocol::Udp && clients.contains(&number) {
        return;
    }
    let reached = match address {
        IpAddr::V6(any) if any.is_unspecified() => [!v6_only, true],
        any if any.is_unspecified() => [true, false],
        address => [addresses.reach(Family::V4, address.to_canonical()), addresses.reach(Family::V6, address)],
    };
    let families = [Family::V4, Family::V6].into_iter().zip(reached).filter(|(_, is_reached)| *is_reached);
    seen.extend(families.map(|(family, _)| Port { protocol, family, number }));
}

/// All TCP sockets that listen, of both families at once, which only the older request does (`inet_diag_req`).
fn request_tcp() -> Vec<u8> {
    let mut request = header(TCPDIAG_GETSOCK, REQUEST_TCP);
    request.resize(NLMSG_HEADER + REQUEST_TCP - 8, 0);
    request.extend((1u32 << LISTEN).to_ne_bytes());
    request.extend([0; 4]);
    request
}

/// The UDP sockets of a family that are not connected (`inet_diag_req_v2`).
fn request_udp(family: u8) -> Vec<u8> {
    let mut request = header(SOCK_DIAG_BY_FAMILY, REQUEST);
    request.extend([family, libc::IPPROTO_UDP as u8, 0, 0]);
    request.extend((1u32 << CLOSE).to_ne_bytes());
    request.resize(NLMSG_HEADER + REQUEST, 0);
    request
}

fn header(kind: u16, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(NLMSG_HEADER + length);
    header.extend(((NLMSG_HEADER + length) as u32).to_ne_bytes());
    header.extend(kind.to_ne_bytes());
    header.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    header.extend([0; 8]);
    header
}

/// The first message: its type, its body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(NLMSG_HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// Port and address of a socket, and whether it is for IPv6 only.
fn listener(body: &[u8]) -> Option<(u16, IpAddr, bool)> {
    let (socket, mut attributes) = body.split_at_checked(SOCKET)?;
    let number = u16::from_be_bytes(*socket.get(4..)?.first_chunk()?);
    let address = socket.get(8..)?;
    let address = match libc::c_int::from(socket[0]) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*address.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*address.first_chunk::<16>()?)),
        _ => return None,
    };
    let mut v6_only = false;
    while let Some(length) = attributes.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length)))
        && length >= 4
    {
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        if kind == INET_DIAG_SKV6ONLY {
            v6_only = attributes.get(4).is_some_and(|value| *value != 0);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (number != 0).then_some((number, address, v6_only))
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_messages_are_nothing() {
        let mut whole = vec![0; NLMSG_HEADER + SOCKET + 8];
        let length = whole.len() as u32;
        whole[..4].copy_from_slice(&length.to_ne_bytes());
        whole[NLMSG_HEADER] = libc::AF_INET as u8;
        whole[NLMSG_HEADER + 5] = 80;
        whole[NLMSG_HEADER + SOCKET] = 5;
        whole[NLMSG_HEADER + SOCKET + 2] = INET_DIAG_SKV6ONLY as u8;
        whole[NLMSG_HEADER + SOCKET + 4] = 1;
        let (_, body, rest) = message(&whole).unwrap();
        assert_eq!((listener(body), rest.len()), (Some((80, Ipv4Addr::UNSPECIFIED.into(), true)), 0));
        for length in 0..whole.len() {
            assert!(message(&whole[..length]).is_none());
        }
        for length in 0..SOCKET {
            assert_eq!(listener(&body[..length]), None);
        }
    }
}
