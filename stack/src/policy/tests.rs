use super::*;
use crate::config::Transports;
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
