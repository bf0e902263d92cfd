//! Servers that know the same: the first that works is asked, and soon another one too if it keeps silent.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rnet_dns::wire::{self, flag};
use rnet_dns::{Health, Query};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{sleep_until, timeout};
use tracing::debug;

use super::plain::is_cut;
use super::ports::Outcome;
use super::{Common, Failure, Fetched, Upstream};
use crate::config::DnsServer;
use crate::config::dns::Asking;
use crate::config::resolv::Manner;
use crate::dns::forwarder::Via;

/// How long a server is waited for alone before the next is asked beside it: one that has been answering may be looking
/// something up itself.
const HEAD_START: Duration = Duration::from_millis(800);
const HEAD_START_UNKNOWN: Duration = Duration::from_millis(300);

/// How long an answer is waited for in all: clients ask again after five seconds, and should hear before that that there is none.
const PATIENCE: Duration = Duration::from_millis(4500);
const PATIENCE_UNKNOWN: Duration = Duration::from_millis(2500);
const PATIENCE_FAILED: Duration = Duration::from_millis(1200);

/// How long all servers that are asked in turn are waited for together.
const PATIENCE_IN_TURN: Duration = Duration::from_secs(5);

/// How long a server that had failed is waited for when it is tried again.
const TRIAL: Duration = Duration::from_secs(3);

/// Servers in the order in which they were given.
pub struct Group {
    upstreams: Vec<Rc<Upstream>>,
    health: Rc<RefCell<Health>>,
    manner: Manner,
}

/// How a group is asked.
struct Plan {
    order: Vec<usize>,
    /// How long each is waited for alone.
    head_start: Duration,
    /// How long all are.
    patience: Duration,
}

/// What has been done for a query before all servers are considered.
#[derive(Default)]
struct Begun {
    /// When it began.
    start: Option<Instant>,
    /// Who was asked then and has said nothing so far.
    silent: Option<usize>,
    /// Who needs no more asking, and why, if that was an error.
    tried: Option<usize>,
    failure: Option<Failure>,
    /// An answer that is better than none.
    kept: Option<Fetched>,
}

impl Group {
    /// The group of `servers`; those that are in `before` too are the same.
    pub fn new(common: &Rc<Common>, servers: &[DnsServer], manner: Manner, before: Option<&Group>) -> Rc<Group> {
        let known = |server: &DnsServer| before?.upstreams.iter().find(|upstream| upstream.server == *server).cloned();
        let make = |server: &DnsServer| known(server).unwrap_or_else(|| Rc::new(Upstream::new(server, common)));
        let upstreams: Vec<_> = servers.iter().map(make).collect();
        let health = Rc::new(RefCell::new(Health::new(upstreams.len())));
        Rc::new(Group { upstreams, health, manner })
    }

    /// A group without servers.
    pub fn none() -> Group {
        Group { upstreams: Vec::new(), health: Rc::new(RefCell::new(Health::new(0))), manner: Manner::default() }
    }

    /// Whether it is the group of these servers, asked in this manner.
    pub fn is_for(&self, servers: &[DnsServer], manner: Manner) -> bool {
        self.manner == manner && self.upstreams.iter().map(|upstream| &upstream.server).eq(servers)
    }

    /// Asks for the answer to a query, and does `then` with what comes of it.
    ///
    /// Nearly always a server that works is asked by UDP and answers. That needs no task and no timer of its own; all else is
    /// gone on with in a task.
    pub fn ask_then(
        self: &Rc<Self>,
        message: Rc<[u8]>,
        via: Via,
        then: impl FnOnce(Result<Fetched, Failure>) + 'static,
    ) {
        let asked = Rc::clone(&message);
        let Ok(query) = Query::judge(&asked) else { return then(Err(Failure::NoServers)) };
        let start = Instant::now();
        let group = Rc::clone(self);
        let Some((at, upstream)) = self.ready(via) else {
            spawn_local(async move { then(group.ask_message(&message, via, Begun::default()).await) });
            return;
        };
        self.try_again(&query, via, start);
        let first = Rc::clone(&upstream);
        let then = move |outcome| match outcome {
            Outcome::Reply(reply) if !is_cut(&reply) && (is_final(&reply) || group.upstreams.len() == 1) => {
                group.health.borrow_mut().answered(at, Instant::now());
                then(Ok(Fetched { full: reply, short: None }));
            }
            outcome => {
                spawn_local(async move { then(group.follow(&message, via, (at, &first), start, outcome).await) });
            }
        };
        match upstream.plain() {
            Some(plain) => plain.ask_once(&query, HEAD_START, Box::new(then)),
            None => then(Outcome::Silence),
        }
    }

