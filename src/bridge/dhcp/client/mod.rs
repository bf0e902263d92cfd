//! A DHCP client without sockets or clocks: packets, the time and randomness are arguments, and what is to be sent, and when it next
//! wants to be asked, are results. Times are durations since one fixed moment that also a later process knows (CLOCK_BOOTTIME).

#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod lease;
pub mod packet;
mod sound;
mod timing;
mod v4;
mod v6;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::time::Duration;

pub use lease::{Lease, Server};
use v4::V4;
use v6::V6;

/// Who asks for an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The interface's Ethernet address.
    pub mac: [u8; 6],
    /// What the server knows the container by.
    pub container_id: String,
    /// Which of the container's interfaces it is.
    pub interface: String,
    /// The name that the server may put into the DNS; empty for none.
    pub host_name: String,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// To all DHCPv4 servers of the link, from an address that may be unspecified.
    Broadcast(Ipv4Addr, Vec<u8>),
    /// From our address to that of a DHCPv4 server.
    Unicast(Ipv4Addr, Ipv4Addr, Vec<u8>),
    /// To all DHCPv6 servers of the link.
    Multicast(Vec<u8>),
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The address may be used, until the lease ends; also when it was only renewed.
    Bound(Box<Lease>),
    /// The address must no longer be used.
    Lost,
}

/// A client of one of the families.
#[derive(Debug)]
pub enum Client {
    /// RFC 2131
    V4(V4),
    /// RFC 8415, for one address (IA_NA)
    V6(V6),
}

impl Client {
    /// A client that begins at once. With a lease that was had before it goes on from there. `seed` is to be random.
    pub fn new(identity: Identity, v6: bool, previous: Option<Lease>, now: Duration, seed: u64) -> Client {
        match v6 {
            false => Client::V4(V4::new(identity, previous, now, seed)),
            true => Client::V6(V6::new(identity, previous, now, seed)),
        }
    }

    /// When [`Client::handle_timeout`] is to be called next; `None` while nothing is to be done.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Client::V4(client) => client.timeout(),
            Client::V6(client) => client.timeout(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) -> (Option<Transmit>, Option<Event>) {
        match self {
            Client::V4(client) => client.handle_timeout(now),
            Client::V6(client) => client.handle_timeout(now),
        }
    }

    /// Takes a message from a server, which may be anything.
    pub fn receive(&mut self, now: Duration, message: &[u8]) -> Option<Event> {
        match self {
            Client::V4(client) => client.receive(now, message),
            Client::V6(client) => client.receive(now, message),
        }
    }

    /// Gives the address back, if there is one.
    pub fn release(&mut self) -> Option<Transmit> {
        match self {
            Client::V4(client) => client.release(),
            Client::V6(client) => client.release(),
        }
    }
}
