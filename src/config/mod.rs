//! The configuration that front ends make and backends obey. Everything in here has been validated.

mod auto;
mod expose;
mod log;
mod network;
mod process;
mod publish;
mod resolv;

pub use auto::{Auto, Except, Follow, PublishArg};
pub use expose::Expose;
pub use log::{Log, LogFormat};
pub use network::{BUSY_POLL_MAX, BusyPoll, Limits, LoopbackSource, Network, Outbound, Subnet, THREADS_MAX};
pub use process::{Attach, Control, MapIds, MapUser, Presence, Run, Target};
pub use publish::{Protocol, Publish};
pub use resolv::ResolvConf;
