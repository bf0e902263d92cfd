//! The container's kernel: a second smoltcp with an interface of its own, behind a tap device with offloads.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use rnet_stack::frame::checksum::{self, Sum};
use rnet_stack::frame::{Checksum, ETHERNET_HEADER_LEN, Gso, Offload, TCP};
use rnet_stack::{Duration, Instant};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{HardwareAddress, IpCidr};

use crate::support::segment::{GUEST_MAC, LINK_MAC};

/// The container's network stack.
pub struct Guest {
    iface: Interface,
    port: Port,
    pub sockets: SocketSet<'static>,
    address: IpAddr,
    frames_sent: u64,
    /// The highest acknowledgement that came for each port.
    acknowledged: HashMap<u16, u32>,
}

impl Guest {
    pub fn new(address: IpAddr, mtu: u16, seed: u64) -> Guest {
        let mut port = Port { received: VecDeque::new(), sent: VecDeque::new(), mtu: mtu.into() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut iface = Interface::new(config, &mut port, Instant::ZERO);
        iface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address.into(), 24)).expect("room for one address");
        });
        Guest {
            iface,
            port,
            sockets: SocketSet::new(Vec::new()),
            address,
            frames_sent: 0,
            acknowledged: HashMap::new(),
        }
    }

    /// Opens a connection with buffers of `buffer` bytes.
    pub fn connect(&mut self, port: u16, to: SocketAddr, buffer: usize) -> SocketHandle {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; buffer]), SocketBuffer::new(vec![0; buffer]));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(Duration::from_millis(1)));
        let remote = (smoltcp::wire::IpAddress::from(to.ip()), to.port());
        let local = (smoltcp::wire::IpAddress::from(self.address), port);
        socket.connect(self.iface.context(), remote, local).expect("a legal destination");
        self.sockets.add(socket)
    }

    /// Waits for a connection with buffers of `buffer` bytes.
    pub fn listen(&mut self, port: u16, buffer: usize) -> SocketHandle {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; buffer]), SocketBuffer::new(vec![0; buffer]));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(Duration::from_millis(1)));
        // As a kernel does, it uses timestamps with those who do.
        socket.set_tsval_generator(Some(|| 7));
        socket.listen(port).expect("a legal port");
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Takes an IP packet from the link.
    ///
    /// A repeated acknowledgement that finds nothing but a FIN underway is left out, as it stops smoltcp's timer: the
    /// container of the simulation is not to stall where a kernel would not.
    pub fn receive(&mut self, packet: Vec<u8>) {
        if !self.repeats(&packet) {
            self.port.received.push_back(packet);
        }
    }

    fn repeats(&mut self, packet: &[u8]) -> bool {
        let ip_len = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let Some(tcp) = packet.get(ip_len..).filter(|tcp| tcp.len() >= 20) else { return false };
        let port = u16::from_be_bytes([tcp[2], tcp[3]]);
        let ack = u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]);
        let bare = tcp.len() == usize::from(tcp[12] >> 4) * 4 && tcp[13] == 0x10;
        let highest = self.acknowledged.entry(port).or_insert(ack.wrapping_sub(1));
        let news = (ack.wrapping_sub(*highest) as i32) > 0 || tcp[13] & 2 != 0;
        if news {
            *highest = ack;
        }
        let ending = self.sockets.iter().any(|(_, socket)| {
            let smoltcp::socket::Socket::Tcp(socket) = socket;
            socket.local_endpoint().is_some_and(|local| local.port == port)
                && socket.send_queue() == 0
                && matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck)
        });
        bare && !news && ending
    }

    /// Lets the kernel work; returns the frames that it sent.
    pub fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.iface.poll(now, &mut self.port, &mut self.sockets);
        self.port
            .sent
            .drain(..)
            .map(|packet| {
                let mut frame = Vec::with_capacity(ETHERNET_HEADER_LEN + packet.len());
                frame.extend_from_slice(&LINK_MAC.0);
                frame.extend_from_slice(&GUEST_MAC.0);
                frame.extend_from_slice(if packet[0] >> 4 == 4 { &[8, 0] } else { &[0x86, 0xdd] });
                frame.extend_from_slice(&packet);
                frame
            })
            .collect()
    }

    /// What the device says about the next frame: checksums are left to it and summed in turns.
    pub fn offload(&mut self, frame: &[u8]) -> Offload {
        self.frames_sent += 1;
        if self.frames_sent.is_multiple_of(2) {
            return Offload::default();
        }
        let start = ETHERNET_HEADER_LEN + if frame[ETHERNET_HEADER_LEN] >> 4 == 4 { 20 } else { 40 };
        Offload { checksum: Checksum::Partial { start: start as u16, offset: 16 }, ..Offload::default() }
    }

    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        self.iface.poll_at(now, &self.sockets)
    }
}

