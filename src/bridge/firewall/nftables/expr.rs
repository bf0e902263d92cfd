//! Expressions, the instructions that rules consist of (linux/netfilter/nf_tables.h), in the forms that nft(8) writes and reads back
//! as text. Reading them from the kernel gives the same values, so that rules can be compared.

use crate::bridge::netlink::attribute::{Attributes, be32, find, read, text};

/// The registers in use: NFT_REG_1 and NFT_REG_2, of 16 bytes each.
pub const REG_1: u32 = 1;
/// See [`REG_1`].
pub const REG_2: u32 = 2;
const REG_VERDICT: u32 = 0;

/// NFTA_LIST_ELEM
const LIST_ELEM: u16 = 1;
/// NFTA_EXPR_NAME, NFTA_EXPR_DATA
const NAME: u16 = 1;
const DATA: u16 = 2;
/// NFTA_DATA_VALUE, NFTA_DATA_VERDICT
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
/// NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN
const CODE: u16 = 1;
const CHAIN: u16 = 2;
/// NF_DROP, NF_ACCEPT, NFT_JUMP
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const JUMP: u32 = -3_i32 as u32;
/// NF_NAT_RANGE_PROTO_SPECIFIED
const PROTO_SPECIFIED: u32 = 2;

/// What `meta` loads or sets (NFT_META_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Meta {
    /// The packet's mark.
    Mark = 3,
    /// The name of the interface that the packet came from.
    Iifname = 6,
    /// The name of the interface that it leaves by.
    Oifname = 7,
    /// NFPROTO_IPV4 or NFPROTO_IPV6.
    Nfproto = 15,
    /// The transport protocol.
    L4proto = 16,
}

/// What `ct` loads or sets (NFT_CT_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ct {
    /// The connection's state, as bits.
    State = 0,
    /// The connection's mark.
    Mark = 3,
}

/// How `cmp` compares (NFT_CMP_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Cmp {
    /// Equal.
    Eq = 0,
    /// Not equal.
    Neq = 1,
    /// Less or equal.
    Lte = 3,
    /// Greater or equal.
    Gte = 5,
}

/// The header that a payload is loaded from (NFT_PAYLOAD_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Base {
    /// IPv4 or IPv6.
    Network = 1,
    /// TCP, UDP, ….
    Transport = 2,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes this hook.
    Accept,
    /// It is gone.
    Drop,
    /// Another chain decides.
    Jump(String),
}

/// A set without a name, made together with the only rule that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnonymousSet {
    /// Transport protocols.
    Protocols(Vec<u8>),
    /// Ports and what they are mapped to.
    Ports(Vec<(u16, u16)>),
}

/// An instruction of a rule.
#[derive(Clone, Debug)]
pub enum Expr {
    /// Loads something about the packet.
    Meta(Meta),
    /// Sets the packet's mark from register 1.
    SetMark,
    /// Loads something about the connection.
    Ct(Ct),
    /// Sets the connection's mark from register 1.
    SetCtMark,
    /// Loads bytes of the packet.
    Payload { base: Base, offset: u32, len: u32, register: u32 },
    /// Goes on if register 1 compares so.
    Cmp(Cmp, Vec<u8>),
    /// register 1 = (register 1 & mask) ^ xor
    Bitwise { mask: Vec<u8>, xor: Vec<u8> },
    /// Goes on if register `register` is in the set; with a map its value goes to the same register.
    Lookup { register: u32, map: bool, set: Option<AnonymousSet> },
    /// Loads a constant.
    Immediate { register: u32, data: Vec<u8> },
    /// Rewrites the destination or the source to the address in register 1, and the port in register 2.
    Nat { destination: bool, family: u8, port: bool },
    /// Rewrites the source to the address of the outgoing interface.
    Masquerade,
    /// Loads the type (RTN_*) of the destination address.
    DestinationType,
    /// Decides.
    Verdict(Verdict),
    /// Something that rnet does not write.
    Unknown(String),
}

/// What the kernel tells of an anonymous set is only its number, so a set equals every other.
impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        use Expr::*;
        match (self, other) {
            (Meta(a), Meta(b)) => a == b,
            (Ct(a), Ct(b)) => a == b,
            (SetMark, SetMark) | (SetCtMark, SetCtMark) | (Masquerade, Masquerade) => true,
            (DestinationType, DestinationType) => true,
            (
                Payload { base, offset, len, register },
                Payload { base: base2, offset: offset2, len: len2, register: register2 },
            ) => (base, offset, len, register) == (base2, offset2, len2, register2),
            (Cmp(op, data), Cmp(op2, data2)) => op == op2 && data == data2,
            (Bitwise { mask, xor }, Bitwise { mask: mask2, xor: xor2 }) => mask == mask2 && xor == xor2,
            (Lookup { register, map, .. }, Lookup { register: register2, map: map2, .. }) => {
                (register, map) == (register2, map2)
            }
            (Immediate { register, data }, Immediate { register: register2, data: data2 }) => {
                register == register2 && data == data2
            }
            (Nat { destination, family, port }, Nat { destination: destination2, family: family2, port: port2 }) => {
                (destination, family, port) == (destination2, family2, port2)
            }
            (Verdict(a), Verdict(b)) => a == b,
            // Nobody knows whether they are the same.
            _ => false,
        }
    }
}

