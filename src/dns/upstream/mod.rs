//! The servers that are asked.

pub mod encrypted;
mod group;
mod plain;
mod ports;
mod provider;
mod socket;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;

use rnet_dns::{Ede, Query};

use crate::config::{DnsServer, Outbound};
use crate::dns::forwarder::Via;
use crate::dns::random::Random;
use encrypted::{Encrypted, Trust};
pub use group::Group;
use plain::Plain;
use provider::Provider;

/// What all servers have in common.
pub struct Common {
    /// What sockets are bound to.
    pub outbound: Outbound,
    /// Whose certificates are believed.
    pub trust: Option<Trust>,
    /// What hickory connects with; what it has connected ends with this.
    provider: Provider,
    /// Where unguessable numbers come from.
    pub random: Random,
    /// The host's own servers, which find the others.
    pub host: RefCell<Rc<Group>>,
}

impl Common {
    /// With no servers of the host's as yet.
    pub fn new(outbound: Outbound, trust: Option<Trust>) -> Rc<Common> {
        let host = RefCell::new(Rc::new(Group::none()));
        let provider = Provider::new(outbound.clone());
        Rc::new(Common { outbound, trust, provider, random: Random::default(), host })
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The answer, whole if it was to be had whole.
    pub full: Vec<u8>,
    /// The server's own answer by UDP, if that was cut.
    pub short: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server is known.
    NoServers,
    /// None has answered in time.
    TimedOut,
    /// None could be reached; why the last one could not.
    Unreachable(String),
}

impl Failure {
    /// What a client is told (RFC 8914).
    pub fn ede(&self) -> Ede {
        match self {
            Failure::NoServers | Failure::TimedOut => Ede::NoReachableAuthority,
            Failure::Unreachable(_) => Ede::NetworkError,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoServers => f.write_str("no name server is known"),
            Failure::TimedOut => f.write_str("no name server answers"),
            Failure::Unreachable(why) => write!(f, "no name server can be reached: {why}"),
        }
    }
}

/// One server.
pub struct Upstream {
    server: DnsServer,
    speaks: Speaks,
}

enum Speaks {
    Plain(Plain),
    Encrypted(Encrypted),
}

impl Upstream {
    fn new(server: &DnsServer, common: &Rc<Common>) -> Upstream {
        let speaks = match server {
            DnsServer::Plain(address) => Speaks::Plain(Plain::new(*address, Rc::clone(common))),
            DnsServer::Encrypted(server) => Speaks::Encrypted(Encrypted::new(server.clone(), Rc::clone(common))),
        };
        Upstream { server: server.clone(), speaks }
    }

    /// The server, if it is asked in the clear.
    fn plain(&self) -> Option<&Plain> {
        match &self.speaks {
            Speaks::Plain(plain) => Some(plain),
            Speaks::Encrypted(_) => None,
        }
    }

    /// Asks and waits for the answer, for ever if need be.
    async fn ask(&self, query: &Query<'_>, via: Via) -> io::Result<Fetched> {
        match &self.speaks {
            Speaks::Plain(plain) => plain.ask(query, via).await,
            // Its future is large, and not to be moved about with those of the others.
            Speaks::Encrypted(encrypted) => Box::pin(encrypted.ask(query)).await,
        }
    }
}
