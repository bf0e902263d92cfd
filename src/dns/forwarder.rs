//! From a query to its answer: a local name, the cache, or whoever is to be asked.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use rnet_dns::{Cache, Ede, Hosts, Query, Rcode, Reply, Routes, Unfit, failure, fit, is_rebinding, refusal};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::flights::{Flights, Name, Waiter};
use super::host_file::HostFile;
use super::seldom::Seldom;
use super::upstream::encrypted::Trust;
use super::upstream::{Common, Failure, Fetched, Group};
use crate::config::dns::Asking;
use crate::config::resolv::Manner;
use crate::config::{Dns, DnsServer, Outbound, ResolvConf};

/// What a message over TCP can be.
const TCP_LIMIT: usize = 65535;

/// How a query came, which is how it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What becomes of a message from a client.
pub enum Ask {
    /// This is the answer.
    Answered(Reply),
    /// Others are asked; the answer comes later.
    Asked(Asked),
    /// It gets none.
    Ignored,
}

/// A query that others are to be asked for. Nobody is asked before somebody waits.
pub struct Asked {
    query: Rc<[u8]>,
    name: Option<Name>,
    via: Via,
    place: Place,
}

/// An answer that is waited for. One without bytes is none, and nothing is to be said ([`Asking::InTurn`]).
pub type Waiting = Pin<Box<dyn Future<Output = Reply>>>;

impl Asked {
    /// Asks, and does `then` with the answer.
    pub fn then(self, then: impl FnOnce(Reply) + 'static) {
        let Asked { query, name, via, place } = self;
        let forwarder = Rc::clone(&place.0);
        forwarder.board(name, Waiter { message: query, via, then: Box::new(then), place });
    }
}

impl IntoFuture for Asked {
    type Output = Reply;
    type IntoFuture = Waiting;

    fn into_future(self) -> Waiting {
        let query = Rc::clone(&self.query);
        let (sender, reply) = oneshot::channel();
        self.then(|reply| drop(sender.send(reply)));
        Box::pin(async move { reply.await.unwrap_or_else(|_| refusal(&query, Rcode::ServerFailure)) })
    }
}

/// What was done, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    queries: u64,
    unfit: u64,
    local: u64,
    cached: u64,
    stale: u64,
    asked: u64,
    shared: u64,
    at_the_bound: u64,
    failed: u64,
    rebinding: u64,
}

/// Answers queries.
pub struct Forwarder {
    hosts: Hosts,
    routes: Routes,
    /// The servers of domains that have their own.
    domains: Vec<Rc<Group>>,
    /// The servers for all else.
    general: RefCell<Rc<Group>>,
    common: Rc<Common>,
    settings: Dns,
    cache: RefCell<Cache>,
    /// Queries that servers have been asked and have not answered.
    flights: RefCell<Flights>,
    waiting: Cell<usize>,
    /// Where the host's resolv.conf is asked for; `None` where somebody else looks for it.
    host: Option<Rc<HostFile>>,
    /// Told of once a minute.
    failures: Seldom,
    counters: Cell<Counters>,
}

impl Forwarder {
    /// A forwarder with an empty cache. Servers that are not given are those of the host, once [`Forwarder::follow_host`] has
    /// found them.
    pub fn new(
        dns: &Dns,
        outbound: &Outbound,
        hosts: Hosts,
        trust: Option<Trust>,
        host: Option<Rc<HostFile>>,
    ) -> Rc<Forwarder> {
        let common = Common::new(outbound.clone(), trust);
        let manner = Manner { asking: dns.asking, ..ResolvConf::default().adapted(dns).manner() };
        let mut routes = Routes::default();
        let mut domains = Vec::new();
        for (domain, servers) in &dns.domains {
            routes.add(domain.clone(), domains.len());
            domains.push(Group::new(&common, servers, manner, None));
        }
        Rc::new(Forwarder {
            hosts,
            routes,
            domains,
            general: RefCell::new(Group::new(&common, &dns.servers, manner, None)),
            common,
            cache: RefCell::new(Cache::new(dns.cache, dns.stale)),
            settings: dns.clone(),
            flights: RefCell::default(),
            waiting: Cell::new(0),
            host,
            failures: Seldom::default(),
            counters: Cell::default(),
        })
    }

