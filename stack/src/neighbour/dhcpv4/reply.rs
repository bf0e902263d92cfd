//! A DHCPv4 server's reply (RFC 2131 section 4.3.1 and table 3).

use std::net::Ipv4Addr;

use super::message::{FIXED_LEN, Kind, MAGIC_COOKIE, Message, code};
use crate::neighbour::{LinkConfig, LinkV4, domain};

/// A lease has no meaning to a server with one client; it is long, and renewed at the usual times.
const LEASE_SECS: u32 = 86_400;
const RENEWAL_SECS: u32 = LEASE_SECS / 2;
const REBINDING_SECS: u32 = LEASE_SECS / 8 * 7;

/// The least message that every client takes (RFC 2131 section 2), with its IP and UDP headers.
const MIN_MAX_SIZE: u16 = 576;
/// The least BOOTP message; some clients ignore shorter ones (RFC 1542 section 2.1).
const MIN_LEN: usize = 300;
const IP_AND_UDP_LEN: usize = 28;

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK with the address.
    Lease,
    /// DHCPACK with everything but an address, for DHCPINFORM.
    Parameters,
    /// DHCPNAK.
    Refusal,
}

/// A reply to be built.
pub(super) struct Reply<'a> {
    pub config: &'a LinkConfig,
    pub v4: &'a LinkV4,
    pub search: &'a [u8],
    pub message: &'a Message<'a>,
    pub grant: Grant,
}

impl Reply<'_> {
    /// The UDP payload.
    pub fn build(&self) -> Vec<u8> {
        let mut out = self.fixed();
        let kind = match self.grant {
            Grant::Offer => 2,
            Grant::Lease | Grant::Parameters => 5,
            Grant::Refusal => 6,
        };
        option(&mut out, code::MESSAGE_TYPE, &[kind]);
        option(&mut out, code::SERVER, &self.v4.gateway.octets());
        if matches!(self.grant, Grant::Offer | Grant::Lease) {
            option(&mut out, code::LEASE_TIME, &LEASE_SECS.to_be_bytes());
            option(&mut out, code::RENEWAL_TIME, &RENEWAL_SECS.to_be_bytes());
            option(&mut out, code::REBINDING_TIME, &REBINDING_SECS.to_be_bytes());
        }
        if self.grant == Grant::Lease && self.message.kind == Kind::Discover {
            option(&mut out, code::RAPID_COMMIT, &[]);
        }
        if self.grant != Grant::Refusal {
            self.parameters(&mut out);
        }
        if let Some(client) = self.message.client {
            // RFC 6842.
            option(&mut out, code::CLIENT, client);
        }
        if self.grant != Grant::Refusal && self.message.wants(code::SEARCH) {
            self.search(&mut out);
        }
        out.push(code::END);
        out.resize(out.len().max(MIN_LEN), code::PAD);
        out
    }

    fn fixed(&self) -> Vec<u8> {
        let client_address = match self.grant {
            Grant::Refusal => Ipv4Addr::UNSPECIFIED,
            _ => self.message.client_address,
        };
        let your_address = match self.grant {
            Grant::Offer | Grant::Lease => self.v4.address,
            Grant::Parameters | Grant::Refusal => Ipv4Addr::UNSPECIFIED,
        };
        let mut out = Vec::with_capacity(MIN_LEN);
        // BOOTREPLY, Ethernet, six bytes of address, no hops.
        out.extend_from_slice(&[2, 1, 6, 0]);
        out.extend_from_slice(&self.message.transaction);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.message.flags);
        out.extend_from_slice(&client_address.octets());
        out.extend_from_slice(&your_address.octets());
        // No next server, no relay.
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.message.hardware.0);
        // The rest of the hardware address, server name and boot file: none.
        out.resize(FIXED_LEN - MAGIC_COOKIE.len(), 0);
        out.extend_from_slice(&MAGIC_COOKIE);
        out
    }

    /// What the interface needs is always said, for busybox asks for no MTU and takes it all the same.
    fn parameters(&self, out: &mut Vec<u8>) {
        option(out, code::SUBNET_MASK, &self.v4.mask().octets());
        option(out, code::ROUTER, &self.v4.gateway.octets());
        // As many as the option has room for.
        let servers: Vec<u8> = self.config.dns4().take(63).flat_map(|server| server.octets()).collect();
        if !servers.is_empty() {
            option(out, code::DNS, &servers);
        }
        if self.config.offers.mtu {
            option(out, code::MTU, &self.config.mtu.to_be_bytes());
        }
        if let Some(name) = &self.config.client_name.host {
            option(out, code::HOST_NAME, name.as_bytes());
        }
        if let Some(name) = &self.config.client_name.domain {
            // Flags: the name is in wire format (E), and nobody has put it into the DNS (RFC 4702 section 2.1).
            let name = domain::encode(std::slice::from_ref(name));
            option(out, code::CLIENT_FQDN, &[&[4, 255, 255][..], &name].concat());
        }
        if self.message.wants(code::BROADCAST) {
            option(out, code::BROADCAST, &self.v4.broadcast().octets());
        }
        // A gateway outside of the subnet needs a route of its own first.
        if !self.v4.contains(self.v4.gateway) && self.message.wants(code::CLASSLESS_ROUTES) {
            let [a, b, c, d] = self.v4.gateway.octets();
            option(out, code::CLASSLESS_ROUTES, &[32, a, b, c, d, 0, 0, 0, 0, 0, a, b, c, d]);
        }
    }

    /// The search list in pieces of 255 bytes (RFC 3396), if the client takes a message so long.
    fn search(&self, out: &mut Vec<u8>) {
        let max_size = self.message.max_size.unwrap_or(MIN_MAX_SIZE).max(MIN_MAX_SIZE).min(self.config.mtu);
        let room = usize::from(max_size).saturating_sub(IP_AND_UDP_LEN + out.len() + 1);
        if self.search.len() + self.search.len().div_ceil(255) * 2 > room {
            return;
        }
        for piece in self.search.chunks(255) {
            option(out, code::SEARCH, piece);
        }
    }
}

/// Appends an option of at most 255 bytes.
fn option(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    if let Ok(len) = u8::try_from(value.len()) {
        out.extend_from_slice(&[code, len]);
        out.extend_from_slice(value);
    }
}
