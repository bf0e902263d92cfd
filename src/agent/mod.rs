//! The agent: a small process in the container's network namespace, and what it says to the stack.
//!
//! A socket belongs to the network namespace that it was made in, whoever uses it. The agent makes them inside and hands them
//! over, so that the stack can connect there itself; and it looks which ports are in use. It is there only when published
//! ports or exposed ones ask for it ([`is_wanted`]).

mod ports;
mod serve;
mod sockets;
mod source;
mod survey;
mod translation;
mod wire;

pub use ports::{Port, Ports};
pub use serve::Inside;
pub use sockets::loopback;
pub use survey::Survey;
pub use wire::{News, Order, SOCKETS_A_PACKET, receive, send};

use crate::config::{Control, Network, Protocol};

/// Whether a network has any use for an agent. It may have one later where a control socket was asked for.
pub fn is_wanted(network: &Network, control: &Control) -> bool {
    network.publish.iter().any(|rule| rule.protocol == Protocol::Tcp)
        || matches!(control, Control::At(_) | Control::HostForwards(_))
        || !network.expose.is_empty()
        || network.auto.follows_any()
        || network.auto_expose.follows_any()
}
