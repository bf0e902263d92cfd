//! Sockets that the agent has made inside, ready to connect.

use std::os::fd::{AsFd, OwnedFd};

use rnet_stack::Family;

use crate::agent::{Order, SOCKETS_A_PACKET};
use crate::config::Network;

/// Sockets of each family that are kept at first, and at the most: twice as many whenever there were too few.
const TARGET_MIN: usize = 16;
const TARGET_MAX: usize = 512;

/// The sockets of one family.
#[derive(Debug)]
struct Shelf {
    family: Family,
    sockets: Vec<OwnedFd>,
    ordered: usize,
    target: usize,
    /// The agent cannot make them.
    barred: bool,
}

/// The sockets of both families.
#[derive(Debug)]
pub struct Stock([Shelf; 2]);

impl Stock {
    /// Nothing yet; nothing is ordered in families that the container does not have.
    pub fn new(network: &Network) -> Stock {
        let shelf =
            |family, has: bool| Shelf { family, sockets: Vec::new(), ordered: 0, target: TARGET_MIN, barred: !has };
        Stock([shelf(Family::V4, network.ipv4.is_some()), shelf(Family::V6, network.ipv6.is_some())])
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
    pub fn arrived(&mut self, family: Family, sockets: Vec<OwnedFd>) -> bool {
        let shelf = self.shelf(family);
        shelf.ordered = shelf.ordered.saturating_sub(SOCKETS_A_PACKET.into());
        shelf.barred = sockets.is_empty();
        if !shelf.barred {
            shelf.sockets.extend(sockets);
        }
        !shelf.barred
    }

    /// Orders what is lacking.
    pub fn replenish(&mut self, agent: &OwnedFd) {
        for shelf in &mut self.0 {
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