/// Does what a tap device does to a frame from the stack: sums, and cuts to segments. Returns IP packets.
pub fn deliver(frame: &[u8], offload: Offload, mtu: usize) -> Vec<Vec<u8>> {
    assert_eq!(&frame[..6], &GUEST_MAC.0, "every frame is for the container");
    assert_eq!(&frame[6..12], &LINK_MAC.0);
    let packet = &frame[ETHERNET_HEADER_LEN..];
    let ip_len = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let Checksum::Partial { start, offset } = offload.checksum else {
        assert!(packet.len() <= mtu);
        return vec![packet.to_vec()];
    };
    assert_eq!((usize::from(start), offset), (ETHERNET_HEADER_LEN + ip_len, 16));
    let partial = u16::from_be_bytes([packet[ip_len + 16], packet[ip_len + 17]]);
    let pseudo = pseudo_header(packet, ip_len, packet.len() - ip_len);
    assert_eq!(partial, pseudo.partial(), "the pseudo-header's sum stands in the checksum field");
    let header_len = ip_len + usize::from(packet[ip_len + 12] >> 4) * 4;
    let payload = &packet[header_len..];
    if offload.gso == Gso::None {
        assert!(packet.len() <= mtu, "{} bytes do not fit an MTU of {mtu}", packet.len());
        return vec![segment(packet, ip_len, header_len, 0, payload, true)];
    }
    assert_eq!(offload.gso == Gso::Tcp4, ip_len == 20);
    assert_eq!(usize::from(offload.header_len), ETHERNET_HEADER_LEN + header_len);
    let size = usize::from(offload.gso_size);
    assert!(header_len + size <= mtu && payload.len() > size);
    let count = payload.len().div_ceil(size);
    let cut = |(n, piece)| segment(packet, ip_len, header_len, n * size, piece, n + 1 == count);
    payload.chunks(size).enumerate().map(cut).collect()
}

fn pseudo_header(packet: &[u8], ip_len: usize, len: usize) -> Sum {
    let addresses = if ip_len == 20 { &packet[12..20] } else { &packet[8..40] };
    checksum::sum(addresses) + Sum::word(TCP.into()) + Sum::word(len as u16)
}

fn segment(packet: &[u8], ip_len: usize, header_len: usize, at: usize, payload: &[u8], last: bool) -> Vec<u8> {
    let mut out = packet[..header_len].to_vec();
    out.extend_from_slice(payload);
    let len = out.len();
    if ip_len == 20 {
        out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        out[10..12].fill(0);
        let sum = checksum::sum(&out[..20]).checksum();
        out[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        out[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
    }
    let tcp = &mut out[ip_len..];
    let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(at as u32);
    tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    if !last {
        // FIN and PSH belong to the last segment only.
        tcp[13] &= !0x09;
    }
    tcp[16..18].fill(0);
    let sum = (pseudo_header(&out, ip_len, len - ip_len) + checksum::sum(&out[ip_len..])).checksum();
    out[ip_len + 16..ip_len + 18].copy_from_slice(&sum.to_be_bytes());
    out
}

struct Port {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Room<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}