    /// The server to be asked first, if it is one that works and that this query is for by UDP.
    fn ready(&self, via: Via) -> Option<(usize, Rc<Upstream>)> {
        if via != Via::Udp || self.manner.only_tcp || self.manner.rotate || self.manner.asking == Asking::InTurn {
            return None;
        }
        let at = self.health.borrow().first().filter(|at| self.health.borrow().works(*at))?;
        self.upstreams.get(at).filter(|upstream| upstream.plain().is_some()).map(|upstream| (at, Rc::clone(upstream)))
    }

    /// Goes on when the first server has not answered what was asked.
    async fn follow(
        &self,
        message: &[u8],
        via: Via,
        (at, upstream): (usize, &Upstream),
        start: Instant,
        outcome: Outcome,
    ) -> Result<Fetched, Failure> {
        let mut begun = Begun { start: Some(start), ..Begun::default() };
        match outcome {
            Outcome::Silence => begun.silent = Some(at),
            Outcome::Failed(error) => {
                self.note_failure(at, &error);
                begun.tried = Some(at);
                begun.failure = Some(Failure::Unreachable(words(&error)));
            }
            Outcome::Reply(reply) => {
                self.health.borrow_mut().answered(at, Instant::now());
                let query = Query::judge(message).ok();
                let fetched = match (query, upstream.plain()) {
                    (Some(query), Some(plain)) => plain.whole(&query, reply).await,
                    _ => Fetched { full: reply, short: None },
                };
                if is_final(&fetched.full) {
                    return Ok(fetched);
                }
                begun.tried = Some(at);
                begun.kept = Some(fetched);
            }
        }
        self.ask_message(message, via, begun).await
    }

    async fn ask_message(&self, message: &[u8], via: Via, begun: Begun) -> Result<Fetched, Failure> {
        match Query::judge(message) {
            Ok(query) => self.go_on(&query, via, begun).await,
            Err(_) => Err(Failure::NoServers),
        }
    }

    /// Asks for the answer to a query.
    ///
    /// # Errors
    /// When no server has one, soon enough for the client to hear of it.
    pub async fn ask(&self, query: &Query<'_>, via: Via) -> Result<Fetched, Failure> {
        self.go_on(query, via, Begun::default()).await
    }

    async fn go_on(&self, query: &Query<'_>, via: Via, begun: Begun) -> Result<Fetched, Failure> {
        let via = if self.manner.only_tcp { Via::Tcp } else { via };
        let start = begun.start.unwrap_or_else(Instant::now);
        let Plan { mut order, head_start, patience } = match self.manner.asking {
            Asking::Raced => {
                self.try_again(query, via, start);
                self.plan()
            }
            Asking::InTurn => self.plan_in_turn(),
        };
        order.retain(|at| begun.tried != Some(*at));
        let end = start + patience.min(self.manner.timeout * self.manner.attempts);

        let mut left = order.into_iter().peekable();
        let mut running = FuturesUnordered::new();
        let mut silent: Vec<(usize, Instant)> = begun.silent.map(|at| (at, start)).into_iter().collect();
        let mut next_at = start;
        let mut kept = begun.kept;
        let mut failure = begun.failure.unwrap_or(Failure::NoServers);
        loop {
            let now = Instant::now();
            while (running.is_empty() || next_at <= now)
                && let Some((at, upstream)) = left.next().and_then(|at| Some((at, self.upstreams.get(at)?)))
            {
                running.push(async move { (at, upstream.ask(query, via).await) });
                silent.push((at, now));
                next_at = now + head_start;
            }
            if running.is_empty() {
                return kept.ok_or(failure);
            }
            tokio::select! {
                Some((at, outcome)) = running.next() => {
                    silent.retain(|(other, _)| *other != at);
                    match outcome {
                        Ok(fetched) => {
                            self.health.borrow_mut().answered(at, Instant::now());
                            if is_final(&fetched.full) || (running.is_empty() && left.peek().is_none()) {
                                self.note_silence(&silent, HEAD_START_UNKNOWN);
                                return Ok(kept.filter(|_| !is_final(&fetched.full)).unwrap_or(fetched));
                            }
                            kept.get_or_insert(fetched);
                        }
                        Err(error) => {
                            self.note_failure(at, &error);
                            failure = Failure::Unreachable(words(&error));
                        }
                    }
                    next_at = Instant::now();
                }
                () = sleep_until(next_at.into()), if left.peek().is_some() => {}
                () = sleep_until(end.into()) => {
                    self.note_silence(&silent, Duration::ZERO);
                    return kept.ok_or(Failure::TimedOut);
                }
            }
        }
    }

