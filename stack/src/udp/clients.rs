//! Clients of published ports whose answers do not find them by their address alone: those that the container knows by
//! another name, and those that came to another host port than the one that the container's datagrams leave from.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use foldhash::fast::FixedState;

use crate::edge::UdpId;
use crate::flow::Mappings;
use crate::{Duration, Instant};

/// How long a client may be silent (RFC 4787 section 4.3: two minutes at least).
const IDLE: Duration = Duration::from_secs(120);

/// The ports that stand for a client's own when that is taken.
const PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;

/// How many of them are tried.
const TRIES: usize = 64;

/// A client as the container knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name {
    guest: SocketAddr,
    client: SocketAddr,
}

/// A client as the host knows it: the mapping that it came by, and its address.
type Real = (UdpId, SocketAddr);

/// A bounded table of clients. When it is full the client that was silent for longest is forgotten, and found again when it
/// next sends: its answers alone are lost.
#[derive(Debug)]
pub(super) struct Clients {
    by_name: Mappings<Name, Real>,
    by_real: HashMap<Real, SocketAddr, FixedState>,
    next_port: u16,
}

impl Clients {
    pub(super) fn new(limit: usize, seed: u64) -> Clients {
        Clients {
            by_name: Mappings::new(limit, seed),
            by_real: HashMap::with_hasher(FixedState::with_seed(seed)),
            next_port: seed as u16,
        }
    }

    /// The client that the container's end `guest` knows as `client`.
    pub(super) fn real(&mut self, now: Instant, guest: SocketAddr, client: SocketAddr) -> Option<Real> {
        if self.by_name.is_empty() {
            return None;
        }
        let id = self.by_name.find(&Name { guest, client })?;
        self.by_name.touch(id, now, IDLE);
        self.by_name.get(id).map(|(_, real)| *real)
    }

    /// What the container calls a client, if that has been settled.
    pub(super) fn name(&self, real: Real) -> Option<SocketAddr> {
        self.by_real.get(&real).copied()
    }

    /// Settles what the container's end `guest` calls a client: `wanted`, with another port where another client has that.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        guest: SocketAddr,
        real: Real,
        mut wanted: SocketAddr,
    ) -> Option<SocketAddr> {
        if let Some(&client) = self.by_real.get(&real) {
            if let Some(id) = self.by_name.find(&Name { guest, client }) {
                self.by_name.touch(id, now, IDLE);
            }
            return Some(client);
        }
        if self.by_name.is_full()
            && let Some(forgotten) = self.by_name.evict()
        {
            self.by_real.remove(&forgotten);
        }
        for _ in 0..TRIES {
            let name = Name { guest, client: wanted };
            if self.by_name.find(&name).is_none() {
                self.by_name.insert(name, real, now + IDLE).ok()?;
                self.by_real.insert(real, wanted);
                return Some(wanted);
            }
            self.next_port = self.next_port.wrapping_add(1);
            wanted.set_port(PORTS.start() + self.next_port % (PORTS.end() - PORTS.start() + 1));
        }
        None
    }

    /// Forgets the clients of mappings that are gone.
    pub(super) fn forget(&mut self, gone: &[UdpId]) {
        let gone: HashSet<UdpId> = gone.iter().copied().collect();
        for real in self.by_name.remove_if(|(id, _)| gone.contains(id)) {
            self.by_real.remove(&real);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, _, real)) = self.by_name.take_expired(now) {
            self.by_real.remove(&real);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.by_name.next_timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        let mut clients = Clients::new(3, 1);
        let (guest, gateway) = (addr("10.0.2.100:53"), addr("10.0.2.2:4000"));
        let (a, b) = ((UdpId(0), addr("127.0.0.1:4000")), (UdpId(0), addr("127.0.0.2:4000")));
        assert_eq!(clients.admit(Instant::ZERO, guest, a, gateway), Some(gateway));
        let other = clients.admit(Instant::ZERO, guest, b, gateway).unwrap();
        assert!(other.ip() == gateway.ip() && other != gateway);
        assert_eq!(clients.admit(Instant::ZERO, guest, a, gateway), Some(gateway));
        assert_eq!((clients.real(Instant::ZERO, guest, gateway), clients.name(b)), (Some(a), Some(other)));
        assert_eq!(clients.real(Instant::ZERO, guest, other), Some(b));
        assert_eq!(clients.real(Instant::ZERO, addr("10.0.2.100:54"), gateway), None);
        clients.handle_timeout(Instant::ZERO + IDLE);
        assert_eq!((clients.real(Instant::ZERO, guest, gateway), clients.name(a)), (None, None));
    }

    #[test]
    fn the_clients_of_a_mapping_go_with_it() {
        let mut clients = Clients::new(3, 1);
        let (guest, name) = (addr("10.0.2.100:53"), addr("10.0.2.2:4000"));
        let (gone, stays) = ((UdpId(0), addr("127.0.0.1:4000")), (UdpId(1), addr("127.0.0.1:4001")));
        assert_eq!(clients.admit(Instant::ZERO, guest, gone, name), Some(name));
        let other = clients.admit(Instant::ZERO, guest, stays, addr("10.0.2.2:4001")).unwrap();
        clients.forget(&[UdpId(0)]);
        assert_eq!((clients.name(gone), clients.real(Instant::ZERO, guest, name)), (None, None));
        assert_eq!((clients.name(stays), clients.real(Instant::ZERO, guest, other)), (Some(other), Some(stays)));
    }

    #[test]
    fn a_full_table_forgets_the_silent() {
        let mut clients = Clients::new(2, 1);
        let guest = addr("10.0.2.100:53");
        let real = |n: u16| (UdpId(0), SocketAddr::from(([127, 0, 0, 1], n)));
        let name = |n: u16| SocketAddr::from(([10, 0, 2, 2], n));
        for n in 1..=50 {
            assert_eq!(clients.admit(Instant::from_millis(i64::from(n)), guest, real(n), name(n)), Some(name(n)));
        }
        assert_eq!((clients.name(real(48)), clients.name(real(49))), (None, Some(name(49))));
        assert_eq!((clients.by_name.len(), clients.by_real.len()), (2, 2));
    }
}
