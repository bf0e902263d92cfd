//! Interfaces whose addresses a DHCP server gives, by way of the proxy.

use std::net::IpAddr;

use super::options::format_mac;
use crate::bridge::dhcp::{self, Leased, Wish};
use crate::bridge::error::{Error, Result};
use crate::bridge::kernel::Kernel;
use crate::bridge::run::Run;
use crate::bridge::undo::Undo;

/// An interface as its driver knows it.
pub struct Leasing<'d> {
    /// The interface on the host that leads to the server.
    pub host_interface: &'d str,
    /// The container's.
    pub interface: &'d str,
    /// Whether an IPv6 address is wanted too.
    pub ipv6: bool,
    /// The metric of the default route; `None` for no such route.
    pub metric: Option<u32>,
    /// Whether the network has an MTU of its own.
    pub keep_mtu: bool,
}

impl Leasing<'_> {
    fn wish(&self, run: &Run, mac: &[u8]) -> Wish {
        Wish {
            host_interface: self.host_interface.into(),
            interface: self.interface.into(),
            mac: format_mac(mac),
            netns: run.netns.clone(),
            container_id: run.options.container_id.clone(),
            host_name: run.options.container_hostname.clone().unwrap_or_default(),
            ipv6: self.ipv6,
            metric: self.metric,
            keep_mtu: self.keep_mtu,
        }
    }

    /// Gets the addresses; the proxy gives them to the interface.
    pub fn obtain(&self, run: &Run, mac: &[u8], undo: &mut Undo) -> Result<Leased> {
        let wish = self.wish(run, mac);
        let leased = dhcp::obtain(&wish)?;
        undo.push("lease an address", move |_| dhcp::release(&wish));
        Ok(leased)
    }

    /// Gives the addresses back. When the interface is gone already, the proxy may know it still, or may be gone too.
    pub fn release(&self, run: &Run, kernel: &mut Kernel, errors: &mut Vec<Error>) {
        let link = kernel.container().and_then(|container| container.route.link(self.interface).ok());
        match (dhcp::release(&self.wish(run, link.as_ref().map_or(&[], |link| &link.mac))), link) {
            (Err(error), Some(_)) => errors.push(error),
            (Err(error), None) => tracing::debug!("{error}"),
            (Ok(()), _) => {}
        }
    }
}

/// The name servers that setup tells: those given for the container, or the lease's.
pub fn name_servers(run: &Run, leased: &Leased) -> Option<Vec<IpAddr>> {
    run.options.dns_servers.clone().filter(|servers| !servers.is_empty()).or_else(|| leased.dns.clone())
}
