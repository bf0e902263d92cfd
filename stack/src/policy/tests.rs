use super::*;
use crate::config::{Mapping, Transports};
use crate::frame::MacAddr;
use crate::neighbour::{Answer, ClientName, LINK_LOCAL, LinkConfig, LinkV4, LinkV6, Offers};

fn config(host_loopback: bool, dns: DnsService) -> Config {
    Config {
        link: LinkConfig {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 65520,
            ipv4: Some(LinkV4 {
                address: Ipv4Addr::new(10, 0, 2, 100),
                prefix: 24,
                gateway: Ipv4Addr::new(10, 0, 2, 2),
                dns: Some(Ipv4Addr::new(10, 0, 2, 3)),
            }),
            ipv6: Some(LinkV6 {
                address: "fd00::100".parse().unwrap(),
                prefix: 64,
                gateway: "fd00::2".parse().unwrap(),
                dns: Some("fd00::3".parse().unwrap()),
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
        guest_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        host_loopback,
        dns,
        mapping: None,
        transports: Transports::default(),
        limits: crate::Limits::default(),
        timestamps: crate::TimestampClock::default(),
        seed: 1,
    }
}

fn judge(config: &Config, to: &str, port: u16) -> Verdict {
    outbound(config, to.parse().unwrap(), port)
}

#[test]
fn addresses_that_mean_the_host_itself_are_dropped() {
    let config = config(true, DnsService::Silent);
    for to in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "0.1.2.3",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.1.1.1",
        "::127.0.0.1",
    ] {
        assert_eq!(judge(&config, to, 80), Verdict::Drop(DropReason::Address), "{to}");
    }
    for to in ["224.0.0.1", "255.255.255.255", "10.0.2.255", "ff02::1"] {
        assert_eq!(judge(&config, to, 80), Verdict::Drop(DropReason::Multicast), "{to}");
    }
    assert_eq!(judge(&config, "240.0.0.1", 80), Verdict::Drop(DropReason::Address));
}

#[test]
fn the_gateway_is_the_hosts_loopback_only_when_asked() {
    let off = config(false, DnsService::Silent);
    assert_eq!(judge(&off, "10.0.2.2", 80), Verdict::NoRoute);
    assert_eq!(judge(&off, "fd00::2", 80), Verdict::NoRoute);
    let on = config(true, DnsService::Silent);
    assert_eq!(judge(&on, "10.0.2.2", 80), Verdict::Forward("127.0.0.1:80".parse().unwrap()));
    assert_eq!(judge(&on, "fd00::2", 80), Verdict::Forward("[::1]:80".parse().unwrap()));
}

#[test]
fn the_dns_address_answers_queries_and_nothing_else() {
    let with = config(false, DnsService::Edge);
    assert_eq!(judge(&with, "10.0.2.3", 53), Verdict::Dns);
    assert_eq!(judge(&with, "fd00::3", 53), Verdict::Dns);
    assert_eq!(judge(&with, "10.0.2.3", 80), Verdict::Refuse);
    assert_eq!(judge(&config(false, DnsService::Silent), "10.0.2.3", 53), Verdict::Drop(DropReason::NoDns));
}

#[test]
fn loopback_senders_enter_as_the_gateway_or_not_at_all() {
    let from: SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert_eq!(inbound(&config(false, DnsService::Silent), from, Family::V4), None);
    assert_eq!(inbound(&config(true, DnsService::Silent), from, Family::V4), Some("10.0.2.2:9".parse().unwrap()));
    let outside: SocketAddr = "192.0.2.1:9".parse().unwrap();
    assert_eq!(inbound(&config(false, DnsService::Silent), outside, Family::V4), Some(outside));
    assert_eq!(inbound(&config(false, DnsService::Silent), outside, Family::V6), None);
}

/// A container that has the host's addresses.
fn mapped() -> Config {
    let mapping = Mapping {
        loopback4: Some(Ipv4Addr::new(10, 0, 2, 2)),
        shadowed4: Some(Ipv4Addr::new(169, 254, 1, 2)),
        resolver4: Some(Ipv4Addr::new(192, 0, 2, 53)),
        scope: 7,
        ..Mapping::default()
    };
    let plain = config(false, DnsService::Edge);
    let link = LinkConfig { answer: Answer::All, ..plain.link };
    Config { link, mapping: Some(mapping), ..plain }
}

#[test]
fn addresses_that_stand_for_the_host() {
    let config = mapped();
    let forward = |to: &str| Verdict::Forward(to.parse().unwrap());
    assert_eq!(judge(&config, "10.0.2.2", 80), forward("127.0.0.1:80"));
    assert_eq!(judge(&config, "169.254.1.2", 80), forward("10.0.2.100:80"));
    assert_eq!(judge(&config, "10.0.2.7", 80), forward("10.0.2.7:80"), "a neighbour is a machine");
    assert_eq!(judge(&config, "10.0.2.3", 53), Verdict::Dns);
    assert_eq!(judge(&config, "10.0.2.3", 853), forward("192.0.2.53:853"));
    assert_eq!(judge(&config, "10.0.2.3", 80), forward("10.0.2.3:80"));
    assert_eq!(judge(&config, "fd00::2", 80), forward("[fd00::2]:80"), "nothing stands for ::1");
    assert_eq!(judge(&config, "127.0.0.1", 80), Verdict::Drop(DropReason::Address));
    let scoped = SocketAddrV6::new("fe80::9".parse().unwrap(), 53, 0, 7);
    assert_eq!(judge(&config, "fe80::9", 53), Verdict::Forward(scoped.into()));
}

#[test]
fn what_stands_for_the_host_is_its_name() {
    let config = mapped();
    let name = |from: &str, guest: &str| client(&config, from.parse().unwrap(), guest.parse().unwrap()).unwrap().ip();
    for (from, guest, named) in [
        ("127.0.0.1:9", "10.0.2.100", "10.0.2.2"),
        ("127.0.0.9:9", "10.0.2.100", "10.0.2.2"),
        ("10.0.2.100:9", "10.0.2.100", "169.254.1.2"),
        ("10.0.2.2:9", "10.0.2.100", "10.0.2.2"),
        ("10.0.2.9:9", "10.0.2.100", "10.0.2.9"),
        ("[::1]:9", "fd00::100", "fe80::2"),
        ("[fd00::100]:9", "fd00::100", "fe80::2"),
        ("[2001:db8::9]:9", "fd00::100", "2001:db8::9"),
    ] {
        assert_eq!(name(from, guest), named.parse::<IpAddr>().unwrap(), "{from}");
    }
    assert!(!leads_to(&config, "10.0.2.2:9".parse().unwrap()) && leads_to(&config, "10.0.2.9:9".parse().unwrap()));
    let inside = |from: &str| inbound(&config, from.parse().unwrap(), Family::V4).map(|from| from.ip().to_string());
    assert_eq!(inside("127.0.0.1:9").as_deref(), Some("10.0.2.2"));
    assert_eq!(inside("10.0.2.100:9").as_deref(), Some("169.254.1.2"));
    assert_eq!(inside("192.0.2.1:9").as_deref(), Some("192.0.2.1"));
    assert_eq!(inbound(&config, "[::1]:9".parse().unwrap(), Family::V6), None);
}
