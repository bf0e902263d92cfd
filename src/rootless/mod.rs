//! The user-mode backend: the event loop that stands between the tap device and the host's sockets.

mod accept;
mod arena;
pub mod capture;
mod dns;
mod edge;
mod error_queue;
mod gate;
mod holder;
mod host_error;
pub mod landlock;
pub mod listen;
mod lull;
mod mail;
pub mod orders;
mod outq;
mod ping;
pub mod report;
mod resets;
pub mod sandbox;
pub mod seccomp;
mod slots;
mod sockets;
mod splice;
mod tap_turn;
mod tcp;
mod team;
mod token;
mod udp;
mod udp_batch;
mod udp_run;
mod udp_turn;
mod wire;
mod worker;
mod workers;

use std::io;
use std::os::fd::OwnedFd;

use rnet_stack::TimestampClock;
use rnet_stack::frame::MacAddr;
use rnet_stack::neighbour::{Answer, LINK_LOCAL, LinkConfig, LinkV4, LinkV6};

use crate::config::{DnsService, Network, Subnet};
use capture::Capture;
use listen::PublishedPorts;

pub use workers::Service;

/// Connections to other processes of rnet's.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where orders come from.
    pub orders: Option<OwnedFd>,
    /// The agent in the container's network namespace.
    pub agent: Option<OwnedFd>,
    /// The name server: a line for each queue, or none.
    pub names: Vec<OwnedFd>,
    /// Where frames are written to.
    pub capture: Option<Capture>,
}

/// What ends the packet loop with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that the loop needs could not be had.
    #[error("{operation}: {source}")]
    SetUp {
        /// What was attempted.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A thread could not be made.
    #[error("start a thread of the network stack: {0}; with `--threads 1` it needs none")]
    Thread(io::Error),
    /// epoll_wait(2) failed.
    #[error("wait for events: {0}")]
    Wait(io::Error),
}

/// The link's own hardware address: locally administered, and the same in every container, as the link is.
const LINK_MAC: MacAddr = MacAddr([0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]);

/// Serves the queues of a tap device, each by a thread of its own, and the published ports, until `stop` is readable or hung
/// up, or the device is gone.
///
/// # Errors
/// See [`Service::new`] and [`Service::run`].
pub fn serve(
    tap: Vec<OwnedFd>,
    network: &Network,
    ports: PublishedPorts,
    stop: OwnedFd,
    lines: Lines,
) -> Result<(), Error> {
    let service = Service::new(tap, network, ports, stop, lines.names, lines.agent, lines.capture)?;
    landlock::confine();
    seccomp::confine();
    // A thread that is made now is as confined as this one.
    if let Some(line) = lines.orders {
        orders::clerk::start(line, service.handle()).map_err(Error::Thread)?;
    }
    service.run()
}

/// The stack's configuration for a network.
fn stack_config(network: &Network, timestamps: TimestampClock) -> Result<rnet_stack::Config, Error> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)
        .map_err(|source| Error::SetUp { operation: "get random bytes", source: io::Error::other(source) })?;
    Ok(rnet_stack::Config {
        link: LinkConfig {
            mac: network.link.mac.unwrap_or(LINK_MAC),
            mtu: network.mtu,
            ipv4: network.ipv4.map(|Subnet { address, prefix, gateway, dns }| LinkV4 { address, prefix, gateway, dns }),
            ipv6: network.ipv6.map(|Subnet { address, prefix, gateway, dns }| LinkV6 {
                address,
                prefix,
                gateway,
                dns,
                link_local: network.link.link_local.unwrap_or(LINK_LOCAL),
            }),
            hands_out_dns: network.dns.service == DnsService::On && network.link.mapping.is_none(),
            search: network.dns.search.clone(),
            // Who has the host's addresses and routes looks for anybody on the link.
            answer: if network.link.mapping.is_some() { Answer::All } else { Answer::Own },
            lease: network.link.lease,
            resolvers: network.link.resolvers.clone(),
            offers: network.link.offers,
            client_name: network.link.client_name.clone(),
        },
        guest_mac: network.mac.unwrap_or(MacAddr([0xff; 6])),
        host_loopback: network.host_loopback,
        dns: match network.dns.service {
            DnsService::On => rnet_stack::DnsService::Edge,
            DnsService::Off => rnet_stack::DnsService::Silent,
        },
        mapping: network.link.mapping,
        transports: network.link.transports,
        limits: network.limits,
        timestamps,
        seed: u64::from_ne_bytes(seed),
    })
}
