//! From a message to its answer: a container's name, or one that is forwarded.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use rnet_dns::containers::{Containers, NetworkId, Servers, Verdict};
use rnet_dns::{Ede, Query, Rcode, Reply, Unfit, failure, refusal};
use tokio::net::TcpStream;
use tracing::warn;

use super::clients::{Clients, Share, What};
use super::listener::Listener;
use super::upstreams::Upstreams;
use crate::config::Forwarding;
use crate::dns::forwarder::{Ask, Asked, Forwarder, Place, Via};
use crate::dns::seldom::Seldom;
use crate::dns::stream::{Answer, Answers};

/// What a message over TCP can be.
const TCP_LIMIT: usize = 65535;

/// What becomes of a message from a client.
pub enum Outcome {
    /// This is the answer.
    Answered(Reply),
    /// Others are asked.
    Asked(Asked, Share),
    /// It gets none.
    Ignored,
}

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
    pub fn ask(&self, network: NetworkId, from: IpAddr, message: &[u8], via: Via) -> Outcome {
        self.queries.set(self.queries.get() + 1);
        let query = match Query::judge(message) {
            Ok(query) => query,
            Err(Unfit::Silent) => return Outcome::Ignored,
            Err(Unfit::Answer(rcode)) => return Outcome::Answered(refusal(message, rcode)),
        };
        let limit = if via == Via::Tcp { TCP_LIMIT } else { query.udp_limit() };
        let verdict = self.table.borrow().ask(&query, network, from, limit);
        let servers = match verdict {
            Verdict::Answered(reply) => return Outcome::Answered(reply),
            Verdict::Forward(_) if self.forwarding == Forwarding::Off => {
                return Outcome::Answered(failure(&query, Rcode::NameError, None));
            }
            Verdict::Forward(servers) => servers,
        };
        let asked = match self.forwarder(servers).ask(message, via) {
            Ask::Asked(asked) => asked,
            Ask::Answered(reply) => return Outcome::Answered(reply),
            Ask::Ignored => return Outcome::Ignored,
        };
        match self.clients.admit(from, What::Query) {
            Some(share) => Outcome::Asked(asked, share),
            None => {
                if let Some(before) = self.refused.due() {
                    warn!(client = %from, before, "a client has too many queries at once");
                }
                let why = Some((Ede::Other, "too many queries at once"));
                Outcome::Answered(failure(&query, Rcode::ServerFailure, why))
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

    fn ask(&self, message: &[u8]) -> Answer {
        let Some(listener) = self.listener.upgrade() else { return Answer::Never };
        match self.resolver.ask(listener.network(), self.from, message, Via::Tcp) {
            Outcome::Answered(reply) => Answer::Now(reply),
            Outcome::Ignored => Answer::Never,
            Outcome::Asked(asked, share) => Answer::Later(Box::pin(async move {
                let reply = asked.await;
                drop(share);
                reply
            })),
        }
    }
}
