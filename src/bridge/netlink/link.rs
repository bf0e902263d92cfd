//! Links: bridges, veth pairs, macvlan and ipvlan. Of what the kernel answers only a few attributes are read, by hand, so that
//! an attribute of a newer kernel cannot fail.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoBridgePort, InfoData, InfoIpVlan, InfoKind,
    InfoMacVlan, InfoPortData, InfoPortKind, InfoVeth, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    MacVlanMode,
};
use nix::errno::Errno;

use super::attribute::{Attributes, find, ne32, read, text};
use super::socket::{Answer, CREATE, EXCL, body};
use super::{Route, emitted};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
/// The length of struct ifinfomsg.
const IFINFOMSG: usize = 16;
/// RTEXT_FILTER_SKIP_STATS
const SKIP_STATS: u32 = 1 << 3;
/// IFLA_*
const ADDRESS: u16 = 1;
const IFNAME: u16 = 3;
const MTU: u16 = 4;
const LINK: u16 = 5;
const MASTER: u16 = 10;
const LINKINFO: u16 = 18;
const IFALIAS: u16 = 20;
const GROUP: u16 = 27;
const EXT_MASK: u16 = 29;
/// IFLA_INFO_KIND, IFLA_INFO_DATA
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
/// IFLA_VRF_TABLE
const VRF_TABLE: u16 = 1;

/// What is known of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `bridge`, `veth`; real devices have none.
    pub kind: Option<String>,
    /// Its Ethernet address.
    pub mac: Vec<u8>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The alias that an administrator, or rnet, gave it.
    pub alias: Option<String>,
    /// The routing table of a vrf.
    pub table: Option<u32>,
    /// The bridge or vrf that it is a port of.
    pub master: Option<u32>,
    /// The other end of a veth, by its number in its own namespace.
    pub peer: Option<u32>,
}

impl Route {
    /// A link by its name; ENODEV when there is none.
    pub fn link(&mut self, name: &str) -> nix::Result<Link> {
        let mut attributes = Attributes::new();
        attributes.string(IFNAME, name);
        attributes.put(EXT_MASK, &SKIP_STATS.to_ne_bytes());
        self.one_link(0, &attributes)
    }

    /// A link by its number; ENODEV when there is none.
    pub fn link_at(&mut self, index: u32) -> nix::Result<Link> {
        let mut attributes = Attributes::new();
        attributes.put(EXT_MASK, &SKIP_STATS.to_ne_bytes());
        self.one_link(index, &attributes)
    }

    fn one_link(&mut self, index: u32, attributes: &Attributes) -> nix::Result<Link> {
        let answers = self.0.get(RTM_GETLINK, &body(&ifinfomsg(index), attributes))?;
        answers.iter().find_map(parse).ok_or(Errno::ENODEV)
    }

    /// All links.
    pub fn links(&mut self) -> nix::Result<Vec<Link>> {
        self.dump_links(None)
    }

    /// The ports of a bridge.
    pub fn ports(&mut self, bridge: u32) -> nix::Result<Vec<Link>> {
        let mut ports = self.dump_links(Some(bridge))?;
        // Kernels without strict checking give all links.
        ports.retain(|link| link.master == Some(bridge));
        Ok(ports)
    }

    fn dump_links(&mut self, master: Option<u32>) -> nix::Result<Vec<Link>> {
        let mut attributes = Attributes::new();
        attributes.put(EXT_MASK, &SKIP_STATS.to_ne_bytes());
        if let Some(master) = master {
            attributes.put(MASTER, &master.to_ne_bytes());
        }
        Ok(self.0.dump(RTM_GETLINK, &body(&ifinfomsg(0), &attributes))?.iter().filter_map(parse).collect())
    }

    /// Makes a link that does not exist.
    pub fn create_link(&mut self, message: &LinkMessage) -> nix::Result<()> {
        self.0.request(RTM_NEWLINK, CREATE | EXCL, &emitted(message))
    }

    /// Changes a link.
    pub fn change_link(&mut self, index: u32, change: Change<'_>) -> nix::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if change.up {
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
        }
        message.attributes.extend(change.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        message.attributes.extend(change.mtu.map(LinkAttribute::Mtu));
        message.attributes.extend(change.alias.map(|alias| LinkAttribute::IfAlias(alias.into())));
        message.attributes.extend(change.name.map(|name| LinkAttribute::IfName(name.into())));
        if change.hairpin {
            let data = InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)]);
            let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(data)];
            message.attributes.push(LinkAttribute::LinkInfo(info));
        }
        if change.vlan_filtering {
            message.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)])),
            ]));
        }
        self.0.request(RTM_NEWLINK, 0, &emitted(&message))
    }

    /// Sets a link down: from then on nothing passes it.
    pub fn set_down(&mut self, index: u32) -> nix::Result<()> {
        let mut header = ifinfomsg(index);
        // The flags stay zero; this is what is to be changed of them.
        header[12..].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
        self.0.request(RTM_NEWLINK, 0, &header)
    }

    /// Makes a VLAN the untagged one of a bridge's port (AF_BRIDGE, IFLA_AF_SPEC).
    pub fn set_port_vlan(&mut self, message: &LinkMessage) -> nix::Result<()> {
        self.0.request(RTM_SETLINK, 0, &emitted(message))
    }

    /// Removes a link.
    pub fn delete_link(&mut self, index: u32) -> nix::Result<()> {
        self.0.request(RTM_DELLINK, 0, &ifinfomsg(index))
    }

    /// Puts a link into a group (`ip link set group`), by which several are removed at once.
    pub fn set_group(&mut self, index: u32, group: u32) -> nix::Result<()> {
        let mut attributes = Attributes::new();
        attributes.put(GROUP, &group.to_ne_bytes());
        self.0.request(RTM_NEWLINK, 0, &body(&ifinfomsg(index), &attributes))
    }

    /// Removes all links of a group. The kernel waits once for all of them, not once for each.
    pub fn delete_group(&mut self, group: u32) -> nix::Result<()> {
        let mut attributes = Attributes::new();
        attributes.put(GROUP, &group.to_ne_bytes());
        self.0.request(RTM_DELLINK, 0, &body(&ifinfomsg(0), &attributes))
    }
}

