//! One smoltcp interface for all flows, fed one packet at a time.
//!
//! smoltcp looks at every socket of a set for every packet, so each flow has a set of its own with one socket in it, and
//! the interface, which holds no per-flow state with `Medium::Ip` and any-IP, takes the set as an argument.

use smoltcp::iface::{Config, Context, Interface, SocketSet};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::HardwareAddress;

use super::endpoint::ACK_DELAY;
use super::reset;
use super::timestamps::TimestampClock;
use crate::edge::HEADROOM;
use crate::frame::ETHERNET_HEADER_LEN;
use crate::{Duration, Instant};

/// Where an IP packet begins in the buffer that packets are emitted to.
pub(crate) const IP_START: usize = HEADROOM + ETHERNET_HEADER_LEN;

/// The largest IP packet.
const IP_MAX: usize = 65535;

/// The shared interface and the buffer that it emits packets to.
pub(crate) struct Engine {
    iface: Interface,
    buffer: Box<[u8]>,
    /// Room for a packet that smoltcp is shown otherwise than it came.
    pub(crate) shown: Vec<u8>,
    timestamps: TimestampClock,
}

impl Engine {
    pub(crate) fn new(seed: u64, timestamps: TimestampClock, now: Instant) -> Engine {
        let mut buffer = vec![0; IP_START + IP_MAX].into_boxed_slice();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut iface = Interface::new(config, &mut OnePacket::new(None, &mut buffer), now);
        iface.set_any_ip(true);
        Engine { iface, buffer, shown: Vec::new(), timestamps }
    }

    /// What a socket needs to connect. A connection's timestamps are later than those of all that were opened before.
    pub(crate) fn context(&mut self) -> &mut Context {
        self.timestamps.advance();
        self.iface.context()
    }

    /// Feeds a packet to a flow's socket; returns the length of the IP packet that answers it at once, if any.
    pub(crate) fn feed(&mut self, now: Instant, set: &mut SocketSet<'static>, packet: &[u8]) -> Option<usize> {
        self.timestamps.show(now);
        let mut device = OnePacket::new(Some(packet), &mut self.buffer);
        self.iface.poll_ingress_single(now, &mut device, set);
        device.written()
    }

    /// Feeds the packet in [`Engine::shown`].
    pub(crate) fn feed_shown(&mut self, now: Instant, set: &mut SocketSet<'static>) -> Option<usize> {
        let Engine { iface, buffer, shown, timestamps } = self;
        timestamps.show(now);
        let mut device = OnePacket::new(Some(shown), buffer);
        iface.poll_ingress_single(now, &mut device, set);
        device.written()
    }

    /// Writes the reset that a packet without a flow calls for; returns its length.
    pub(crate) fn refuse(&mut self, packet: &[u8]) -> Option<usize> {
        reset::answer(packet, &mut self.buffer[IP_START..])
    }

    /// Lets a flow's socket emit one packet; returns its length.
    pub(crate) fn emit(&mut self, now: Instant, set: &mut SocketSet<'static>) -> Option<usize> {
        self.timestamps.show(now);
        let mut device = OnePacket::new(None, &mut self.buffer);
        self.iface.poll_egress(now, &mut device, set);
        device.written()
    }

    /// Lets it emit as it would when the delay of acknowledgements is over.
    pub(crate) fn emit_delayed(&mut self, now: Instant, set: &mut SocketSet<'static>) -> Option<usize> {
        // Timestamps stay at the present: one that goes back later makes a segment look like an old one (RFC 7323 section 5).
        self.timestamps.show(now);
        let mut device = OnePacket::new(None, &mut self.buffer);
        self.iface.poll_egress(now + ACK_DELAY, &mut device, set);
        device.written()
    }

    /// When the socket next wants to be asked for a packet without anything having come in.
    pub(crate) fn deadline(&mut self, now: Instant, set: &SocketSet<'static>) -> Option<Instant> {
        // A socket that wants the turn at once although it has just had it would spin; let it wait for a moment.
        self.iface.poll_at(now, set).map(|at| if at <= now { now + Duration::from_millis(1) } else { at })
    }

    /// The TCP segment of the emitted packet of `len` bytes.
    pub(crate) fn segment(&mut self, len: usize) -> &mut [u8] {
        let packet = self.buffer(len).get_mut(IP_START..).unwrap_or_default();
        let header_len = if packet.first().is_some_and(|first| first >> 4 == 6) { 40 } else { 20 };
        packet.get_mut(header_len..).unwrap_or_default()
    }

    /// The emitted packet of `len` bytes, with room for an Ethernet header and the edge's header before it.
    pub(crate) fn buffer(&mut self, len: usize) -> &mut [u8] {
        &mut self.buffer[..(IP_START + len).min(IP_START + IP_MAX)]
    }
}

/// A device that holds one packet to be received and has room for one to be sent.
struct OnePacket<'p, 'b> {
    incoming: Option<&'p [u8]>,
    outgoing: &'b mut [u8],
    written: usize,
}

impl<'p, 'b> OnePacket<'p, 'b> {
    fn new(incoming: Option<&'p [u8]>, outgoing: &'b mut [u8]) -> Self {
        OnePacket { incoming, outgoing, written: 0 }
    }

    fn written(&self) -> Option<usize> {
        (self.written > 0).then_some(self.written)
    }
}

impl Device for OnePacket<'_, '_> {
    type RxToken<'a>
        = Incoming<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Outgoing<'a>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing { buffer: self.outgoing, written: &mut self.written }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        (self.written == 0).then_some(Outgoing { buffer: self.outgoing, written: &mut self.written })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut checksum = ChecksumCapabilities::ignored();
        // Incoming packets were verified when they were classified; outgoing TCP checksums are left to the device.
        checksum.ipv4 = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = IP_MAX;
        capabilities.checksum = checksum;
        capabilities
    }
}

struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Outgoing<'a> {
    buffer: &'a mut [u8],
    written: &'a mut usize,
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        *self.written = len;
        f(&mut self.buffer[IP_START..IP_START + len])
    }
}
