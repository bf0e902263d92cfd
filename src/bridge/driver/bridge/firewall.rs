//! What the bridge driver tells the firewall.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::Bridge;
use super::link::Ready;
use crate::bridge::conntrack;
use crate::bridge::error::Result;
use crate::bridge::firewall::{ContainerRules, Kind, Leftover, NetworkRules, Setup, hash_name};
use crate::bridge::netlink::NetlinkSocket;
use crate::bridge::run::Run;
use crate::bridge::undo::Undo;

impl Bridge {
    /// Only managed networks have rules; internal ones only for their name server.
    pub fn has_firewall(&self) -> bool {
        self.managed && (!self.internal || self.dns_enabled)
    }

    /// Notes what is about to be done and does it.
    pub fn setup_firewall(&self, run: &Run, ready: &Ready, servers: &[IpAddr], undo: &mut Undo) -> Result<()> {
        let (network, container) = (self.network_rules(run), self.container_rules(run, servers));
        let (kind, complete) = (run.firewall, ready.created);
        let mut again = true;
        let state = run.state();
        if let Some(state) = &state {
            let (of, id, network_id) = (state.clone(), self.container_id.clone(), self.network_id.clone());
            undo.push("save the firewall's state", move |_| of.forget(&network_id, &id, complete));
            again = state.save(kind, &network, &container)?;
        }
        // What a former container with these addresses had must not claim this one's packets.
        drop(flush(kind, &container, &addresses(&container), &[]));
        let (rules, of, beside_firewalld) = (network.clone(), container.clone(), !run.rootless);
        undo.push("add firewall rules", move |_| {
            if complete && beside_firewalld {
                kind.distrust(&rules);
            }
            kind.teardown(&rules, &of, complete).map(drop)
        });
        // A user's firewalld is that of the machine, which knows nothing of the user's namespace.
        if beside_firewalld {
            kind.trust(&network, &[&container])?;
        }
        kind.setup(&network, &container, &Setup { again, state: state.as_ref() })?;
        // Nor what came to its ports before there were rules. Only now, when nothing more of that can come.
        drop(flush(kind, &container, &[], &published_udp(&container)));
        Ok(())
    }

    /// Removes the rules that [`Bridge::setup_firewall`] made, with the driver that made them.
    pub fn remove_rules(&self, run: &Run, complete: bool) -> Result<Leftover> {
        let servers: Vec<IpAddr> = match self.dns_enabled {
            true => self.ipam.gateways.iter().map(IpNet::addr).collect(),
            false => Vec::new(),
        };
        let state = run.state();
        let saved = state.as_ref().and_then(|state| state.saved(&self.network_id, &self.container_id));
        let (network, container) =
            saved.unwrap_or_else(|| (self.network_rules(run), self.container_rules(run, &servers)));
        let kind = state.as_ref().and_then(|state| state.driver()).unwrap_or(run.firewall);
        if complete && !run.rootless {
            kind.distrust(&network);
        }
        let mut leftover = kind.teardown(&network, &container, complete)?;
        leftover.conntrack = flush(kind, &container, &addresses(&container), &[]);
        Ok(leftover)
    }

    /// Forgets what was noted; the last that is done, so that whoever is killed before it can still be found out about.
    pub fn forget(&self, run: &Run, complete: bool) -> Result<()> {
        run.state().map_or(Ok(()), |state| state.forget(&self.network_id, &self.container_id, complete))
    }

    /// What the firewall is told of the network.
    pub fn network_rules(&self, run: &Run) -> NetworkRules {
        NetworkRules {
            subnets: self.ipam.subnets.clone(),
            bridge_name: self.bridge.clone(),
            network_id: self.network_id.clone(),
            network_hash_name: hash_name(&self.network_name),
            isolation: self.isolation,
            dns_port: run.dns_port,
            internal: self.internal,
            outbound_addr4: self.outbound4,
            outbound_addr6: self.outbound6,
        }
    }

    /// What the firewall is told of the container.
    pub fn container_rules(&self, run: &Run, servers: &[IpAddr]) -> ContainerRules {
        let v4 = self.ipam.addresses.iter().find_map(|address| match address {
            IpNet::V4(net) => Some((net.addr(), net.trunc())),
            IpNet::V6(_) => None,
        });
        let v6 = self.ipam.addresses.iter().find_map(|address| match address {
            IpNet::V6(net) => Some((net.addr(), net.trunc())),
            IpNet::V4(_) => None,
        });
        ContainerRules {
            container_id: self.container_id.clone(),
            network_id: self.network_id.clone(),
            port_mappings: self.ports.clone(),
            network_name: self.network_name.clone(),
            network_hash_name: hash_name(&self.network_name),
            container_ip_v4: v4.map(|(address, _)| address),
            subnet_v4: v4.map(|(_, subnet)| subnet),
            container_ip_v6: v6.map(|(address, _)| address),
            subnet_v6: v6.map(|(_, subnet)| subnet),
            dns_port: run.dns_port,
            dns_server_ips: servers.to_vec(),
            internal: self.internal,
        }
    }
}

fn addresses(container: &ContainerRules) -> Vec<IpAddr> {
    container.addresses().map(|(address, _)| address).collect()
}

fn published_udp(container: &ContainerRules) -> Vec<RangeInclusive<u16>> {
    let published = container.port_mappings.iter().flatten().filter(|_| !container.internal);
    published.filter(|port| port.protocol == "udp").map(|port| port.host_port..=port.host_end()).collect()
}

/// Makes the kernel forget connections of these addresses, and those to these UDP ports of the host. What cannot be forgotten only
/// lives a little longer.
fn flush(
    kind: Kind,
    container: &ContainerRules,
    addresses: &[IpAddr],
    udp: &[RangeInclusive<u16>],
) -> Option<NetlinkSocket> {
    if kind == Kind::None || (addresses.is_empty() && udp.is_empty()) {
        return None;
    }
    conntrack::flush(addresses, udp)
        .inspect_err(|error| {
            tracing::warn!("conntrack entries of {} are left as they are: {error}", container.container_id);
        })
        .ok()
}
