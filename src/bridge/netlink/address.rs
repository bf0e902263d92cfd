//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, CacheInfo};

use super::attribute::{Attributes, read};
use super::socket::{CREATE, EXCL, REPLACE, body};
use super::{Route, emitted};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
/// The length of struct ifaddrmsg.
const IFADDRMSG: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// RT_SCOPE_LINK
const SCOPE_LINK: u8 = 253;

/// An address that a link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The address with its prefix.
    pub net: IpNet,
    /// Whether it means anything beyond the link.
    pub link_scope: bool,
}

/// For how long an address is there, in seconds; `u32::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// It is there.
    pub valid: u32,
    /// New connections use it.
    pub preferred: u32,
}

impl Route {
    /// Adds an address that the link does not have; IPv4 ones with their broadcast address.
    pub fn add_address(&mut self, index: u32, address: IpNet) -> nix::Result<()> {
        self.0.request(RTM_NEWADDR, CREATE | EXCL, &emitted(&message(index, address)))
    }

    /// Adds an address for a time, or gives one that is there more time; the kernel takes it away when the time is over.
    pub fn replace_address(&mut self, index: u32, address: IpNet, lifetime: Lifetime) -> nix::Result<()> {
        let mut message = message(index, address);
        let mut times = CacheInfo::default();
        (times.ifa_preferred, times.ifa_valid) = (lifetime.preferred, lifetime.valid);
        message.attributes.push(AddressAttribute::CacheInfo(times));
        self.0.request(RTM_NEWADDR, CREATE | REPLACE, &emitted(&message))
    }

    /// Takes an address away.
    pub fn delete_address(&mut self, index: u32, address: IpNet) -> nix::Result<()> {
        self.0.request(RTM_DELADDR, 0, &emitted(&message(index, address)))
    }

    /// The addresses of a link.
    pub fn addresses(&mut self, index: u32) -> nix::Result<Vec<Assigned>> {
        let mut header = [0; IFADDRMSG];
        header[4..].copy_from_slice(&index.to_ne_bytes());
        let answers = self.0.dump(RTM_GETADDR, &body(&header, &Attributes::new()))?;
        Ok(answers.iter().filter_map(|answer| parse(&answer.body, index)).collect())
    }
}

fn message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(address.addr()));
    if let IpNet::V4(net) = address {
        message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
    }
    message
}

fn parse(bytes: &[u8], index: u32) -> Option<Assigned> {
    let header = bytes.get(..IFADDRMSG)?;
    if u32::from_ne_bytes(header[4..8].try_into().ok()?) != index {
        return None;
    }
    let (mut local, mut address) = (None, None);
    for (kind, value) in read(&bytes[IFADDRMSG..]) {
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => address = ip(value),
            _ => {}
        }
    }
    let net = IpNet::new(local.or(address)?, header[1]).ok()?;
    Some(Assigned { net, link_scope: header[3] == SCOPE_LINK })
}

pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}
