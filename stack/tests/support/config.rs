//! The stack's configuration in simulations: the addresses of `rnet run`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rnet_stack::neighbour::{Answer, ClientName, LINK_LOCAL, LinkConfig, LinkV4, LinkV6, Offers};
use rnet_stack::{Config, DnsService, Limits, TimestampClock, Transports};

use super::segment::{GUEST_MAC, LINK_MAC};

/// The container.
pub const GUEST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 100));
/// The container.
pub const GUEST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100));
/// Some host on the internet.
pub const REMOTE4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// Some host on the internet.
pub const REMOTE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// A configuration with both families.
pub fn config(mtu: u16, limits: Limits) -> Config {
    Config {
        link: LinkConfig {
            mac: LINK_MAC,
            mtu,
            ipv4: Some(LinkV4 {
                address: Ipv4Addr::new(10, 0, 2, 100),
                prefix: 24,
                gateway: Ipv4Addr::new(10, 0, 2, 2),
                dns: Some(Ipv4Addr::new(10, 0, 2, 3)),
            }),
            ipv6: Some(LinkV6 {
                address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
                prefix: 64,
                gateway: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
                dns: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3)),
                link_local: LINK_LOCAL,
            }),
            hands_out_dns: true,
            resolvers: Vec::new(),
            search: Vec::new(),
            answer: Answer::Own,
            lease: None,
            offers: Offers::default(),
            client_name: ClientName::default(),
        },
        guest_mac: GUEST_MAC,
        host_loopback: false,
        dns: DnsService::Edge,
        mapping: None,
        transports: Transports::default(),
        limits,
        timestamps: TimestampClock::default(),
        seed: 1,
    }
}
