//! A DHCPv6 server's advertisement or reply (RFC 8415 section 18.3).

use std::net::Ipv6Addr;

use super::message::{Association, AssociationKind, Kind, Message, code};
use crate::neighbour::{LinkConfig, LinkV6, domain};

/// A lease has no meaning to a server with one client; it is long, and renewed at the usual times.
const LEASE_SECS: u32 = 86_400;
const RENEWAL_SECS: u32 = LEASE_SECS / 2;
const REBINDING_SECS: u32 = LEASE_SECS / 5 * 4;

const ADVERTISE: u8 = 2;
const REPLY: u8 = 7;

const SUCCESS: u16 = 0;
const NO_ADDRESSES_AVAILABLE: u16 = 2;
const NOT_ON_LINK: u16 = 4;
const NO_PREFIX_AVAILABLE: u16 = 6;

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Advertise: what it would get.
    Advertise,
    /// Reply with the address.
    Lease,
    /// Reply with everything but an address.
    Parameters,
    /// Reply: so be it.
    Done,
    /// Reply: these addresses don't belong here.
    NotOnLink,
}

/// A reply to be built.
pub(super) struct Reply<'a> {
    pub config: &'a LinkConfig,
    pub v6: &'a LinkV6,
    pub search: &'a [u8],
    pub server: &'a [u8],
    pub message: &'a Message<'a>,
    pub grant: Grant,
}

impl Reply<'_> {
    /// The UDP payload.
    pub fn build(&self) -> Vec<u8> {
        let mut out = vec![if self.grant == Grant::Advertise { ADVERTISE } else { REPLY }];
        out.extend_from_slice(&self.message.transaction);
        if let Some(client) = self.message.client {
            option(&mut out, code::CLIENT, client);
        }
        option(&mut out, code::SERVER, self.server);
        match self.grant {
            Grant::Advertise => {
                // The highest preference: the client need not wait for other servers (RFC 8415 section 18.2.1).
                option(&mut out, code::PREFERENCE, &[255]);
                self.associations(&mut out);
            }
            Grant::Lease => {
                if self.message.kind == Kind::Solicit {
                    option(&mut out, code::RAPID_COMMIT, &[]);
                }
                self.associations(&mut out);
            }
            Grant::Done => status(&mut out, SUCCESS),
            Grant::NotOnLink => status(&mut out, NOT_ON_LINK),
            Grant::Parameters => {}
        }
        if matches!(self.grant, Grant::Advertise | Grant::Lease | Grant::Parameters) {
            self.parameters(&mut out);
        }
        out
    }

    fn parameters(&self, out: &mut Vec<u8>) {
        let servers: Vec<u8> = self.config.dns6().flat_map(|server| server.octets()).collect();
        if !servers.is_empty() {
            option(out, code::DNS, &servers);
        }
        if let Some(name) = &self.config.client_name.domain {
            // Nobody puts the name into the DNS; who wanted that is overruled, by the O bit (RFC 4704 section 4.1).
            let flags = u8::from(self.message.wants_name_update) << 1;
            option(out, code::CLIENT_FQDN, &[&[flags][..], &domain::encode(std::slice::from_ref(name))].concat());
        }
        if !self.search.is_empty() && self.message.wants(code::SEARCH) {
            option(out, code::SEARCH, self.search);
        }
    }

    /// The first association of an address gets ours; there is nothing for any other.
    fn associations(&self, out: &mut Vec<u8>) {
        let mut given = false;
        for association in &self.message.associations {
            let (code, refusal) = match association.kind {
                AssociationKind::NonTemporary => (code::IA_NA, NO_ADDRESSES_AVAILABLE),
                AssociationKind::Temporary => (code::IA_TA, NO_ADDRESSES_AVAILABLE),
                AssociationKind::Prefix => (code::IA_PD, NO_PREFIX_AVAILABLE),
            };
            if association.kind == AssociationKind::NonTemporary && !given {
                given = true;
                option(out, code, &self.association(association));
                continue;
            }
            let mut value = association.id.to_vec();
            if association.kind != AssociationKind::Temporary {
                value.extend_from_slice(&[0; 8]);
            }
            status(&mut value, refusal);
            option(out, code, &value);
        }
    }

    fn association(&self, association: &Association<'_>) -> Vec<u8> {
        let mut value = association.id.to_vec();
        value.extend_from_slice(&RENEWAL_SECS.to_be_bytes());
        value.extend_from_slice(&REBINDING_SECS.to_be_bytes());
        address(&mut value, self.v6.address, LEASE_SECS);
        if self.grant == Grant::Lease {
            // Lifetimes of zero take back what the client thought it had (RFC 8415 section 18.3.4).
            for other in association.addresses().filter(|other| *other != self.v6.address) {
                address(&mut value, other, 0);
            }
        }
        value
    }
}

fn address(out: &mut Vec<u8>, address: Ipv6Addr, lifetime: u32) {
    let [a, b, c, d] = lifetime.to_be_bytes();
    let mut value = address.octets().to_vec();
    // Preferred and valid lifetimes.
    value.extend_from_slice(&[a, b, c, d, a, b, c, d]);
    option(out, code::IA_ADDRESS, &value);
}

fn status(out: &mut Vec<u8>, status: u16) {
    option(out, code::STATUS, &status.to_be_bytes());
}

/// Appends an option of at most 65535 bytes.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    if let Ok(len) = u16::try_from(value.len()) {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(value);
    }
}