/// What is to be changed of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Set it up.
    pub up: bool,
    /// Its Ethernet address.
    pub mac: Option<&'a [u8]>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its alias.
    pub alias: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Of a bridge's port: frames may leave by the port that they came from.
    pub hairpin: bool,
    /// Of a bridge: filter VLANs from now on.
    pub vlan_filtering: bool,
}

fn ifinfomsg(index: u32) -> [u8; IFINFOMSG] {
    let mut bytes = [0; IFINFOMSG];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes
}

fn parse(answer: &Answer) -> Option<Link> {
    if answer.kind != RTM_NEWLINK {
        return None;
    }
    let index = ne32(answer.body.get(4..8)?)?;
    let mut link = Link { index, ..Link::default() };
    for (kind, value) in read(answer.body.get(IFINFOMSG..)?) {
        match kind {
            ADDRESS => link.mac = value.to_vec(),
            IFNAME => link.name = text(value)?.into(),
            MTU => link.mtu = ne32(value)?,
            MASTER => link.master = ne32(value),
            LINK => link.peer = ne32(value),
            IFALIAS => link.alias = text(value).map(String::from),
            LINKINFO => {
                link.kind = find(value, INFO_KIND).and_then(text).map(String::from);
                if link.kind.as_deref() == Some("vrf") {
                    link.table = find(value, INFO_DATA).and_then(|data| find(data, VRF_TABLE)).and_then(ne32);
                }
            }
            _ => {}
        }
    }
    Some(link)
}

/// A new bridge.
pub fn bridge(name: &str, mtu: Option<u32>, vlan_filtering: bool, vrf: Option<u32>) -> LinkMessage {
    let mut info = vec![LinkInfo::Kind(InfoKind::Bridge)];
    if vlan_filtering {
        info.push(LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)])));
    }
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::LinkInfo(info)];
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(vrf.map(LinkAttribute::Controller));
    message
}

/// A veth pair: one end a port of `bridge`, the other named `inside` in another network namespace.
pub fn veth(
    host: Option<&str>,
    bridge: u32,
    inside: &str,
    netns: BorrowedFd<'_>,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![LinkAttribute::IfName(inside.into()), LinkAttribute::NetNsFd(netns.as_raw_fd())];
    peer.attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    peer.attributes.extend(mtu.map(LinkAttribute::Mtu));
    let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer)))];
    let mut message = LinkMessage::default();
    message.attributes.extend(host.map(|name| LinkAttribute::IfName(name.into())));
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message.attributes.push(LinkAttribute::Controller(bridge));
    message.attributes.push(LinkAttribute::LinkInfo(info));
    message
}

/// Makes `vid` the port's own, untagged VLAN.
pub fn veth_vlan(port: u32, vid: u16) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = port;
    let vlan = BridgeVlanInfo { flags: BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged, vid };
    message.attributes = vec![LinkAttribute::AfSpecBridge(vec![AfSpecBridge::VlanInfo(vlan)])];
    message
}

fn below(parent: u32, name: &str, netns: BorrowedFd<'_>, mtu: Option<u32>, info: Vec<LinkInfo>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Link(parent),
        LinkAttribute::NetNsFd(netns.as_raw_fd()),
        LinkAttribute::LinkInfo(info),
    ];
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message
}

/// A macvlan below `parent`, in another network namespace.
pub fn macvlan(
    parent: u32,
    name: &str,
    netns: BorrowedFd<'_>,
    mtu: Option<u32>,
    (mode, mac, bclim): (MacVlanMode, Option<[u8; 6]>, Option<i32>),
) -> LinkMessage {
    let mut data = vec![InfoMacVlan::Mode(mode)];
    data.extend(bclim.map(InfoMacVlan::BcCutoff));
    let info = vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(InfoData::MacVlan(data))];
    let mut message = below(parent, name, netns, mtu, info);
    message.attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    message
}

/// An ipvlan below `parent`, in another network namespace.
pub fn ipvlan(parent: u32, name: &str, netns: BorrowedFd<'_>, mtu: Option<u32>, mode: IpVlanMode) -> LinkMessage {
    let data = vec![InfoIpVlan::Mode(mode)];
    below(parent, name, netns, mtu, vec![LinkInfo::Kind(InfoKind::IpVlan), LinkInfo::Data(InfoData::IpVlan(data))])
}
