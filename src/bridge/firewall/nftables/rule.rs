//! Rules, built from the words that nft(8) has for them.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::expr::{AnonymousSet, Base, Cmp, Ct, Expr, Meta, REG_1, REG_2, Verdict};

/// NFPROTO_IPV4, NFPROTO_IPV6
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// IPPROTO_TCP, IPPROTO_UDP
const TCP_AND_UDP: [u8; 2] = [6, 17];
/// The destination port lies here in the header of TCP, UDP, SCTP, DCCP and UDP-Lite.
const PORT_OFFSET: u32 = 2;
const DNS: u16 = 53;
/// RTN_LOCAL
const LOCAL: u32 = 2;
/// IFNAMSIZ
const NAME_LEN: usize = 16;
/// IP_CT_* as bits.
pub const INVALID: u32 = 1;
/// ESTABLISHED or RELATED.
pub const ESTABLISHED_RELATED: u32 = 6;

/// A rule's expressions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule(pub Vec<Expr>);

/// Which address of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `saddr`
    Source,
    /// `daddr`
    Destination,
}

impl Rule {
    /// A rule that matches everything.
    pub fn new() -> Rule {
        Rule::default()
    }

    fn with(mut self, exprs: impl IntoIterator<Item = Expr>) -> Rule {
        self.0.extend(exprs);
        self
    }

    /// `ip saddr NET`, `ip6 daddr NET`: the family is only asked for once.
    pub fn address(self, side: Side, net: IpNet) -> Rule {
        self.compare_address(side, Cmp::Eq, net)
    }

    /// `ip daddr != NET`
    pub fn not_address(self, side: Side, net: IpNet) -> Rule {
        self.compare_address(side, Cmp::Neq, net)
    }

    fn compare_address(mut self, side: Side, op: Cmp, net: IpNet) -> Rule {
        let (family, len, offset, bytes) = match (net, side) {
            (IpNet::V4(net), Side::Source) => (IPV4, 4, 12, net.network().octets().to_vec()),
            (IpNet::V4(net), Side::Destination) => (IPV4, 4, 16, net.network().octets().to_vec()),
            (IpNet::V6(net), Side::Source) => (IPV6, 16, 8, net.network().octets().to_vec()),
            (IpNet::V6(net), Side::Destination) => (IPV6, 16, 24, net.network().octets().to_vec()),
        };
        let asked = matches!(
            self.0.as_slice(),
            [Expr::Meta(Meta::Nfproto), Expr::Cmp(Cmp::Eq, data), ..] if data.as_slice() == [family]
        );
        if !asked {
            self = self.with([Expr::Meta(Meta::Nfproto), Expr::Cmp(Cmp::Eq, vec![family])]);
        }
        let prefix = u32::from(net.prefix_len());
        let load = |len| Expr::Payload { base: Base::Network, offset, len, register: REG_1 };
        match prefix {
            // Everything of the family.
            0 => self,
            // Whole bytes need no mask.
            _ if prefix.is_multiple_of(8) => {
                let bytes = bytes[..prefix as usize / 8].to_vec();
                self.with([load(prefix / 8), Expr::Cmp(op, bytes)])
            }
            _ => {
                let mask =
                    |at: u32| 0xff_u8.checked_shl(8_u32.saturating_sub(prefix.saturating_sub(at * 8))).unwrap_or(0);
                let mask = (0..len).map(mask).collect();
                let xor = vec![0; len as usize];
                self.with([load(len), Expr::Bitwise { mask, xor }, Expr::Cmp(op, bytes)])
            }
        }
    }

    /// `iifname NAME`
    pub fn enters_by(self, name: &str) -> Rule {
        self.with([Expr::Meta(Meta::Iifname), Expr::Cmp(Cmp::Eq, padded(name))])
    }

    /// `oifname NAME`
    pub fn leaves_by(self, name: &str) -> Rule {
        self.with([Expr::Meta(Meta::Oifname), Expr::Cmp(Cmp::Eq, padded(name))])
    }

    /// `oifname != NAME`
    pub fn leaves_not_by(self, name: &str) -> Rule {
        self.with([Expr::Meta(Meta::Oifname), Expr::Cmp(Cmp::Neq, padded(name))])
    }

    /// `ct state …`, some of the bits.
    pub fn ct_state(self, bits: u32) -> Rule {
        let (mask, zero) = (bits.to_ne_bytes().to_vec(), vec![0; 4]);
        self.with([Expr::Ct(Ct::State), Expr::Bitwise { mask, xor: zero.clone() }, Expr::Cmp(Cmp::Neq, zero)])
    }

    /// `ct mark & BIT == BIT`
    pub fn ct_mark(self, bit: u32) -> Rule {
        self.with([Expr::Ct(Ct::Mark)]).bit(bit)
    }

    /// `meta mark & BIT == BIT`
    pub fn mark(self, bit: u32) -> Rule {
        self.with([Expr::Meta(Meta::Mark)]).bit(bit)
    }

    fn bit(self, bit: u32) -> Rule {
        let bytes = bit.to_ne_bytes().to_vec();
        self.with([Expr::Bitwise { mask: bytes.clone(), xor: vec![0; 4] }, Expr::Cmp(Cmp::Eq, bytes)])
    }

    /// `meta mark set meta mark | BIT`
    pub fn set_mark(self, bit: u32) -> Rule {
        self.mark_with(bit).with([Expr::SetMark])
    }

    /// `ct mark set meta mark | BIT`
    pub fn set_ct_mark(self, bit: u32) -> Rule {
        self.mark_with(bit).with([Expr::SetCtMark])
    }

    fn mark_with(self, bit: u32) -> Rule {
        let (mask, xor) = ((!bit).to_ne_bytes().to_vec(), bit.to_ne_bytes().to_vec());
        self.with([Expr::Meta(Meta::Mark), Expr::Bitwise { mask, xor }])
    }

