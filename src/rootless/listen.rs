//! The host sockets of published ports: opened in the host's network namespace with the caller's rights, before anything
//! is locked up and before the command starts. Either all of them are open or none.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rnet_stack::Family;
use socket2::{Domain, SockAddr, Socket, Type};
use tracing::debug;

use super::holder::{self, Holder};
use crate::config::{Binding, Network, Protocol, Publish};

/// Connections that wait to be accepted; the host's limit (net.core.somaxconn) may be lower.
pub const BACKLOG: i32 = 4096;

/// Descriptors that are left for everything else.
const RESERVE: u64 = 64;

/// What stands in the way of a published port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port cannot be had.
    #[error("publish {socket}/{protocol}: {}{hint}", lower(.source))]
    Port {
        /// The host's address and port.
        socket: SocketAddr,
        /// The protocol.
        protocol: Protocol,
        /// Why not.
        source: io::Error,
        /// What to do about it.
        hint: String,
    },
    /// A port cannot be had, in the words of the program whose option asks for it.
    #[error("Failed to bind port {port} ({}) for option '{option}', exiting", words(.source))]
    Asked {
        /// The host's port.
        port: u16,
        /// Why not.
        source: io::Error,
        /// The option with its value.
        option: String,
    },
    /// Of all the ports that may be left out none can be had.
    #[error("Failed to bind any port for '{option}', exiting")]
    None {
        /// The option with its value.
        option: String,
    },
    /// There are more ports than descriptors.
    #[error(
        "publish ports: {needed} sockets are needed, but a process may have only {limit} descriptors here: publish fewer, at one \
         address, or raise the limit (`ulimit -Hn`)"
    )]
    Descriptors {
        /// Sockets of all ports.
        needed: u64,
        /// RLIMIT_NOFILE.
        limit: u64,
    },
}

/// A rule of a running network, by the number that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// A host socket, and the container's end that it leads to.
#[derive(Debug)]
pub struct Published {
    /// The socket: listening (TCP) or bound (UDP), non-blocking.
    pub socket: Socket,
    /// Where on the host.
    pub ends: Ends,
    /// The rule that it belongs to.
    pub rule: RuleId,
}

/// Both ends of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The host's address and port.
    pub at: SocketAddr,
    /// The container's address and port.
    pub to: SocketAddr,
}

/// The sockets of published ports.
#[derive(Debug, Default)]
pub struct PublishedPorts {
    /// TCP listeners.
    pub tcp: Vec<Published>,
    /// UDP sockets.
    pub udp: Vec<Published>,
}

impl PublishedPorts {
    /// Opens the sockets of all rules of a network, which are numbered from 0 on. The soft limit of descriptors is raised where
    /// that is needed.
    ///
    /// # Errors
    /// When one of them cannot be had; none is open then.
    pub fn open(network: &Network) -> Result<PublishedPorts, Error> {
        make_room(network, &network.publish)?;
        let mut ports = PublishedPorts::default();
        for (rule, number) in network.publish.iter().zip(0..) {
            ports.open_rule(network, rule, RuleId(number), |_| false)?;
        }
        ports.has_some(network)?;
        Ok(ports)
    }

    /// Sees to it that of the ports of an option, all of which may be left out, one is there.
    fn has_some(&self, network: &Network) -> Result<(), Error> {
        let mut optional: HashMap<&str, bool> = HashMap::new();
        for (rule, number) in network.publish.iter().zip(0..) {
            if let Some(option) = rule.binding.asked_by.as_deref().filter(|_| rule.binding.best_effort) {
                *optional.entry(option).or_default() |= self.iter().any(|published| published.rule == RuleId(number));
            }
        }
        match optional.into_iter().find(|(_, has)| !has) {
            Some((option, _)) => Err(Error::None { option: option.into() }),
            None => Ok(()),
        }
    }

    /// Opens the sockets of one more rule, but those at host addresses of which `is_kept` is true.
    ///
    /// # Errors
    /// When one of them cannot be had; the others stay open.
    pub fn open_rule(
        &mut self,
        network: &Network,
        publish: &Publish,
        rule: RuleId,
        is_kept: impl Fn(SocketAddr) -> bool,
    ) -> Result<(), Error> {
        let protocol = publish.protocol;
        let mut absent = None;
        for ends in ends(network, publish) {
            let at = ends.at;
            if absent == Some(Family::of(at.ip())) || is_kept(at) {
                continue;
            }
            match open(at, protocol, &publish.binding) {
                Ok(socket) => self.of_mut(protocol).push(Published { socket, ends, rule }),
                Err(error) if publish.address.is_none() && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                    debug!("the host has no sockets for {at}");
                    absent = Some(Family::of(at.ip()));
                }
                Err(error) if publish.binding.best_effort && !is_exhausted(&error) => {
                    debug!(%error, "the port {at} is left out");
                }
                Err(source) if publish.binding.asked_by.is_some() => {
                    let option = publish.binding.asked_by.clone().unwrap_or_default();
                    return Err(Error::Asked { port: at.port(), source, option });
                }
                Err(source) => {
                    let hint = hint(&source, at, protocol);
                    return Err(Error::Port { socket: at, protocol, source, hint });
                }
            }
        }
        Ok(())
    }

    /// Those of a protocol.
    pub fn of_mut(&mut self, protocol: Protocol) -> &mut Vec<Published> {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
        }
    }

    /// The same for one more worker: listeners are shared, and whoever is there first accepts. UDP ports stay with the
    /// first.
    pub fn for_another_worker(&self) -> io::Result<PublishedPorts> {
        let share = |Published { socket, ends, rule }: &Published| {
            Ok(Published { socket: socket.try_clone()?, ends: *ends, rule: *rule })
        };
        Ok(PublishedPorts { tcp: self.tcp.iter().map(share).collect::<io::Result<_>>()?, udp: Vec::new() })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Published> {
        self.tcp.iter().chain(&self.udp)
    }

    /// The descriptors of all sockets.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.iter().map(|published| published.socket.as_fd())
    }
}

