//! What lets a socket inside connect to the container's own address under the gateway's name.
//!
//! Such a connection stays on the container's loopback device, in both directions. Its packets bear a mark, by which a rule
//! sends them to a table that calls every address local; accepted sockets take the mark over (tcp_fwmark_accept), and so do resets
//! (fwmark_reflect). The sockets are bound to the loopback device, so that the kernel lets them reuse ports in TIME-WAIT after a
//! second (tcp_tw_reuse).

use std::fs;

use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rnet_stack::Family;
use tracing::debug;

use crate::config::{LoopbackSource, Network};
use crate::sys::netlink::Netlink;

/// The mark, and the number of the table. It has none of the bits that kube-proxy and the like use.
pub(super) const MARK: u32 = 0x1ba5_0000;

/// The rule stands before all others but the one for local addresses.
const PRIORITY: u32 = 1;

/// Settings of the network namespace that let marks travel.
const SETTINGS: [&str; 3] = ["ipv4/tcp_fwmark_accept", "ipv4/fwmark_reflect", "ipv6/fwmark_reflect"];

/// What was set, to be taken back.
pub(super) struct Source {
    netlink: Option<Netlink>,
    families: Vec<Family>,
    device: u32,
    name: LoopbackSource,
}

impl Source {
    /// Sets all up, for the families that the container has.
    pub(super) fn set_up(network: &Network) -> Source {
        let name = network.loopback_source;
        let mut source = Source { netlink: None, families: Vec::new(), device: 1, name };
        let has = [(Family::V4, network.ipv4.is_some()), (Family::V6, network.ipv6.is_some())];
        let has = has.into_iter().filter(|(_, has)| *has).map(|(family, _)| family);
        if name != LoopbackSource::Gateway {
            // Its own address needs nothing of that.
            source.families = has.collect();
            return source;
        }
        for name in SETTINGS {
            if let Err(error) = fs::write(format!("/proc/sys/net/{name}"), "1")
                && !(name.starts_with("ipv6") && network.ipv6.is_none())
            {
                debug!("clients on the host's loopback come through the stack: net/{name} cannot be set: {error}");
                return source;
            }
        }
        source.device = if_nametoindex("lo").unwrap_or(1);
        source.netlink = Netlink::open().ok();
        for family in has {
            match source.add(family) {
                Ok(()) => source.families.push(family),
                Err(errno) => debug!(
                    "clients on the host's loopback come through the stack over {family:?}: no rule by mark: {}",
                    errno.desc()
                ),
            }
        }
        source
    }

    /// Whose name the sockets are to have.
    pub(super) fn name(&self) -> LoopbackSource {
        self.name
    }

    /// Whether it works in a family.
    pub(super) fn has(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    fn add(&mut self, family: Family) -> nix::Result<()> {
        let (route, rule) = (route(family, self.device), rule(family));
        let netlink = self.netlink.as_mut().ok_or(Errno::EAFNOSUPPORT)?;
        for message in [RouteNetlinkMessage::NewRoute(route), RouteNetlinkMessage::NewRule(rule)] {
            match netlink.create(message) {
                // Somebody before us was killed.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        for family in std::mem::take(&mut self.families) {
            let (route, rule) = (route(family, self.device), rule(family));
            if let Some(netlink) = &mut self.netlink {
                let _ = netlink.change(RouteNetlinkMessage::DelRule(rule));
                let _ = netlink.change(RouteNetlinkMessage::DelRoute(route));
            }
        }
    }
}

fn of(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn rule(family: Family) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = of(family);
    rule.header.action = RuleAction::ToTable;
    rule.attributes = vec![
        RuleAttribute::Priority(PRIORITY),
        RuleAttribute::FwMark(MARK),
        RuleAttribute::FwMask(u32::MAX),
        RuleAttribute::Table(MARK),
    ];
    rule
}

/// All addresses are local.
fn route(family: Family, device: u32) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = of(family);
    route.header.table = RouteHeader::RT_TABLE_UNSPEC;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Host;
    route.header.kind = RouteType::Local;
    route.attributes = vec![RouteAttribute::Table(MARK), RouteAttribute::Oif(device)];
    route
}
