//! From a message to its answer: a container's name, or one that is forwarded.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use rnet_dns::containers::{Containers, NetworkId, Servers, Verdict};
use rnet_dns::{Ede, Query, Rcode, Unfit, failure, refusal};
use tokio::net::TcpStream;
use tracing::warn;

use super::clients::{Clients, What};
use super::listener::Listener;
use super::upstreams::Upstreams;
use crate::config::Forwarding;
use crate::dns::forwarder::{Ask, Forwarder, Place, Via};
use crate::dns::seldom::Seldom;
use crate::dns::stream::Answers;

/// What a message over TCP can be.
const TCP_LIMIT: usize = 65535;

/// What all listeners share.
pub struct Resolver {
    /// Who is called what.
    pub table: RefCell<Containers>,
    /// What clients have under way.
    pub clients: Rc<Clients>,
    pub upstreams: Upstreams,
    forwarding: Forwarding,
    /// The port that all networks are served at: at port 53 this server must not be its own upstream server.
    port: u16,
    own: RefCell<Vec<IpAddr>>,
    refused: Seldom,
    queries: Cell<u64>,
}

impl Resolver {
    pub fn new(table: Containers, forwarding: Forwarding, port: u16) -> Rc<Resolver> {
        Rc::new(Resolver {
            table: RefCell::new(table),
            clients: Rc::default(),
            upstreams: Upstreams::default(),
            forwarding,
            port,
            own: RefCell::default(),
            refused: Seldom::default(),
            queries: Cell::new(0),
        })
    }

    /// Says where this server listens.
    pub fn set_own(&self, own: Vec<IpAddr>) {
        *self.own.borrow_mut() = own;
    }

    /// Messages that came.
    pub fn queries(&self) -> u64 {
        self.queries.get()
    }

    /// Deals with a message that came to a network's listener.
    pub fn ask(&self, network: NetworkId, from: IpAddr, message: &[u8], via: Via) -> Ask {
        self.queries.set(self.queries.get() + 1);
        let query = match Query::judge(message) {
            Ok(query) => query,
            Err(Unfit::Silent) => return Ask::Ignored,
            Err(Unfit::Answer(rcode)) => return Ask::Answered(refusal(message, rcode)),
        };
        let limit = if via == Via::Tcp { TCP_LIMIT } else { query.udp_limit() };
        let verdict = self.table.borrow().ask(&query, network, from, limit);
        let servers = match verdict {
            Verdict::Answered(reply) => return Ask::Answered(reply),
            Verdict::Forward(_) if self.forwarding == Forwarding::Off => {
                return Ask::Answered(failure(&query, Rcode::NameError, None));
            }
            Verdict::Forward(servers) => servers,
        };
        let waiting = match self.forwarder(servers).ask(message, via) {
            Ask::Asked(waiting) => waiting,
            at_once => return at_once,
        };
        match self.clients.admit(from, What::Query) {
            Some(share) => Ask::Asked(Box::pin(async move {
                let reply = waiting.await;
                drop(share);
                reply
            })),
            None => {
                if let Some(before) = self.refused.due() {
                    warn!(client = %from, before, "a client has too many queries at once");
                }
                Ask::Answered(failure(&query, Rcode::ServerFailure, Some((Ede::Other, "too many queries at once"))))
            }
        }
    }

    fn forwarder(&self, servers: Servers) -> Rc<Forwarder> {
        self.upstreams.of(servers, |address| self.port == 53 && self.own.borrow().contains(&address))
    }
}

/// A client that has connected. It is answered as long as the listener that it came to is there.
pub struct Caller {
    pub resolver: Rc<Resolver>,
    pub listener: Weak<Listener>,
    pub from: IpAddr,
}

impl Answers for Caller {
    async fn transfer(&self, message: &[u8]) -> Option<io::Result<(TcpStream, Place)>> {
        let query = Query::judge(message).ok().filter(Query::is_transfer)?;
        let network = self.listener.upgrade()?.network();
        let verdict = self.resolver.table.borrow().ask(&query, network, self.from, TCP_LIMIT);
        match verdict {
            Verdict::Forward(servers) if self.resolver.forwarding == Forwarding::On => {
                self.resolver.forwarder(servers).transfer(message).await
            }
            _ => None,
        }
    }

    fn ask(&self, message: &[u8]) -> Ask {
        match self.listener.upgrade() {
            Some(listener) => self.resolver.ask(listener.network(), self.from, message, Via::Tcp),
            None => Ask::Ignored,
        }
    }
}
