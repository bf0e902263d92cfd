//! The kernel's memory of connections (ctnetlink): entries that would lead packets to where a container was are removed, so that
//! also a running UDP flow reaches its successor.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use nix::errno::Errno;

use super::error::{Error, Result};
use super::netlink::attribute::{Attributes, find, read};
use super::netlink::{NetlinkSocket, body};

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// CTA_*
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const FILTER: u16 = 25;
/// CTA_TUPLE_IP, CTA_TUPLE_PROTO
const IP: u16 = 1;
const PROTO: u16 = 2;
/// CTA_IP_*
const V4_SRC: u16 = 1;
const V6_SRC: u16 = 3;
/// CTA_PROTO_NUM, CTA_PROTO_DST_PORT
const NUMBER: u16 = 1;
const DST_PORT: u16 = 3;
/// CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS
const ORIG_FLAGS: u16 = 1;
const REPLY_FLAGS: u16 = 2;
/// CTA_FILTER_FLAG(CTA_IP_SRC), CTA_FILTER_FLAG(CTA_PROTO_NUM)
const BY_SOURCE: u32 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
const UDP: u8 = 17;

/// Forgets the connections from and to these addresses of containers, and those to UDP ports of the host. What it was done over is
/// handed back: nfnetlink waits at the end of every socket until rules that were removed before are freed.
pub fn flush(addresses: &[IpAddr], udp: &[RangeInclusive<u16>]) -> Result<NetlinkSocket> {
    let socket = NetlinkSocket::open(netlink_sys::protocols::NETLINK_NETFILTER);
    let mut socket = socket.map_err(|error| Error::from(error).during("open netlink socket for conntrack"))?;
    for &address in addresses {
        for tuple in [TUPLE_ORIG, TUPLE_REPLY] {
            flush_address(&mut socket, address, tuple)?;
        }
    }
    if !udp.is_empty() {
        flush_udp(&mut socket, udp)?;
    }
    Ok(socket)
}

/// Removes all entries whose tuple begins at the address: those that the container opened (original direction), and those that
/// were opened to it, whatever address they were opened at (reply direction). A kernel before 5.8 knows no filters, takes the
/// tuple for a whole one, and refuses it.
fn flush_address(socket: &mut NetlinkSocket, address: IpAddr, tuple: u16) -> Result<()> {
    let (family, kind, bytes) = match address {
        IpAddr::V4(address) => (libc::AF_INET, V4_SRC, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, V6_SRC, address.octets().to_vec()),
    };
    let mut attributes = Attributes::new();
    attributes.nest(tuple, |tuple| tuple.nest(IP, |ip| ip.put(kind, &bytes)));
    filter(&mut attributes, tuple, BY_SOURCE);
    match socket.request(DELETE, 0, &body(&nfgenmsg(family as u8), &attributes)) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno).during(format!("flush conntrack entries of {address}"))),
    }
}

/// Removes entries of UDP flows to ports that are now published.
fn flush_udp(socket: &mut NetlinkSocket, ports: &[RangeInclusive<u16>]) -> Result<()> {
    // The kernel filters by protocol within one family only.
    [libc::AF_INET, libc::AF_INET6].into_iter().try_for_each(|family| flush_udp_of(socket, ports, family as u8))
}

fn flush_udp_of(socket: &mut NetlinkSocket, ports: &[RangeInclusive<u16>], family: u8) -> Result<()> {
    let failed = |errno| Error::Netlink(errno).during("look for UDP conntrack entries");
    let mut attributes = Attributes::new();
    attributes.nest(TUPLE_ORIG, |tuple| tuple.nest(PROTO, |proto| proto.put(NUMBER, &[UDP])));
    filter(&mut attributes, TUPLE_ORIG, BY_PROTOCOL);
    for answer in socket.dump(GET, &body(&nfgenmsg(family), &attributes)).map_err(failed)? {
        let Some((_, entry)) = answer.body.split_first_chunk::<4>() else { continue };
        if !udp_port(entry).is_some_and(|port| ports.iter().any(|range| range.contains(&port))) {
            continue;
        }
        let mut exact = Attributes::new();
        for (kind, value) in read(entry).filter(|(kind, _)| [TUPLE_ORIG, ID].contains(kind)) {
            match kind {
                TUPLE_ORIG => exact.nest(kind, |tuple| tuple.raw(value)),
                _ => exact.put(kind, value),
            }
        }
        match socket.request(DELETE, 0, &body(&nfgenmsg(family), &exact)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Error::Netlink(errno).during("delete a UDP conntrack entry")),
        }
    }
    Ok(())
}

fn filter(attributes: &mut Attributes, tuple: u16, flags: u32) {
    attributes.nest(FILTER, |filter| {
        let of = |which| if which == tuple { flags } else { 0 };
        filter.put(ORIG_FLAGS, &of(TUPLE_ORIG).to_ne_bytes());
        filter.put(REPLY_FLAGS, &of(TUPLE_REPLY).to_ne_bytes());
    });
}

/// The destination port of a UDP entry's original direction.
fn udp_port(entry: &[u8]) -> Option<u16> {
    let proto = find(find(entry, TUPLE_ORIG)?, PROTO)?;
    if find(proto, NUMBER)? != [UDP] {
        return None;
    }
    find(proto, DST_PORT)?.try_into().ok().map(u16::from_be_bytes)
}

/// struct nfgenmsg
fn nfgenmsg(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}
