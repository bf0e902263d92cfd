//! How much each client has under way, so that one of them cannot take everybody's share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

/// Forwarded queries that wait for an answer at once: of one client, and of all.
const QUERIES: usize = 256;
const QUERIES_OF_ALL: usize = 4096;

/// Connections at once: of one client, and of all.
const CONNECTIONS: usize = 32;
const CONNECTIONS_OF_ALL: usize = 512;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A query that waits for an answer from elsewhere.
    Query,
    /// A connection.
    Connection,
}

impl What {
    fn bounds(self) -> (usize, usize) {
        match self {
            What::Query => (QUERIES, QUERIES_OF_ALL),
            What::Connection => (CONNECTIONS, CONNECTIONS_OF_ALL),
        }
    }
}

/// What all clients have under way. A client that has nothing takes no room.
#[derive(Debug, Default)]
pub struct Clients {
    /// By address: queries and connections.
    loads: RefCell<HashMap<IpAddr, [usize; 2]>>,
    all: [Cell<usize>; 2],
}

/// One thing that is under way, until it is dropped.
#[derive(Debug)]
pub struct Share {
    clients: Rc<Clients>,
    client: IpAddr,
    what: What,
}

impl Clients {
    /// A share for one more; `None` at a bound.
    pub fn admit(self: &Rc<Self>, client: IpAddr, what: What) -> Option<Share> {
        let (most, most_of_all) = what.bounds();
        let all = &self.all[what as usize];
        let mut loads = self.loads.borrow_mut();
        let present = loads.get(&client).map_or(0, |load| load[what as usize]);
        if present >= most || all.get() >= most_of_all {
            return None;
        }
        loads.entry(client).or_default()[what as usize] += 1;
        all.set(all.get() + 1);
        Some(Share { clients: Rc::clone(self), client, what })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let all = &self.clients.all[self.what as usize];
        all.set(all.get().saturating_sub(1));
        let mut loads = self.clients.loads.borrow_mut();
        if let Some(load) = loads.get_mut(&self.client) {
            load[self.what as usize] = load[self.what as usize].saturating_sub(1);
            if *load == [0; 2] {
                loads.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_room_for_others() {
        let clients = Rc::new(Clients::default());
        let (a, b) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        let held: Vec<Share> = std::iter::from_fn(|| clients.admit(a, What::Connection)).collect();
        assert_eq!(held.len(), CONNECTIONS);
        assert!(clients.admit(b, What::Connection).is_some() && clients.admit(a, What::Query).is_some());
        drop(held);
        assert!(clients.loads.borrow().is_empty() && clients.all.iter().all(|all| all.get() == 0));
        let many: Vec<Share> =
            (0..u32::MAX).map_while(|n| clients.admit(IpAddr::V4((n / QUERIES as u32).into()), What::Query)).collect();
        assert_eq!(many.len(), QUERIES_OF_ALL);
    }
}
