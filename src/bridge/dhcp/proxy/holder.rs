//! One lease: gets it, gives the container what it says, and keeps it for as long as the container is there.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

use super::apply::Applied;
use super::socket::Wire;
use crate::bridge::dhcp::client::{Client, Event, Identity, Lease, Transmit};
use crate::bridge::dhcp::rpc::NetworkConfig;
use crate::bridge::driver::options::parse_mac;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::netlink::{Change, Route};
use crate::bridge::netns::Netns;

/// An interface gets its link-local address some moments after it is set up.
const LINK_LOCAL: Duration = Duration::from_millis(50);
/// After a socket has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// An interface of a container with its client.
pub struct Holder {
    netns: Netns,
    place: (u64, u64),
    path: String,
    route: Route,
    wire: Wire,
    client: Client,
    applied: Applied,
    buffer: Vec<u8>,
}

impl Holder {
    /// Enters the container's network and begins. With `previous` it goes on from there.
    pub async fn open(config: &NetworkConfig, previous: Option<Lease>) -> Result<Holder> {
        let mac = parse_mac(&config.container_mac_addr)?;
        let path = Path::new(&config.ns_path);
        let netns = Netns::open(path).during(|| format!("open container netns {}", config.ns_path))?;
        let place = fstat(netns.as_fd()).map(|stat| (stat.st_dev, stat.st_ino))?;
        let mut route = netns.inside(Route::open)?.during(|| "open netlink socket in the container netns")?;
        let interface = &config.container_iface;
        let link = route.link(interface).map_err(Error::Netlink);
        let link = link.during(|| format!("get container interface {interface}"))?;
        let up = Change { up: true, ..Change::default() };
        route.change_link(link.index, up).map_err(Error::Netlink).during(|| format!("set {interface} up"))?;
        let wire = loop {
            match Wire::open(&netns, interface, link.index, config.is_v6()) {
                Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => sleep(LINK_LOCAL).await,
                other => break other.during(|| format!("open a socket for DHCP on {interface}"))?,
            }
        };
        let metric = (!config.no_default_route).then_some(config.metric);
        let mut applied = Applied::new(link.index, metric, config.keep_mtu);
        // One that was lost is only asked for.
        previous.iter().filter(|lease| lease.lifetime > 0).for_each(|lease| applied.resume(lease));
        let identity = Identity {
            mac,
            container_id: config.container_id.clone(),
            interface: interface.clone(),
            host_name: config.host_name.clone(),
        };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| Error::text(format!("get random bytes: {error}")))?;
        let client = Client::new(identity, config.is_v6(), previous, now(), u64::from_ne_bytes(seed));
        Ok(Holder { netns, place, path: config.ns_path.clone(), route, wire, client, applied, buffer: Vec::new() })
    }

    /// Waits for the next that changes. May be dropped while it waits.
    pub async fn next(&mut self) -> Event {
        loop {
            let now = now();
            let due = self.client.timeout();
            if due.is_some_and(|at| at <= now) {
                let (message, event) = self.client.handle_timeout(now);
                message.iter().for_each(|message| self.send(message));
                match event {
                    Some(event) => return event,
                    None => continue,
                }
            }
            let wait = due.map_or(Duration::MAX, |at| at.saturating_sub(now));
            tokio::select! {
                message = self.wire.receive(&mut self.buffer) => match message {
                    Ok(message) => {
                        if let Some(event) = self.client.receive(self::now(), &message) {
                            return event;
                        }
                    }
                    Err(error) => {
                        tracing::debug!("receive from a DHCP server: {error}");
                        sleep(PAUSE).await;
                    }
                },
                () = sleep(wait.min(Duration::from_secs(3600))) => {}
            }
        }
    }

    /// Waits for the first lease.
    pub async fn first(&mut self) -> Lease {
        loop {
            if let Event::Bound(lease) = self.next().await {
                return *lease;
            }
        }
    }

    /// Gives the container what the lease says.
    pub fn apply(&mut self, lease: &Lease) -> Result<()> {
        self.applied.apply(&mut self.route, lease, now())
    }

    /// Takes that away.
    pub fn remove(&mut self) -> Result<()> {
        self.applied.remove(&mut self.route)
    }

    /// Tells the server that the address is free again.
    pub fn release(&mut self) {
        if let Some(message) = self.client.release() {
            self.send(&message);
        }
    }

    /// Whether the container's network is still where it was. This process alone keeps it alive when it is not.
    pub fn is_there(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.place)
    }

    fn send(&self, message: &Transmit) {
        if let Err(error) = self.wire.send(&self.netns, message) {
            tracing::debug!("send to a DHCP server: {error}");
        }
    }
}

/// The time since the machine was started, which a later process goes on counting.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
