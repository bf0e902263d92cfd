//! Sockets that the agent has made inside, ready to connect.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rnet_stack::Family;

use crate::agent::{Order, SOCKETS_A_PACKET};
use crate::config::{Network, Splice};

/// Sockets of each family that are kept at first, and at the most: twice as many whenever there were too few.
const TARGET_MIN: usize = 16;
const TARGET_MAX: usize = 512;

/// One descriptor in so many is for them at first.
const SHARE: u64 = 32;

/// How long nothing is ordered when there are no descriptors for what comes.
const PAUSE: Duration = Duration::from_millis(100);

/// The sockets of one family.
#[derive(Debug)]
struct Shelf {
    family: Family,
    sockets: Vec<OwnedFd>,
    ordered: usize,
    target: usize,
    /// The agent cannot make them.
    barred: bool,
    /// Nothing is ordered before then.
    paused: Option<Instant>,
}

/// The sockets of both families.
#[derive(Debug)]
pub struct Stock([Shelf; 2]);

impl Stock {
    /// Nothing yet; nothing is ordered in families that the container does not have, or where nothing is to be spliced.
    pub fn new(network: &Network, descriptors: u64) -> Stock {
        let target = TARGET_MIN.min(usize::try_from(descriptors / SHARE).unwrap_or(TARGET_MIN)).max(2);
        let shelf =
            |family, has: bool| Shelf { family, sockets: Vec::new(), ordered: 0, target, barred: !has, paused: None };
        let splices = network.link.splice == Splice::On;
        let has = [network.ipv4.is_some(), network.ipv6.is_some()].map(|has| has && splices);
        Stock([shelf(Family::V4, has[0]), shelf(Family::V6, has[1])])
    }

    /// Takes a socket.
    pub fn take(&mut self, family: Family) -> Option<OwnedFd> {
        let shelf = self.shelf(family);
        let socket = shelf.sockets.pop();
        if socket.is_none() && shelf.ordered < shelf.target {
            shelf.target = (shelf.target * 2).min(TARGET_MAX);
        }
        socket
    }

    /// Puts in what the agent has sent; says whether sockets of the family can be had at all.
    pub fn arrived(&mut self, family: Family, made: u8, sockets: Vec<OwnedFd>) -> bool {
        let shelf = self.shelf(family);
        shelf.ordered = shelf.ordered.saturating_sub(SOCKETS_A_PACKET.into());
        shelf.barred = made == 0;
        shelf.paused = (sockets.len() < made.into()).then(|| Instant::now() + PAUSE);
        shelf.sockets.extend(sockets);
        !shelf.barred
    }

    /// Orders what is lacking.
    pub fn replenish(&mut self, agent: &OwnedFd) {
        for shelf in &mut self.0 {
            if shelf.paused.is_some_and(|until| until > Instant::now()) {
                continue;
            }
            while !shelf.barred && shelf.sockets.len() + shelf.ordered <= shelf.target / 2 {
                let lacking = (shelf.target - shelf.sockets.len() - shelf.ordered).min(SOCKETS_A_PACKET.into());
                let order = Order::Sockets(shelf.family, lacking as u8);
                if order.send(agent.as_fd()).is_err() {
                    // It has orders enough.
                    break;
                }
                shelf.ordered += usize::from(SOCKETS_A_PACKET);
            }
        }
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|shelf| shelf.sockets.clear());
    }

    fn shelf(&mut self, family: Family) -> &mut Shelf {
        let [v4, v6] = &mut self.0;
        if family == Family::V4 { v4 } else { v6 }
    }
}
