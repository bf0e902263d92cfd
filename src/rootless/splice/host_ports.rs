//! The host's loopback ports at the container's, as long as something listens at them.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::splicer::Splicer;
use crate::agent::{Order, Port, Ports, Survey};
use crate::config::{AutoExpose, Network, Protocol};

/// How often the host's ports are looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// How long until a port is tried again that could not be had inside: something listens there itself.
const RETRY: Duration = Duration::from_secs(1);

/// Ports that are exposed at the most.
const PORTS_MAX: usize = 1024;

/// Ports that follow what listens on the host.
pub struct HostPorts {
    rules: AutoExpose,
    survey: Survey,
    found: Ports,
    /// Those that are wanted inside.
    wanted: HashSet<Port>,
    /// Those that are there.
    exposed: HashSet<Port>,
    next: Instant,
    /// When all that are wanted and not there are ordered again.
    retry: Instant,
    told_of_bound: bool,
}

impl HostPorts {
    /// None yet; nothing at all where none are to be followed or the kernel cannot tell.
    pub fn new(network: &Network) -> Option<HostPorts> {
        let rules = network.auto_expose.clone();
        let protocols = [Protocol::Tcp, Protocol::Udp];
        let wanted: Vec<Protocol> =
            protocols.into_iter().filter(|one| rules.follow.iter().any(|rule| rule.protocol == *one)).collect();
        if wanted.is_empty() {
            return None;
        }
        let survey = Survey::of_loopback(network, wanted)
            .inspect_err(|error| warn!(%error, "no ports of the host's are exposed by themselves"))
            .ok()?;
        let now = Instant::now();
        Some(HostPorts {
            rules,
            survey,
            found: Ports::default(),
            wanted: HashSet::new(),
            exposed: HashSet::new(),
            next: now,
            retry: now,
            told_of_bound: false,
        })
    }

    /// How long until the next look.
    pub fn delay(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whether a port of the container's loopback is one of these.
    pub fn exposes(&self, protocol: Protocol, number: u16) -> bool {
        self.wanted.iter().any(|port| port.protocol == protocol && port.number == number)
    }
}

impl Splicer {
    /// Looks at the host's ports if it is time; has the agent open those that are new, and closes those that are gone.
    pub(super) fn follow_host(&mut self, now: Instant) {
        let Some(agent) = &self.agent else { return };
        let Some(host) = self.host_ports.as_mut().filter(|host| host.next <= now) else { return };
        host.next = now + PERIOD;
        match host.survey.take(&mut host.found) {
            Ok(true) => {
                let (_, rules) = self.handle.rules();
                // A port that this very network has opened on the host leads back.
                let is_own = |port: &Port| {
                    let of = |rule: &crate::config::Publish| {
                        rule.protocol == port.protocol && rule.host.contains(&port.number)
                    };
                    self.auto.has(port.protocol, port.number) || rules.iter().any(|(_, rule)| of(rule))
                };
                let follows = |port: &Port| host.rules.follows(port.protocol, port.number) && !is_own(port);
                let mut wanted: Vec<Port> = host.found.iter().filter(follows).collect();
                if wanted.len() > PORTS_MAX && !std::mem::replace(&mut host.told_of_bound, true) {
                    warn!("more than {PORTS_MAX} ports are in use on the host: no more are exposed by themselves");
                }
                wanted.truncate(PORTS_MAX);
                host.wanted = wanted.into_iter().collect();
                host.retry = now;
            }
            Ok(false) => {}
            Err(errno) => {
                debug!("ports of the host cannot be looked at: {}", errno.desc());
                self.host_ports = None;
                return;
            }
        }
        for gone in host.exposed.extract_if(|port| !host.wanted.contains(port)) {
            info!("port {}/{} of the host is no longer exposed", gone.number, gone.protocol);
            self.exposed.remove(gone, self.poll.registry());
            self.relay.remove(gone);
        }
        if host.retry > now {
            return;
        }
        host.retry = now + RETRY;
        for port in host.wanted.difference(&host.exposed) {
            if Order::Expose(*port).send(agent.as_fd()).is_err() {
                // It has orders enough.
                break;
            }
        }
    }

    /// Notes that a port has come; says whether it is wanted still.
    pub(super) fn has_come(&mut self, port: Port) -> bool {
        self.host_ports.as_mut().is_some_and(|host| {
            let is_wanted = host.wanted.contains(&port) && host.exposed.insert(port);
            if is_wanted {
                info!("port {}/{} of the host is exposed", port.number, port.protocol);
            }
            is_wanted
        })
    }
}