impl Expr {
    /// Writes it as an element of a rule's expressions; a set is referred to by its number within the transaction.
    pub fn write(&self, list: &mut Attributes, set_id: u32) {
        let name = match self {
            Expr::Meta(_) | Expr::SetMark => "meta",
            Expr::Ct(_) | Expr::SetCtMark => "ct",
            Expr::Payload { .. } => "payload",
            Expr::Cmp(..) => "cmp",
            Expr::Bitwise { .. } => "bitwise",
            Expr::Lookup { .. } => "lookup",
            Expr::Immediate { .. } | Expr::Verdict(_) => "immediate",
            Expr::Nat { .. } => "nat",
            Expr::Masquerade => "masq",
            Expr::DestinationType => "fib",
            Expr::Unknown(name) => name,
        };
        list.nest(LIST_ELEM, |element| {
            element.string(NAME, name);
            element.nest(DATA, |data| self.write_data(data, set_id));
        });
    }

    fn write_data(&self, data: &mut Attributes, set_id: u32) {
        let value = |into: &mut Attributes, kind, bytes: &[u8]| into.nest(kind, |inner| inner.put(VALUE, bytes));
        match self {
            Expr::Meta(key) => {
                data.be32(2, *key as u32);
                data.be32(1, REG_1);
            }
            Expr::SetMark => {
                data.be32(2, Meta::Mark as u32);
                data.be32(3, REG_1);
            }
            Expr::Ct(key) => {
                data.be32(2, *key as u32);
                data.be32(1, REG_1);
            }
            Expr::SetCtMark => {
                data.be32(2, Ct::Mark as u32);
                data.be32(4, REG_1);
            }
            Expr::Payload { base, offset, len, register } => {
                data.be32(1, *register);
                data.be32(2, *base as u32);
                data.be32(3, *offset);
                data.be32(4, *len);
            }
            Expr::Cmp(op, bytes) => {
                data.be32(1, REG_1);
                data.be32(2, *op as u32);
                value(data, 3, bytes);
            }
            Expr::Bitwise { mask, xor } => {
                data.be32(1, REG_1);
                data.be32(2, REG_1);
                data.be32(3, mask.len() as u32);
                value(data, 4, mask);
                value(data, 5, xor);
            }
            Expr::Lookup { register, map, set } => {
                data.be32(2, *register);
                if *map {
                    data.be32(3, *register);
                }
                data.string(1, set.as_ref().map_or("", AnonymousSet::template));
                data.be32(4, set_id);
            }
            Expr::Immediate { register, data: bytes } => {
                data.be32(1, *register);
                value(data, 2, bytes);
            }
            Expr::Nat { destination, family, port } => {
                data.be32(1, (*destination).into());
                data.be32(2, (*family).into());
                data.be32(3, REG_1);
                if *port {
                    data.be32(5, REG_2);
                    data.be32(7, PROTO_SPECIFIED);
                }
            }
            Expr::DestinationType => {
                data.be32(1, REG_1);
                // NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR
                data.be32(2, 3);
                data.be32(3, 2);
            }
            Expr::Verdict(verdict) => {
                data.be32(1, REG_VERDICT);
                data.nest(2, |inner| inner.nest(VERDICT, |inner| verdict.write(inner)));
            }
            Expr::Masquerade | Expr::Unknown(_) => {}
        }
    }

    /// Reads the expressions of a rule.
    pub fn read_all(list: &[u8]) -> Vec<Expr> {
        let elements = read(list).filter(|(kind, _)| *kind == LIST_ELEM);
        elements.map(|(_, element)| Expr::read(element).unwrap_or_else(|| unknown(element))).collect()
    }