    /// Whom to ask first, from what is known of them.
    fn plan(&self) -> Plan {
        let mut health = self.health.borrow_mut();
        let (order, all_failed) = (health.order(self.manner.rotate), health.all_failed());
        let works = order.first().is_some_and(|first| health.works(*first));
        let (head_start, patience) = match (works, all_failed) {
            (true, _) => (HEAD_START, PATIENCE),
            (_, true) => (Duration::ZERO, PATIENCE_FAILED),
            _ => (HEAD_START_UNKNOWN, PATIENCE_UNKNOWN),
        };
        Plan { order, head_start, patience }
    }

    /// One after the other, each for its share of the time.
    fn plan_in_turn(&self) -> Plan {
        let count = self.upstreams.len();
        let share = PATIENCE_IN_TURN / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        Plan { order: (0..count).collect(), head_start: share, patience: PATIENCE_IN_TURN }
    }

    /// Asks the first server that is asked in the clear for a whole zone.
    ///
    /// # Errors
    /// When there is none, or it cannot be reached.
    pub async fn transfer(&self, query: &Query<'_>) -> io::Result<TcpStream> {
        let order = self.health.borrow_mut().order(false);
        let plain = order.into_iter().filter_map(|at| self.upstreams.get(at)?.plain()).next();
        let plain = plain.ok_or_else(|| io::Error::other("no name server that hands zones out"))?;
        timeout(PATIENCE, plain.transfer(query)).await?
    }

    fn note_failure(&self, at: usize, error: &io::Error) {
        debug!(server = %self.name(at), %error, "a name server does not answer");
        if !is_our_own(error) {
            self.health.borrow_mut().failed(at, Instant::now());
        }
    }

    /// Notes that those that were asked at least `patience` ago have kept silent.
    fn note_silence(&self, silent: &[(usize, Instant)], patience: Duration) {
        let now = Instant::now();
        for (at, asked) in silent.iter().filter(|(_, asked)| now.duration_since(*asked) >= patience) {
            debug!(server = %self.name(*at), "a name server is silent");
            self.health.borrow_mut().silent(*at, *asked, now);
        }
    }

    /// Tries a server that had failed once more, while others are asked for the answer.
    fn try_again(&self, query: &Query<'_>, via: Via, now: Instant) {
        let mut health = self.health.borrow_mut();
        if health.all_failed() {
            return;
        }
        let Some((at, upstream)) = health.due(now).and_then(|at| Some((at, Rc::clone(self.upstreams.get(at)?)))) else {
            return;
        };
        let (health, message) = (Rc::clone(&self.health), query.message().to_vec());
        spawn_local(async move {
            let Ok(query) = Query::judge(&message) else { return };
            if let Ok(Ok(_)) = timeout(TRIAL, upstream.ask(&query, via)).await {
                health.borrow_mut().answered(at, Instant::now());
            }
        });
    }

    fn name(&self, at: usize) -> String {
        self.upstreams.get(at).map_or_else(String::new, |upstream| upstream.server.to_string())
    }
}

/// Whether no other server need be asked: one that cannot answer leaves it to the others, as the C library has it.
fn is_final(reply: &[u8]) -> bool {
    !matches!(wire::flags(reply).map(|flags| flags & flag::RCODE), Some(2 | 4 | 5))
}

/// Whether an error says nothing about the server: this host is out of descriptors, ports or memory.
fn is_our_own(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EADDRNOTAVAIL | libc::EAGAIN)
    )
}

/// An error as it is told to a client.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}
