//! Who has a port that is wanted, as far as this user may see that.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::Protocol;

/// The state of a listening socket in /proc/net/tcp (TCP_LISTEN of linux/tcp_states.h).
const LISTEN: &str = "0A";

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process.
    Process {
        /// Its name, without control characters.
        name: String,
        /// Its id.
        pid: u32,
    },
    /// A process that cannot be looked into, of this user.
    User(u32),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process { name, pid } => write!(f, "{name} (process {pid})"),
            Holder::User(uid) => write!(f, "a process of user {uid}"),
        }
    }
}

/// A socket as the kernel's tables tell of it.
struct Bound {
    uid: u32,
    inode: u64,
}

/// Finds who keeps `wanted` from being bound.
pub fn of(wanted: SocketAddr, protocol: Protocol) -> Option<Holder> {
    let tables = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    let rows = tables.into_iter().filter_map(|table| fs::read_to_string(format!("/proc/self/net/{table}")).ok());
    let rows: Vec<String> = rows.collect();
    let found = rows.iter().flat_map(|text| text.lines().skip(1)).find_map(|row| read(row, wanted, protocol))?;
    Some(process(found.inode).unwrap_or(Holder::User(found.uid)))
}

/// Reads a row of /proc/net/tcp and its like (proc(5)), if it is about a socket that is in the way.
fn read(row: &str, wanted: SocketAddr, protocol: Protocol) -> Option<Bound> {
    let mut fields = row.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?;
    let inode = fields.nth(1)?;
    let (address, port) = local.split_once(':')?;
    let is_there = u16::from_str_radix(port, 16).ok()? == wanted.port() && meets(address_of(address)?, wanted.ip());
    let counts = protocol == Protocol::Udp || state == LISTEN;
    (is_there && counts).then_some(Bound { uid: uid.parse().ok()?, inode: inode.parse().ok()? })
}

/// An address is written as its 32-bit words, each in the order of this machine.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut bytes = [0; 16];
    for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(at)?);
    }
    let address = Ipv6Addr::from(bytes);
    Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::V4))
}

/// Whether two addresses cannot be bound with the same port. An IPv6 socket at all addresses may have those of IPv4 too.
fn meets(held: IpAddr, wanted: IpAddr) -> bool {
    let is_any = held.is_unspecified() && (held.is_ipv6() || wanted.is_ipv4());
    held == wanted || is_any || (wanted.is_unspecified() && held.is_ipv4() == wanted.is_ipv4())
}

/// The process that has a socket open, if it may be looked into.
fn process(inode: u64) -> Option<Holder> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_it = |pid: &u32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        links.filter_map(|link| fs::read_link(link.path()).ok()).any(|target| target == socket)
    };
    let pid = { pids }.find(has_it)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder::Process { name: name.trim().chars().filter(|c| !c.is_control()).collect(), pid })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn our_own_sockets_are_found() {
        let own = |address: &str| {
            let listener = TcpListener::bind(address).unwrap();
            let datagrams = UdpSocket::bind(address).unwrap();
            for (bound, protocol) in
                [(listener.local_addr().unwrap(), Protocol::Tcp), (datagrams.local_addr().unwrap(), Protocol::Udp)]
            {
                let any: IpAddr =
                    if bound.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                for wanted in [bound, SocketAddr::new(any, bound.port())] {
                    let holder = of(wanted, protocol);
                    let pid = std::process::id();
                    assert!(matches!(&holder, Some(Holder::Process { pid: its, .. }) if *its == pid), "{holder:?}");
                }
            }
        };
        ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"].into_iter().for_each(own);
    }

    #[test]
    fn who_is_not_in_the_way_is_not_named() {
        let row = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1";
        let found = |wanted: &str, protocol| read(row, wanted.parse().unwrap(), protocol).map(|found| found.inode);
        assert_eq!(found("127.0.0.1:8080", Protocol::Tcp), Some(4711));
        assert_eq!(found("0.0.0.0:8080", Protocol::Tcp), Some(4711));
        assert_eq!(found("127.0.0.2:8080", Protocol::Tcp), None);
        assert_eq!(found("127.0.0.1:8081", Protocol::Tcp), None);
        assert_eq!(found("[::]:8080", Protocol::Tcp), None);
        assert!(read("garbage", "127.0.0.1:1".parse().unwrap(), Protocol::Udp).is_none());
    }
}