    fn read(element: &[u8]) -> Option<Expr> {
        let name = find(element, NAME).and_then(text)?;
        let data = find(element, DATA).unwrap_or_default();
        let number = |kind| find(data, kind).and_then(be32);
        let value = |kind| find(data, kind).and_then(|data| find(data, VALUE)).map(<[u8]>::to_vec);
        Some(match name {
            "meta" if number(3).is_some() => {
                (number(2)? == Meta::Mark as u32 && number(3)? == REG_1).then_some(Expr::SetMark)?
            }
            "meta" if number(1)? == REG_1 => Expr::Meta(match number(2)? {
                3 => Meta::Mark,
                6 => Meta::Iifname,
                7 => Meta::Oifname,
                15 => Meta::Nfproto,
                16 => Meta::L4proto,
                _ => return None,
            }),
            "ct" if number(4).is_some() => {
                (number(2)? == Ct::Mark as u32 && number(4)? == REG_1).then_some(Expr::SetCtMark)?
            }
            "ct" if number(1)? == REG_1 => Expr::Ct(match number(2)? {
                0 => Ct::State,
                3 => Ct::Mark,
                _ => return None,
            }),
            "payload" => Expr::Payload {
                base: match number(2)? {
                    1 => Base::Network,
                    2 => Base::Transport,
                    _ => return None,
                },
                offset: number(3)?,
                len: number(4)?,
                register: number(1)?,
            },
            "cmp" if number(1)? == REG_1 => {
                let op = match number(2)? {
                    0 => Cmp::Eq,
                    1 => Cmp::Neq,
                    3 => Cmp::Lte,
                    5 => Cmp::Gte,
                    _ => return None,
                };
                Expr::Cmp(op, value(3)?)
            }
            "bitwise" if number(1)? == REG_1 && number(2)? == REG_1 && number(6).is_none_or(|op| op == 0) => {
                Expr::Bitwise { mask: value(4)?, xor: value(5)? }
            }
            // NFT_LOOKUP_F_INV is not written.
            "lookup" if number(5).is_none_or(|flags| flags == 0) => {
                Expr::Lookup { register: number(2)?, map: number(3).is_some(), set: None }
            }
            "immediate" if number(1)? == REG_VERDICT => Expr::Verdict(Verdict::read(find(find(data, 2)?, VERDICT)?)?),
            "immediate" => Expr::Immediate { register: number(1)?, data: value(2)? },
            "nat" if number(3)? == REG_1 => Expr::Nat {
                destination: number(1)? == 1,
                family: u8::try_from(number(2)?).ok()?,
                port: number(5).is_some(),
            },
            "masq" => Expr::Masquerade,
            "fib" if number(2)? == 3 && number(3)? == 2 => Expr::DestinationType,
            _ => return None,
        })
    }
}

fn unknown(element: &[u8]) -> Expr {
    Expr::Unknown(find(element, NAME).and_then(text).unwrap_or_default().into())
}

impl Verdict {
    fn write(&self, into: &mut Attributes) {
        match self {
            Verdict::Accept => into.be32(CODE, ACCEPT),
            Verdict::Drop => into.be32(CODE, DROP),
            Verdict::Jump(chain) => {
                into.be32(CODE, JUMP);
                into.string(CHAIN, chain);
            }
        }
    }

    fn read(data: &[u8]) -> Option<Verdict> {
        match find(data, CODE).and_then(be32)? {
            ACCEPT => Some(Verdict::Accept),
            DROP => Some(Verdict::Drop),
            JUMP => Some(Verdict::Jump(find(data, CHAIN).and_then(text)?.into())),
            _ => None,
        }
    }
}

impl AnonymousSet {
    /// The kernel puts a number in the place of `%d`.
    pub fn template(&self) -> &'static str {
        match self {
            AnonymousSet::Protocols(_) => "__set%d",
            AnonymousSet::Ports(_) => "__map%d",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all = [
            Expr::Meta(Meta::Oifname),
            Expr::SetMark,
            Expr::Ct(Ct::State),
            Expr::SetCtMark,
            Expr::Payload { base: Base::Network, offset: 16, len: 2, register: REG_1 },
            Expr::Cmp(Cmp::Gte, vec![1, 2]),
            Expr::Bitwise { mask: vec![1, 2, 3, 4], xor: vec![0; 4] },
            Expr::Lookup { register: REG_1, map: false, set: None },
            Expr::Lookup { register: REG_2, map: true, set: None },
            Expr::Immediate { register: REG_2, data: vec![0, 80] },
            Expr::Nat { destination: true, family: 2, port: true },
            Expr::Nat { destination: false, family: 10, port: false },
            Expr::Masquerade,
            Expr::DestinationType,
            Expr::Verdict(Verdict::Jump("x".into())),
            Expr::Verdict(Verdict::Drop),
        ];
        let mut list = Attributes::new();
        all.iter().for_each(|expr| expr.write(&mut list, 1));
        assert_eq!(Expr::read_all(list.bytes()), all);
    }

    #[test]
    fn the_unknown_equals_nothing() {
        let mut list = Attributes::new();
        Expr::Unknown("counter".into()).write(&mut list, 0);
        let read = Expr::read_all(list.bytes());
        assert!(matches!(&read[..], [Expr::Unknown(name)] if name == "counter"));
        assert_ne!(read, read.clone());
    }
}
