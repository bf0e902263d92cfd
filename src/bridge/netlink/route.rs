//! Routes.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::attribute::{Attributes, ne32, read};
use super::socket::{CREATE, body};
use super::{Link, Route, emitted};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
/// The length of struct rtmsg.
const RTMSG: usize = 12;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
/// RT_TABLE_MAIN
pub const MAIN_TABLE: u32 = 254;
/// RTN_UNICAST
const UNICAST: u8 = 1;
/// The length of struct rtnexthop, and where its interface number lies.
const RTNEXTHOP: usize = 8;

/// A network that is routed to.
pub type Destination = IpNet;

/// What becomes of packets to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// They go by a gateway.
    Unicast(IpAddr),
    /// They are dropped silently.
    Blackhole,
    /// The sender hears that the host is unreachable.
    Unreachable,
    /// The sender hears that it is prohibited.
    Prohibit,
}

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Where to.
    pub destination: Destination,
    /// How.
    pub kind: RouteKind,
    /// Its priority: the smallest wins.
    pub metric: u32,
}

impl Route {
    /// Adds a route before those to the same destination with the same metric, as `ip route prepend` does.
    pub fn add_route(&mut self, route: &RouteSpec) -> nix::Result<()> {
        self.0.request(RTM_NEWROUTE, CREATE, &emitted(&message(route)))
    }

    /// Takes a route away.
    pub fn delete_route(&mut self, route: &RouteSpec) -> nix::Result<()> {
        self.0.request(RTM_DELROUTE, 0, &emitted(&message(route)))
    }

    /// The link of the first default route of a table, IPv4 before IPv6.
    pub fn default_link(&mut self, table: u32) -> nix::Result<Option<Link>> {
        for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
            let mut header = [0; RTMSG];
            header[0] = family;
            let answers = self.0.dump(RTM_GETROUTE, &body(&header, &Attributes::new()))?;
            let found = answers.iter().find_map(|answer| default_index(&answer.body, table));
            if let Some(index) = found {
                return self.link_at(index).map(Some);
            }
        }
        Ok(None)
    }
}

fn message(route: &RouteSpec) -> RouteMessage {
    let mut message = RouteMessage::default();
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    message.header.address_family = match route.destination {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.destination_prefix_length = route.destination.prefix_len();
    message.header.kind = match route.kind {
        RouteKind::Unicast(_) => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    };
    message.attributes.push(RouteAttribute::Destination(address(route.destination.network())));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    if let RouteKind::Unicast(gateway) = route.kind {
        message.attributes.push(RouteAttribute::Gateway(address(gateway)));
    }
    message
}

/// The link of a default route, if these bytes are one of the table.
fn default_index(bytes: &[u8], wanted: u32) -> Option<u32> {
    let header = bytes.get(..RTMSG)?;
    let (prefix, kind) = (header[1], header[7]);
    let (mut table, mut index) = (u32::from(header[4]), None);
    for (attribute, value) in read(&bytes[RTMSG..]) {
        match attribute {
            RTA_TABLE => table = ne32(value)?,
            RTA_OIF => index = ne32(value),
            RTA_MULTIPATH => index = index.or_else(|| ne32(value.get(4..RTNEXTHOP)?)),
            _ => {}
        }
    }
    (prefix == 0 && kind == UNICAST && table == wanted).then_some(index).flatten()
}
