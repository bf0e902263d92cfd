//! The user-mode backend: the event loop that stands between the tap device and the host's sockets.

mod accept;
mod arena;
mod edge;
mod error_queue;
mod host_error;
pub mod listen;
mod outq;
mod ping;
pub mod sandbox;
mod slots;
mod sockets;
mod tcp;
mod token;
mod udp;
mod udp_batch;
mod udp_run;
mod worker;

use std::io;
use std::os::fd::OwnedFd;

use rnet_stack::TimestampClock;
use rnet_stack::frame::MacAddr;
use rnet_stack::neighbour::{Answer, LinkConfig, LinkV4, LinkV6};
use tracing::info;

use crate::config::{Network, Subnet};
use listen::PublishedPorts;
use worker::{End, Worker};

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
    /// epoll_wait(2) failed.
    #[error("wait for events: {0}")]
    Wait(io::Error),
}

/// The link's own hardware address: locally administered, and the same in every container, as the link is.
const LINK_MAC: MacAddr = MacAddr([0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]);

/// The packet loop, ready to run.
pub struct Service(Worker);

impl Service {
    /// Prepares to serve the tap device `tap` and the published ports until `stop` is readable or hung up.
    ///
    /// # Errors
    /// When the device is no tap device with vnet headers, or descriptors or memory are short.
    pub fn new(tap: OwnedFd, network: &Network, ports: PublishedPorts, stop: OwnedFd) -> Result<Service, Error> {
        Worker::new(tap, network, ports, stop).map(Service)
    }

    /// Serves until `stop` says so or the device is gone, which is the end of its namespace.
    ///
    /// # Errors
    /// When the loop can no longer wait for events.
    pub fn run(mut self) -> Result<(), Error> {
        let end = self.0.run()?;
        match end {
            End::Stopped => info!("told to stop"),
            End::DeviceGone => info!("the container's namespace is gone"),
        }
        self.0.report();
        Ok(())
    }
}

/// Serves the tap device and the published ports until `stop` is readable or hung up, or the device is gone.
///
/// # Errors
/// See [`Service::new`] and [`Service::run`].
pub fn serve(tap: OwnedFd, network: &Network, ports: PublishedPorts, stop: OwnedFd) -> Result<(), Error> {
    Service::new(tap, network, ports, stop)?.run()
}

/// The stack's configuration for a network.
fn stack_config(network: &Network) -> Result<rnet_stack::Config, Error> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)
        .map_err(|source| Error::SetUp { operation: "get random bytes", source: io::Error::other(source) })?;
    Ok(rnet_stack::Config {
        link: LinkConfig {
            mac: LINK_MAC,
            mtu: network.mtu,
            ipv4: network.ipv4.map(|Subnet { address, prefix, gateway, dns }| LinkV4 { address, prefix, gateway, dns }),
            ipv6: network.ipv6.map(|Subnet { address, prefix, gateway, dns }| LinkV6 { address, prefix, gateway, dns }),
            search: Vec::new(),
            answer: Answer::Own,
        },
        guest_mac: network.mac.unwrap_or(MacAddr([0xff; 6])),
        host_loopback: network.host_loopback,
        dns_upstream: network.dns_upstream,
        limits: network.limits,
        timestamps: TimestampClock::default(),
        seed: u64::from_ne_bytes(seed),
    })
}
