//! Every reason for which a frame is dropped, declared once: counters, logs and test snapshots derive from this list.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)*) => {
        /// What is counted besides dropped frames.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Counter { $($(#[doc = $doc])+ $name,)* }

        impl Counter {
            /// Every counter, in the order of declaration.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)*];

            /// The counter's name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Counter::$name => $text,)* }
            }
        }
    };
}

counters! {
    /// Frames that came from the container.
    FramesIn => "frames_in",
    /// TCP flows that the container began.
    TcpFlowsOpened => "tcp_flows_opened",
    /// TCP flows that clients of published ports began.
    TcpFlowsAccepted => "tcp_flows_accepted",
    /// TCP flows refused because there were as many as may be.
    TcpFlowLimit => "tcp_flow_limit",
    /// TCP flows refused because too many were half open.
    TcpHalfOpenLimit => "tcp_half_open_limit",
    /// TCP flows refused because the rings of the others use all the memory they may.
    TcpBufferLimit => "tcp_buffer_limit",
    /// Segments answered with a reset because they belong to no flow.
    TcpNoFlow => "tcp_no_flow",
    /// UDP mappings made.
    UdpMappingsOpened => "udp_mappings_opened",
    /// Datagrams refused because there were as many UDP mappings as may be.
    UdpMappingLimit => "udp_mapping_limit",
    /// Datagrams that the host did not take.
    UdpSendFailed => "udp_send_failed",
    /// Datagrams to the link's name server that were handed over.
    DnsQueries => "dns_queries",
    /// Datagrams to the link's name server that were lost because it did not keep up.
    DnsQueriesLost => "dns_queries_lost",
    /// Echo mappings made.
    EchoMappingsOpened => "echo_mappings_opened",
    /// Echo requests refused because there were as many echo mappings as may be.
    EchoMappingLimit => "echo_mapping_limit",
    /// Echo requests refused because the host allows no ping sockets (net.ipv4.ping_group_range).
    EchoForbidden => "echo_forbidden",
    /// ICMP errors sent to the container.
    IcmpErrorsSent => "icmp_errors_sent",
    /// Times that the host was out of descriptors, ports or memory.
    HostExhausted => "host_exhausted",
    /// Packets handed to another stack, which owns their flow.
    Diverted => "diverted",
}

/// A count for each [`Counter`].
#[derive(Clone, Debug)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Counters([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    /// The count so far.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// All counters with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self.get(counter)))
    }
}

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)*) => {
        /// Why a frame from the container was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)* }

        impl DropReason {
            /// Every reason, in the order of declaration.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$name,)*];

            /// The reason's name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$name => $text,)* }
            }
        }
    };
}

drop_reasons! {
    /// Shorter than the header that its type demands.
    Truncated => "truncated",
    /// An EtherType other than ARP, IPv4 and IPv6.
    EtherType => "ether_type",
    /// A header that contradicts itself (version, length, data offset).
    Malformed => "malformed",
    /// A wrong IP, TCP, UDP or ICMP checksum.
    Checksum => "checksum",
    /// A source or destination address that no packet may have there.
    Address => "address",
    /// A source-routed packet (RFC 7126 section 4.3), or IPv6 routing header type 0 (RFC 5095).
    SourceRoute => "source_route",
    /// An IPv6 option that a receiver must not skip when it doesn't know it (RFC 8200 section 4.2).
    HeaderOption => "header_option",
    /// A transport protocol that is not carried.
    Protocol => "protocol",
    /// A fragment that overlaps another, exceeds the packet, or finds no room.
    Fragment => "fragment",
    /// Multicast or broadcast that no service here answers.
    Multicast => "multicast",
    /// A SYN that was sent again while the host side still connects.
    SynRetransmission => "syn_retransmission",
    /// TCP, UDP or ICMP where that is switched off.
    SwitchedOff => "switched_off",
    /// A message that answers nothing that is known here.
    Unrelated => "unrelated",
    /// A datagram from the host's loopback, or of the wrong family, that must not enter.
    HostSource => "host_source",
    /// A query to the link's DNS address, where nobody answers.
    NoDns => "no_dns",
    /// A packet of a flow that another stack owns, which takes no more just now or does not own it any longer.
    Astray => "astray",
}

impl std::ops::AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}

/// A count for each [`DropReason`].
#[derive(Clone, Debug)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl Default for DropCounters {
    fn default() -> Self {
        DropCounters([0; DropReason::ALL.len()])
    }
}

impl DropCounters {
    /// Counts one drop.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// How often `reason` was counted.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.get(reason)))
    }
}

impl std::ops::AddAssign<&DropCounters> for DropCounters {
    fn add_assign(&mut self, other: &DropCounters) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}