    /// Whether the host's resolv.conf is to be looked at before the next query.
    pub fn is_host_due(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.is_due())
    }

    /// Looks at the host's resolv.conf.
    pub async fn follow_host(&self) {
        if let Some(host) = &self.host {
            host.refresh().await;
        }
    }

    /// Takes the text of the host's resolv.conf.
    pub fn set_host(&self, text: &[u8]) {
        let conf = ResolvConf::parse(&String::from_utf8_lossy(text)).adapted(&self.settings);
        if conf.nameservers.is_empty() {
            // It is being written, or the host has no network for now: what was right may still be, and nothing else can.
            return;
        }
        let manner = conf.manner();
        let servers: Vec<DnsServer> = conf.nameservers.into_iter().map(DnsServer::Plain).collect();
        let before = self.common.host.borrow().clone();
        if before.is_for(&servers, manner) {
            return;
        }
        info!(servers = ?servers.iter().map(DnsServer::to_string).collect::<Vec<_>>(), "the host's name servers");
        let group = Group::new(&self.common, &servers, manner, Some(&before));
        if self.settings.servers.is_empty() {
            self.general.replace(Rc::clone(&group));
            // Other servers may see other things.
            self.cache.borrow_mut().clear();
            self.flights.borrow_mut().forget();
        }
        self.common.host.replace(group);
    }

    /// Whether no query waits for a server.
    pub fn is_idle(&self) -> bool {
        self.waiting.get() == 0
    }

    /// Deals with a message from a client.
    pub fn ask(self: &Rc<Self>, message: &[u8], via: Via) -> Ask {
        self.count(|counters| counters.queries += 1);
        let query = match Query::judge(message) {
            Ok(query) => query,
            Err(unfit) => {
                self.count(|counters| counters.unfit += 1);
                return match unfit {
                    Unfit::Silent => Ask::Ignored,
                    Unfit::Answer(rcode) => Ask::Answered(refusal(message, rcode)),
                };
            }
        };
        if let Some(reply) = self.hosts.answer(&query) {
            self.count(|counters| counters.local += 1);
            return Ask::Answered(fit(reply, &query, limit(&query, via)));
        }
        let key = query.is_plain().then(|| query.key());
        if let Some(key) = &key
            && let Some(cached) = self.cache.borrow_mut().get(key, Instant::now())
        {
            self.count(|counters| counters.cached += 1);
            return Ask::Answered(cached.reply(&query, limit(&query, via)));
        }
        if self.waiting.get() >= self.settings.max_queries {
            self.count(|counters| counters.at_the_bound += 1);
            return Ask::Answered(failure(
                &query,
                Rcode::ServerFailure,
                Some((Ede::Other, "too many queries at once")),
            ));
        }
        let place = Place::take(self);
        Ask::Asked(Asked { query: message.into(), name: key.map(|key| (key, via)), via, place })
    }

    /// If a message asks for a whole zone, the connection to a server that has been asked for it, and one of the places for queries
    /// that wait; `None` for all other messages.
    pub async fn transfer(self: &Rc<Self>, message: &[u8]) -> Option<io::Result<(TcpStream, Place)>> {
        let query = Query::judge(message).ok().filter(Query::is_transfer)?;
        if self.hosts.answer(&query).is_some() || self.waiting.get() >= self.settings.max_queries {
            return None;
        }
        let place = Place::take(self);
        Some(self.group(&query).transfer(&query).await.map(|server| (server, place)))
    }

    /// The servers that know about a query's name.
    fn group(&self, query: &Query<'_>) -> Rc<Group> {
        let own = self.routes.group(query.name()).and_then(|at| self.domains.get(at).cloned());
        own.unwrap_or_else(|| self.general.borrow().clone())
    }

    /// Lets a client wait for an answer, and asks others for it unless they have been.
    fn board(self: &Rc<Self>, name: Option<Name>, waiter: Waiter) {
        let (message, via) = (Rc::clone(&waiter.message), waiter.via);
        let Some(at) = self.flights.borrow_mut().board(name, waiter) else {
            return self.count(|counters| counters.shared += 1);
        };
        self.count(|counters| counters.asked += 1);
        // It was judged when it came.
        let Ok(query) = Query::judge(&message) else { return };
        let is_general = self.routes.group(query.name()).is_none();
        let group = self.group(&query);
        let forwarder = Rc::clone(self);
        group.ask_then(Rc::clone(&message), via, move |fetched| forwarder.land(at, is_general, &fetched));
    }

    /// Tells those who wait what came of asking.
    fn land(&self, at: usize, is_general: bool, fetched: &Result<Fetched, Failure>) {
        let flight = self.flights.borrow_mut().land(at);
        let is_held_back = is_general && fetched.as_ref().is_ok_and(|fetched| self.is_held_back(fetched));
        // Servers that are no longer the host's may say what is no longer true.
        if let (Some(name), Ok(fetched)) = (&flight.name, fetched)
            && flight.is_current
            && !is_held_back
        {
            self.cache.borrow_mut().insert(name.0.clone(), &fetched.full, Instant::now());
        }
        for Waiter { message, via, then, place } in flight.waiters {
            let reply = match Query::judge(&message) {
                Ok(query) => self.reply(&query, flight.name.as_deref(), via, is_held_back, fetched),
                Err(_) => refusal(&message, Rcode::FormatError),
            };
            drop(place);
            then(reply);
        }
    }

    fn reply(
        &self,
        query: &Query<'_>,
        name: Option<&Name>,
        via: Via,
        is_held_back: bool,
        fetched: &Result<Fetched, Failure>,
    ) -> Reply {
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(why) => return self.no_answer(query, name.map(|name| name.0.as_slice()), via, why),
        };
        if is_held_back {
            self.count(|counters| counters.rebinding += 1);
            return failure(query, Rcode::Refused, Some((Ede::Blocked, "it leads to a private address")));
        }
        let limit = limit(query, via);
        match &fetched.short {
            // What the server itself has cut says more than what we would cut.
            Some(short) if fetched.full.len() > limit => fit(short.clone(), query, limit),
            _ => fit(fetched.full.clone(), query, limit),
        }
    }

    /// Whether an answer of the general servers leads where it must not.
    fn is_held_back(&self, fetched: &Fetched) -> bool {
        self.settings.rebind_protection && is_rebinding(&fetched.full)
    }

    fn no_answer(&self, query: &Query<'_>, key: Option<&[u8]>, via: Via, why: &Failure) -> Reply {
        if let Some(key) = key
            && let Some(stale) = self.cache.borrow_mut().get_stale(key, Instant::now())
        {
            self.count(|counters| counters.stale += 1);
            return stale.reply(query, limit(query, via));
        }
        self.count(|counters| counters.failed += 1);
        debug!(%why, "a query gets no answer");
        if let Some(before) = self.failures.due() {
            info!(%why, before, "queries get no answer");
        }
        if self.settings.asking == Asking::InTurn {
            return Reply::new();
        }
        failure(query, Rcode::ServerFailure, Some((why.ede(), &why.to_string())))
    }

    fn count(&self, how: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        how(&mut counters);
        self.counters.set(counters);
    }

    /// What was done.
    pub fn counters(&self) -> Counters {
        self.counters.get()
    }
}

fn limit(query: &Query<'_>, via: Via) -> usize {
    match via {
        Via::Udp => query.udp_limit(),
        Via::Tcp => TCP_LIMIT,
    }
}

/// One of the places for queries that wait.
pub struct Place(Rc<Forwarder>);

impl Place {
    fn take(forwarder: &Rc<Forwarder>) -> Place {
        forwarder.waiting.set(forwarder.waiting.get() + 1);
        Place(Rc::clone(forwarder))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}
