//! A DHCPv6 client's message, as far as the server needs it (RFC 8415 sections 8 and 21).

use std::net::Ipv6Addr;

/// Codes of the options that are read or written (RFC 8415 section 21 but where noted).
pub(super) mod code {
    pub const CLIENT: u16 = 1;
    pub const SERVER: u16 = 2;
    pub const IA_NA: u16 = 3;
    pub const IA_TA: u16 = 4;
    pub const IA_ADDRESS: u16 = 5;
    pub const OPTION_REQUEST: u16 = 6;
    pub const PREFERENCE: u16 = 7;
    pub const STATUS: u16 = 13;
    pub const RAPID_COMMIT: u16 = 14;
    /// RFC 3646.
    pub const DNS: u16 = 23;
    /// RFC 3646.
    pub const SEARCH: u16 = 24;
    pub const IA_PD: u16 = 25;
    /// RFC 4704.
    pub const CLIENT_FQDN: u16 = 39;
}

/// Identity associations that are read from one message; real clients send one or two.
const MAX_ASSOCIATIONS: usize = 8;
/// Addresses that are read from one association.
const MAX_ADDRESSES: usize = 8;
/// The longest DHCP unique identifier (RFC 8415 section 11.1).
const MAX_DUID_LEN: usize = 130;

/// The kinds of message that clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Solicit,
    Request,
    Confirm,
    Renew,
    Rebind,
    Release,
    Decline,
    InformationRequest,
}

/// What a client wants to be associated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssociationKind {
    /// An address.
    NonTemporary,
    /// A temporary address.
    Temporary,
    /// A prefix to hand on.
    Prefix,
}

/// An identity association: what a client calls a set of its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Association<'a> {
    pub kind: AssociationKind,
    pub id: [u8; 4],
    options: &'a [u8],
}

/// A client's message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub kind: Kind,
    pub transaction: [u8; 3],
    pub client: Option<&'a [u8]>,
    pub server: Option<&'a [u8]>,
    pub associations: Vec<Association<'a>>,
    /// Options that the client asks for, two bytes each; `None` when it doesn't say.
    wants: Option<&'a [u8]>,
    pub rapid_commit: bool,
    /// Whether the client wants its name put into the DNS by the server (RFC 4704 section 4.1, the S bit).
    pub wants_name_update: bool,
}

impl<'a> Message<'a> {
    /// `None` for relayed messages, servers' messages, and options that don't fit.
    pub fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let ([kind, transaction @ ..], options) = bytes.split_first_chunk::<4>()?;
        let kind = match kind {
            1 => Kind::Solicit,
            3 => Kind::Request,
            4 => Kind::Confirm,
            5 => Kind::Renew,
            6 => Kind::Rebind,
            8 => Kind::Release,
            9 => Kind::Decline,
            11 => Kind::InformationRequest,
            _ => return None,
        };
        let mut message = Message {
            kind,
            transaction: *transaction,
            client: None,
            server: None,
            associations: Vec::new(),
            wants: None,
            rapid_commit: false,
            wants_name_update: false,
        };
        for option in Options(options) {
            message.read(option?)?;
        }
        Some(message)
    }

    fn read(&mut self, (code, value): (u16, &'a [u8])) -> Option<()> {
        match code {
            code::CLIENT if (1..=MAX_DUID_LEN).contains(&value.len()) => self.client = Some(value),
            code::CLIENT => return None,
            code::SERVER => self.server = Some(value),
            code::OPTION_REQUEST if value.len().is_multiple_of(2) => self.wants = Some(value),
            code::OPTION_REQUEST => return None,
            code::RAPID_COMMIT => self.rapid_commit = true,
            code::CLIENT_FQDN => self.wants_name_update = value.first().is_some_and(|flags| flags & 1 != 0),
            code::IA_NA | code::IA_TA | code::IA_PD => {
                let association = Association::parse(code, value)?;
                if self.associations.len() < MAX_ASSOCIATIONS {
                    self.associations.push(association);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// The addresses in all associations.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.associations.iter().flat_map(|association| association.addresses())
    }

    /// Whether the client would read an option.
    pub fn wants(&self, code: u16) -> bool {
        self.wants.is_none_or(|list| list.as_chunks::<2>().0.contains(&code.to_be_bytes()))
    }
}

impl<'a> Association<'a> {
    fn parse(code: u16, value: &'a [u8]) -> Option<Association<'a>> {
        let (&id, rest) = value.split_first_chunk::<4>()?;
        let (kind, options) = match code {
            code::IA_NA => (AssociationKind::NonTemporary, rest.get(8..)?),
            code::IA_PD => (AssociationKind::Prefix, rest.get(8..)?),
            // A temporary association has no times.
            _ => (AssociationKind::Temporary, rest),
        };
        Options(options).all(|option| option.is_some()).then_some(Association { kind, id, options })
    }

    /// The addresses that the client names in it.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let addresses = Options(self.options).flatten().filter(|(code, _)| *code == code::IA_ADDRESS);
        addresses.filter_map(|(_, value)| value.first_chunk::<16>().copied().map(Ipv6Addr::from)).take(MAX_ADDRESSES)
    }
}

/// Options one after another: code, length, value. The last item is `None` when something doesn't fit.
#[derive(Clone, Copy)]
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let option = self.0.split_first_chunk::<4>().and_then(|([c0, c1, l0, l1], rest)| {
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
            self.0 = rest;
            Some((u16::from_be_bytes([*c0, *c1]), value))
        });
        if option.is_none() {
            self.0 = &[];
        }
        Some(option)
    }
}
