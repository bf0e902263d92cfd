//! The configuration that front ends make and backends obey. Everything in here has been validated.

mod auto;
mod containers;
pub mod dns;
mod dns_server;
mod expose;
mod link;
mod log;
mod netavark;
mod network;
mod process;
mod publish;
pub mod resolv;

pub use auto::{Auto, AutoExpose, Except, Follow, FollowPorts, PublishArg};
pub use containers::{ContainerNames, Forwarding, Services};
pub use dns::{Dns, DnsService, Host, HostAddress};
pub use dns_server::{DnsServer, EncryptedServer, Encryption};
pub use expose::Expose;
pub use link::{ClientName, Copied, Link, Mapping, Offers, Setup, Splice, Transports};
pub use log::{Log, LogFile, LogFormat};
pub use netavark::{DhcpProxy, Netavark, NetavarkCommand};
pub use network::{BUSY_POLL_MAX, BusyPoll, Limits, LoopbackSource, Network, Outbound, Subnet, THREADS_MAX};
pub use process::{Attach, Control, Manner, MapIds, MapUser, Presence, Run, Surroundings, Target};
pub use publish::{Binding, Protocol, Publish};
pub use resolv::ResolvConf;
