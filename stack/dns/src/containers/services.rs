//! Services that containers publish, as SRV records tell them (RFC 2782).

use crate::name::Name;

/// A service: the port that it has on its container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The container's name, where its addresses are found.
    pub target: Name,
    /// The port.
    pub port: u16,
}
