//! A DHCPv4 client's message, as far as the server needs it (RFC 2131 section 2, RFC 2132).

use std::net::Ipv4Addr;

use crate::frame::MacAddr;

/// Length of the fixed part of a message with the magic cookie, bytes.
pub(super) const FIXED_LEN: usize = 240;
/// What marks BOOTP vendor data as DHCP options (RFC 2131 section 3).
pub(super) const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Codes of the options that are read or written (RFC 2132 but where noted).
pub(super) mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const MTU: u8 = 26;
    pub const BROADCAST: u8 = 28;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const CLIENT: u8 = 61;
    /// RFC 4039.
    pub const RAPID_COMMIT: u8 = 80;
    /// RFC 4702.
    pub const CLIENT_FQDN: u8 = 81;
    /// RFC 3397.
    pub const SEARCH: u8 = 119;
    /// RFC 3442.
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const END: u8 = 255;
}

/// The kinds of message that clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

/// A client's message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub kind: Kind,
    pub transaction: [u8; 4],
    /// The flags field as it came, to be echoed.
    pub flags: [u8; 2],
    pub wants_broadcast: bool,
    pub client_address: Ipv4Addr,
    pub hardware: MacAddr,
    pub requested: Option<Ipv4Addr>,
    pub server: Option<Ipv4Addr>,
    pub client: Option<&'a [u8]>,
    /// Options that the client asks for; `None` when it doesn't say.
    pub wants: Option<&'a [u8]>,
    /// Bytes of the longest message that the client takes.
    pub max_size: Option<u16>,
    pub rapid_commit: bool,
}

impl<'a> Message<'a> {
    /// `None` for what is no client's message on this link: BOOTP, another hardware, one that a relay passed on, options
    /// that don't fit.
    pub fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let (fixed, options) = bytes.split_first_chunk::<FIXED_LEN>()?;
        let [1, 1, 6, _, t0, t1, t2, t3, _, _, f0, f1, c0, c1, c2, c3, rest @ ..] = fixed else { return None };
        // Your address, server address, gateway (relay) address, client hardware address.
        let [_, _, _, _, _, _, _, _, 0, 0, 0, 0, m0, m1, m2, m3, m4, m5, ..] = rest else { return None };
        if fixed.last_chunk() != Some(&MAGIC_COOKIE) {
            return None;
        }
        let client_address = Ipv4Addr::new(*c0, *c1, *c2, *c3);
        if !(client_address.is_unspecified() || is_host(client_address)) {
            return None;
        }
        let mut message = Message {
            kind: Kind::Discover,
            transaction: [*t0, *t1, *t2, *t3],
            flags: [*f0, *f1],
            wants_broadcast: f0 & 0x80 != 0,
            client_address,
            hardware: MacAddr([*m0, *m1, *m2, *m3, *m4, *m5]),
            requested: None,
            server: None,
            client: None,
            wants: None,
            max_size: None,
            rapid_commit: false,
        };
        message.kind = message.read_options(options)?;
        Some(message)
    }

    /// Reads the options; returns the message's kind, without which it is none.
    fn read_options(&mut self, mut bytes: &'a [u8]) -> Option<Kind> {
        let mut kind = None;
        while let Some((&code, rest)) = bytes.split_first() {
            match code {
                code::PAD => {
                    bytes = rest;
                    continue;
                }
                code::END => break,
                _ => {}
            }
            let (&len, rest) = rest.split_first()?;
            let (value, rest) = rest.split_at_checked(usize::from(len))?;
            bytes = rest;
            match code {
                code::MESSAGE_TYPE => kind = Some(parse_kind(value)?),
                code::REQUESTED_ADDRESS => self.requested = Some(address(value)?),
                code::SERVER => self.server = Some(address(value)?),
                code::CLIENT => self.client = Some(value),
                code::PARAMETER_LIST => self.wants = Some(value),
                code::MAX_SIZE => self.max_size = Some(u16::from_be_bytes(value.try_into().ok()?)),
                code::RAPID_COMMIT => self.rapid_commit = true,
                _ => {}
            }
        }
        kind
    }

    /// Whether the client would read an option.
    pub fn wants(&self, code: u8) -> bool {
        self.wants.is_none_or(|list| list.contains(&code))
    }
}

fn parse_kind(value: &[u8]) -> Option<Kind> {
    match value {
        [1] => Some(Kind::Discover),
        [3] => Some(Kind::Request),
        [4] => Some(Kind::Decline),
        [7] => Some(Kind::Release),
        [8] => Some(Kind::Inform),
        _ => None,
    }
}

/// Whether a host can have this address, so that a reply may go there.
fn is_host(address: Ipv4Addr) -> bool {
    let this_network = address.octets()[0] == 0;
    !(this_network || address.is_loopback() || address.is_multicast() || address.is_broadcast())
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}
