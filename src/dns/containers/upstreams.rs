//! The forwarders, one for each set of servers: what one set says is not kept for the clients of another.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rnet_dns::Hosts;
use rnet_dns::containers::Servers;

use super::stamp::Stamp;
use crate::config::dns::Asking;
use crate::config::resolv::{LEN_MAX, PATH};
use crate::config::{Dns, DnsServer, Outbound, ResolvConf};
use crate::dns::forwarder::Forwarder;

/// Sets of servers at the most; beyond that all that were kept are forgotten.
const SETS_MAX: usize = 128;

/// Bytes of answers that are kept for each set, and for the host's servers.
const CACHE: usize = 128 << 10;
const HOST_CACHE: usize = 512 << 10;

/// Queries that wait for one set of servers; the bounds of each client and of all are elsewhere.
const QUERIES_MAX: usize = 4096;

/// How long the host's resolv.conf is taken for what it was.
const FRESH: Duration = Duration::from_millis(5);

/// The port that servers are asked at.
const PORT: u16 = 53;

/// All forwarders.
pub struct Upstreams {
    given: RefCell<HashMap<Servers, Rc<Forwarder>>>,
    host: Rc<Forwarder>,
    /// When the host's resolv.conf was looked at, and what it was.
    looked: Cell<Option<Instant>>,
    stamp: Cell<Option<Stamp>>,
}

impl Default for Upstreams {
    fn default() -> Upstreams {
        let dns = Dns { cache: HOST_CACHE, ..settings() };
        Upstreams {
            given: RefCell::default(),
            host: Forwarder::new(&dns, &Outbound::default(), Hosts::default(), None, None),
            looked: Cell::new(None),
            stamp: Cell::new(None),
        }
    }
}

fn settings() -> Dns {
    Dns { cache: CACHE, max_queries: QUERIES_MAX, ..Dns::default() }
}

impl Upstreams {
    /// The forwarder to these servers. `is_own` says of an address whether it is this server's.
    pub fn of(&self, servers: Servers, is_own: impl Fn(IpAddr) -> bool) -> Rc<Forwarder> {
        let (asking, addresses) = match &servers {
            Servers::Host => {
                self.follow_host(is_own);
                return Rc::clone(&self.host);
            }
            Servers::Container(servers) => (Asking::InTurn, servers),
            Servers::Networks(servers) => (Asking::Raced, servers),
        };
        if let Some(forwarder) = self.given.borrow().get(&servers) {
            return Rc::clone(forwarder);
        }
        let addresses = addresses.iter().filter(|address| !is_own(**address));
        let addresses = addresses.map(|address| DnsServer::Plain(SocketAddr::new(*address, PORT))).collect();
        let dns = Dns { servers: addresses, asking, ..settings() };
        let forwarder = Forwarder::new(&dns, &Outbound::default(), Hosts::default(), None, None);
        let mut given = self.given.borrow_mut();
        if given.len() >= SETS_MAX {
            given.clear();
        }
        given.insert(servers, Rc::clone(&forwarder));
        forwarder
    }

    /// Looks at the host's resolv.conf again even if it was looked at just now.
    pub fn expire(&self) {
        self.looked.set(None);
        self.stamp.set(None);
    }

    /// Looks whether the host's resolv.conf has changed, by whatever way: its name is looked up anew each time. One that is missing
    /// has changed nothing.
    fn follow_host(&self, is_own: impl Fn(IpAddr) -> bool) {
        if self.looked.get().is_some_and(|looked| looked.elapsed() < FRESH) {
            return;
        }
        self.looked.set(Some(Instant::now()));
        let Ok(metadata) = fs::metadata(PATH) else { return };
        let stamp = Stamp::of(&metadata);
        if self.stamp.get().is_some_and(|known| stamp.is_as(&known)) {
            return;
        }
        let mut text = Vec::new();
        let read = File::open(PATH).and_then(|file| file.take(LEN_MAX as u64).read_to_end(&mut text));
        if read.is_ok() {
            self.stamp.set(Some(stamp));
            let mut conf = ResolvConf::parse(&String::from_utf8_lossy(&text));
            // A query that comes back to this server would be forwarded for ever.
            conf.nameservers.retain(|server| server.port() != PORT || !is_own(server.ip()));
            self.host.set_host(conf.to_text().as_bytes());
        }
    }
}
