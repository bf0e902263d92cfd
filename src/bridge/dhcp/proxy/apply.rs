//! What a lease changes in the container's network namespace.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;

use crate::bridge::dhcp::client::Lease;
use crate::bridge::driver::inside::default_routes;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::netlink::{Change, Lifetime, Route, RouteSpec};

/// The metric of the default route.
const METRIC: u32 = 100;
/// Smaller MTUs than these break the protocols (RFC 791, RFC 8200).
const MTU_MIN: u16 = 576;

/// An interface, and what it has been given.
pub struct Applied {
    index: u32,
    metric: Option<u32>,
    keep_mtu: bool,
    address: Option<IpNet>,
    gateway: Option<IpAddr>,
}

impl Applied {
    /// Nothing given yet. `metric`: of the default route; `None` for no such route.
    pub fn new(index: u32, metric: Option<u32>, keep_mtu: bool) -> Applied {
        Applied {
            index,
            metric: metric.map(|metric| if metric == 0 { METRIC } else { metric }),
            keep_mtu,
            address: None,
            gateway: None,
        }
    }

    /// What an earlier process has given it.
    pub fn resume(&mut self, lease: &Lease) {
        self.address = Some(lease.address);
        self.gateway = self.wanted(lease);
    }

    fn wanted(&self, lease: &Lease) -> Option<IpAddr> {
        self.metric.and(lease.gateways.first().copied())
    }

    /// Gives it what the lease says, in the place of what it had.
    pub fn apply(&mut self, route: &mut Route, lease: &Lease, now: Duration) -> Result<()> {
        let gateway = self.wanted(lease);
        let changed = self.address.is_some_and(|address| address != lease.address)
            || self.address.is_some() && self.gateway != gateway;
        if changed {
            // An address of the same subnet that comes second would go with the first.
            self.remove(route)?;
        }
        let left = lease.left(now);
        let lifetime = Lifetime { valid: left, preferred: left };
        let replaced = route.replace_address(self.index, lease.address, lifetime).map_err(Error::Netlink);
        replaced.during(|| format!("add ip addr {}", lease.address))?;
        self.address = Some(lease.address);
        if self.gateway != gateway
            && let Some(spec) = self.route(gateway)
        {
            match route.add_route(&spec) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => {
                    return Err(Error::Netlink(errno).during(format!(
                        "add default route via {}",
                        gateway.map_or(String::new(), |gateway| gateway.to_string())
                    )));
                }
            }
        }
        self.gateway = gateway;
        if let Some(mtu) = lease.mtu.filter(|mtu| !self.keep_mtu && *mtu >= MTU_MIN) {
            let change = Change { mtu: Some(mtu.into()), ..Change::default() };
            if let Err(errno) = route.change_link(self.index, change) {
                tracing::warn!("the server's MTU of {mtu} cannot be set: {errno}");
            }
        }
        Ok(())
    }

    /// Takes away what it was given.
    pub fn remove(&mut self, route: &mut Route) -> Result<()> {
        if let Some(spec) = self.route(self.gateway) {
            gone(route.delete_route(&spec)).during(|| "delete default route")?;
            self.gateway = None;
        }
        if let Some(address) = self.address.take() {
            gone(route.delete_address(self.index, address)).during(|| format!("delete ip addr {address}"))?;
        }
        Ok(())
    }

    fn route(&self, gateway: Option<IpAddr>) -> Option<RouteSpec> {
        default_routes(gateway.into_iter(), self.metric?).pop()
    }
}

fn gone(result: nix::Result<()>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::ESRCH | Errno::ENODEV | Errno::EADDRNOTAVAIL | Errno::ENETUNREACH) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno)),
    }
}
