//! Queries that servers have been asked and have not answered: who waits for which, so that the same is asked once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use rnet_dns::Reply;
use slab::Slab;

use super::forwarder::{Place, Via};

/// What is asked and how: queries for which this is equal get the same answer.
pub type Name = (Vec<u8>, Via);

/// A client that waits.
pub struct Waiter {
    /// Its query.
    pub message: Rc<[u8]>,
    /// How it came.
    pub via: Via,
    /// What is done with the answer.
    pub then: Box<dyn FnOnce(Reply)>,
    /// Its place among those that may wait.
    pub place: Place,
}

/// Those that have left.
#[derive(Default)]
pub struct Flights {
    flights: Slab<Flight>,
    named: HashMap<Rc<Name>, usize>,
}

/// One question.
#[derive(Default)]
pub struct Flight {
    /// What others can ask too, if that is so.
    pub name: Option<Rc<Name>>,
    /// Who waits for its answer.
    pub waiters: Vec<Waiter>,
    /// Whether its answer is that of the servers that are asked now.
    pub is_current: bool,
}

impl Flights {
    /// Lets somebody wait for what is asked already, or gives the number of a flight that is to leave.
    pub fn board(&mut self, name: Option<Name>, waiter: Waiter) -> Option<usize> {
        let entry = self.flights.vacant_entry();
        let at = entry.key();
        let name = match name.map(Rc::new) {
            None => None,
            Some(name) => match self.named.entry(Rc::clone(&name)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(at);
                    Some(name)
                }
                Entry::Occupied(other) => {
                    if let Some(flight) = self.flights.get_mut(*other.get()) {
                        flight.waiters.push(waiter);
                    }
                    return None;
                }
            },
        };
        entry.insert(Flight { name, waiters: vec![waiter], is_current: false });
        Some(at)
    }

    /// Takes a flight out that has landed.
    pub fn land(&mut self, at: usize) -> Flight {
        let mut flight = self.flights.try_remove(at).unwrap_or_default();
        if let Some(name) = &flight.name
            && self.named.get(name) == Some(&at)
        {
            self.named.remove(name);
            flight.is_current = true;
        }
        flight
    }

    /// Lets nobody else wait for those that have left: other servers are asked from now on.
    pub fn forget(&mut self) {
        self.named.clear();
    }
}
