//! Make or join user, network and mount namespaces, put a network into them, and wait for the end.
//!
//! Three processes take part, and a fourth where there is a control socket. The *supervisor* is the one that the caller started: it holds nothing but the ends of two
//! sockets and waits. The *stack* serves the tap device from the host's network namespace, locked up. The third is in the
//! container's namespaces: it makes the device, hands it over, and becomes the command (`run`) or ends (`attach`). The fourth
//! serves the control socket. Where ports are published or exposed a fifth, the *agent*, is in the container's network too.

mod agent;
mod attach;
mod channel;
mod command;
mod control;
mod copied;
mod copy_up;
mod dns;
mod error;
mod first;
mod frames;
mod hints;
mod idmap;
mod join;
mod link;
mod lockdown;
mod mapping;
mod mounts;
mod orphans;
mod pid_file;
mod run;
mod signals;
mod stack;
mod supervise;

pub use attach::attach;
pub use error::Error;
pub use run::run;