/// The ends of all ports that a rule publishes, in the families that the container has.
pub fn ends(network: &Network, publish: &Publish) -> impl Iterator<Item = Ends> {
    let addresses = publish.addresses().filter_map(|address| Some((address, target(network, publish, address)?)));
    addresses.flat_map(|(host, guest)| {
        publish.ports().map(move |(port, container)| Ends {
            at: SocketAddr::new(host, port),
            to: SocketAddr::new(guest, container),
        })
    })
}

/// What is behind a host's address: what the rule says, or the container's own address. A rule for all of the host's addresses
/// that names one of the container's is for that family.
fn target(network: &Network, publish: &Publish, host: IpAddr) -> Option<IpAddr> {
    match publish.guest {
        Some(target) => {
            let fits = publish.address.is_some() || Family::of(target) == Family::of(host);
            Some(target).filter(|target| fits && guest_address(network, *target).is_some())
        }
        None => guest_address(network, host),
    }
}

/// Whether the process has no descriptors or memory left.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// The container's address in the family of a host's, if it has one.
fn guest_address(network: &Network, host: IpAddr) -> Option<IpAddr> {
    match Family::of(host) {
        Family::V4 => network.ipv4.map(|subnet| subnet.address.into()),
        Family::V6 => network.ipv6.map(|subnet| subnet.address.into()),
    }
}

/// Sees to it that all sockets of `rules` find a descriptor, in this process and in the stack's.
///
/// # Errors
/// When there cannot be so many.
pub fn make_room<'a>(network: &Network, rules: impl IntoIterator<Item = &'a Publish>) -> Result<(), Error> {
    // Each thread has its own descriptors of the listeners.
    let sockets = rules.into_iter().map(|rule| {
        let copies = if rule.protocol == Protocol::Tcp { network.threads } else { 1 };
        rule.len() * copies * rule.addresses().filter(|&ip| target(network, rule, ip).is_some()).count()
    });
    let needed = sockets.sum::<usize>() as u64;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if needed > 0 && needed + RESERVE > hard {
        return Err(Error::Descriptors { needed, limit: hard });
    }
    if needed + RESERVE > soft {
        // Should it fail, the socket that finds no descriptor says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

fn open(address: SocketAddr, protocol: Protocol, binding: &Binding) -> io::Result<Socket> {
    let (kind, protocol) = match protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv6() {
        // A socket for each family: clients keep the addresses of theirs.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Connections that were here before and are in TIME-WAIT do not keep the port.
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit both, which saves a call for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_out_of_band_inline(true)?;
    }
    if let Some(interface) = &binding.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if binding.free {
        match Family::of(address.ip()) {
            Family::V4 => socket.set_freebind_v4(true)?,
            Family::V6 => socket.set_freebind_v6(true)?,
        }
    }
    socket.bind(&SockAddr::from(address))?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn hint(error: &io::Error, socket: SocketAddr, protocol: Protocol) -> String {
    let port = socket.port();
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            let holder = holder::of(socket, protocol);
            if let Some(holder @ Holder::Process { .. }) = &holder {
                return format!(" by {holder}: end that, or choose another port");
            }
            let kind = if protocol == Protocol::Tcp { "t" } else { "u" };
            let whose = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
            format!("{whose}; `ss -l{kind}np sport = :{port}` tells who has it: end that, or choose another port")
        }
        Some(libc::EADDRNOTAVAIL) => {
            format!(
                "; the host does not have {} (see `ip address`): choose another address or leave it out",
                socket.ip()
            )
        }
        Some(libc::EACCES) => match first_unprivileged() {
            Some(first) if port < first => format!(
                "; ports below {first} are for root: choose a higher one, or `sysctl -w net.ipv4.ip_unprivileged_port_start={port}`"
            ),
            _ => String::new(),
        },
        Some(libc::EAFNOSUPPORT) => "; the host has no sockets of this family: choose an address of the other".into(),
        Some(libc::EMFILE) => "; raise the limit of descriptors (`ulimit -n`) or publish fewer ports".into(),
        _ => String::new(),
    }
}

fn first_unprivileged() -> Option<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?.trim().parse().ok()
}

/// The C library's words.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().into(),
        None => error.to_string(),
    }
}

/// The kernel's words as they stand in the middle of a sentence.
fn lower(error: &io::Error) -> String {
    let words =
        error.raw_os_error().map_or_else(|| error.to_string(), |code| nix::errno::Errno::from_raw(code).desc().into());
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_flows_need() {
        let listener = open("127.0.0.1:0".parse().unwrap(), Protocol::Tcp, &Binding::default()).unwrap();
        let address = listener.local_addr().unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.connect(&address).unwrap();
        let listener = mio::net::TcpListener::from_std(listener.into());
        let (accepted, from) = listener.accept().unwrap();
        let accepted = socket2::SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.out_of_band_inline().unwrap());
        assert!(accepted.nonblocking().unwrap());
        assert_eq!(Some(from), client.local_addr().unwrap().as_socket());
    }
}
