//! The configuration that front ends make and backends obey. Everything in here has been validated.

mod auto;
mod containers;
pub mod dns;
mod dns_server;
mod expose;
mod log;
mod netavark;
mod network;
mod process;
mod publish;
pub mod resolv;

pub use auto::{Auto, Except, Follow, PublishArg};
pub use containers::{ContainerNames, Forwarding, Services};
pub use dns::{Dns, DnsService, Host, HostAddress};
pub use dns_server::{DnsServer, EncryptedServer, Encryption};
pub use expose::Expose;
pub use log::{Log, LogFormat};
pub use netavark::{DhcpProxy, Netavark, NetavarkCommand};
pub use network::{BUSY_POLL_MAX, BusyPoll, Limits, LoopbackSource, Network, Outbound, Subnet, THREADS_MAX};
pub use process::{Attach, Control, MapIds, MapUser, Presence, Run, Target};
pub use publish::{Protocol, Publish};
pub use resolv::ResolvConf;
