//! Every reason for which a frame is dropped, declared once: counters, logs and test snapshots derive from this list.

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