    /// `fib daddr type local`
    pub fn addressed_locally(self) -> Rule {
        self.with([Expr::DestinationType, Expr::Cmp(Cmp::Eq, LOCAL.to_ne_bytes().to_vec())])
    }

    /// `tcp dport FIRST-LAST`
    pub fn ports(self, protocol: u8, ports: &RangeInclusive<u16>) -> Rule {
        let (first, last) = (ports.start().to_be_bytes().to_vec(), ports.end().to_be_bytes().to_vec());
        let rule = self.with([Expr::Meta(Meta::L4proto), Expr::Cmp(Cmp::Eq, vec![protocol]), port_to(REG_1)]);
        if first == last {
            return rule.with([Expr::Cmp(Cmp::Eq, first)]);
        }
        rule.with([Expr::Cmp(Cmp::Gte, first), Expr::Cmp(Cmp::Lte, last)])
    }

    /// `meta l4proto { tcp, udp } th dport 53`
    pub fn dns(self) -> Rule {
        let set = Some(AnonymousSet::Protocols(TCP_AND_UDP.to_vec()));
        self.with([
            Expr::Meta(Meta::L4proto),
            Expr::Lookup { register: REG_1, map: false, set },
            port_to(REG_1),
            Expr::Cmp(Cmp::Eq, DNS.to_be_bytes().to_vec()),
        ])
    }

    /// `accept`, `drop`, `jump CHAIN`
    pub fn verdict(self, verdict: Verdict) -> Rule {
        self.with([Expr::Verdict(verdict)])
    }

    /// `jump CHAIN`
    pub fn jump(self, chain: impl Into<String>) -> Rule {
        self.verdict(Verdict::Jump(chain.into()))
    }

    /// `masquerade`
    pub fn masquerade(self) -> Rule {
        self.with([Expr::Masquerade])
    }

    /// `snat ip to ADDRESS`
    pub fn snat(self, to: IpAddr) -> Rule {
        self.load(to).with([Expr::Nat { destination: false, family: family(to), port: false }])
    }

    /// `dnat ip to ADDRESS:PORT`; without a port it is kept.
    pub fn dnat(self, to: IpAddr, port: Option<u16>) -> Rule {
        let rule = self.load(to);
        let load = port.map(|port| Expr::Immediate { register: REG_2, data: port.to_be_bytes().to_vec() });
        rule.with(load).with([Expr::Nat { destination: true, family: family(to), port: port.is_some() }])
    }

    /// `dnat ip to ADDRESS:tcp dport map { … }`: one rule for ports that are all moved.
    pub fn dnat_by_map(self, to: IpAddr, map: Vec<(u16, u16)>) -> Rule {
        let lookup = Expr::Lookup { register: REG_2, map: true, set: Some(AnonymousSet::Ports(map)) };
        let nat = Expr::Nat { destination: true, family: family(to), port: true };
        self.load(to).with([port_to(REG_2), lookup, nat])
    }

    fn load(self, address: IpAddr) -> Rule {
        let data = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        self.with([Expr::Immediate { register: REG_1, data }])
    }

    /// Whether it begins as a rule about this subnet does.
    pub fn is_about(&self, net: IpNet) -> bool {
        [Side::Source, Side::Destination].iter().any(|side| self.0.starts_with(&Rule::new().address(*side, net).0))
    }

    /// Whether it names the interface.
    pub fn names(&self, interface: &str) -> bool {
        let name = padded(interface);
        self.0.windows(2).any(|pair| match pair {
            [Expr::Meta(Meta::Iifname | Meta::Oifname), Expr::Cmp(_, data)] => *data == name,
            _ => false,
        })
    }

    /// The chain that it jumps to.
    pub fn target(&self) -> Option<&str> {
        match self.0.last() {
            Some(Expr::Verdict(Verdict::Jump(chain))) => Some(chain),
            _ => None,
        }
    }

    /// The sets that have to be made with it.
    pub fn set(&self) -> Option<&AnonymousSet> {
        self.0.iter().find_map(|expr| match expr {
            Expr::Lookup { set, .. } => set.as_ref(),
            _ => None,
        })
    }
}

fn port_to(register: u32) -> Expr {
    Expr::Payload { base: Base::Transport, offset: PORT_OFFSET, len: 2, register }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { IPV4 } else { IPV6 }
}

fn padded(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(NAME_LEN, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_end_within_a_byte_are_masked() {
        let rule = Rule::new().address(Side::Destination, "10.1.2.16/28".parse().unwrap());
        assert_eq!(rule.0[3], Expr::Bitwise { mask: vec![255, 255, 255, 0xf0], xor: vec![0; 4] });
        let rule = Rule::new().address(Side::Destination, "224.0.0.0/4".parse().unwrap());
        assert_eq!(rule.0[3], Expr::Bitwise { mask: vec![0xf0, 0, 0, 0], xor: vec![0; 4] });
        let rule = Rule::new().address(Side::Source, "fd00:1::/33".parse().unwrap());
        let Expr::Bitwise { mask, .. } = &rule.0[3] else { panic!("{rule:?}") };
        assert_eq!(mask[..6], [255, 255, 255, 255, 128, 0]);
    }

    #[test]
    fn rules_tell_what_they_are_about() {
        let net = "10.0.0.0/8".parse().unwrap();
        let rule = Rule::new().address(Side::Source, net).enters_by("br0").jump("x");
        assert!(rule.is_about(net) && rule.names("br0"));
        assert!(!rule.is_about("10.0.0.0/16".parse().unwrap()) && !rule.names("br1"));
        assert_eq!(rule.target(), Some("x"));
    }
}
