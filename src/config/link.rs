//! What a network may have otherwise than rnet's own does: what other programs' command lines ask for.

use std::net::Ipv4Addr;

/// The link, beyond its subnets. By default it is rnet's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// How the container's device is set up.
    pub setup: Setup,
    /// Whether a device of this name that is there already is taken, instead of refused.
    pub found: bool,
    /// The address that DHCP gives, where that is not the container's.
    pub lease: Option<Ipv4Addr>,
}

/// How the container's device is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setup {
    /// With the subnets' addresses, and default routes by their gateways.
    #[default]
    Subnets,
    /// Not at all: the container asks for its addresses.
    Bare,
}
