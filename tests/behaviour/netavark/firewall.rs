//! The ruleset as nft(8) shows it, whose rules are whose, and reload.

use serde_json::json;

use super::room::{DIRECTORY, Room, network, on, port, publishing};
use crate::bed::Bed;

only!(Root as_root: the_ruleset, a_container_takes_only_its_own_rules, reload_repairs, reload_without_state,
    rules_of_netavark_are_known, dns_port);

const EMPTY: &str = include_str!("empty.nft");
const FULL: &str = include_str!("full.nft");

fn the_ruleset(bed: &Bed) {
    let room = Room::new(bed);
    let ports =
        [port("", 8080, 80, "tcp", 1), port("127.0.0.1", 5000, 53, "udp", 3), port("::1", 6000, 6000, "sctp", 2)];
    let mut other = network(1);
    other["options"] = json!({"isolate": "false"});
    let mut third = network(2);
    third["options"] = json!({"isolate": "true", "outbound_addr4": "203.0.113.2"});
    let one = publishing(on("1", 2, &network(0)), &ports);
    let (two, three) = (on("2", 2, &other), on("3", 2, &third));
    for (name, input) in [("c1", &one), ("c2", &two), ("c3", &three)] {
        room.container(name);
        room.setup(name, input);
    }
    assert_eq!(room.ruleset(), FULL.trim_end());
    for (name, input) in [("c2", &two), ("c1", &one), ("c3", &three)] {
        room.teardown(name, input);
        // A second time is no error and changes nothing.
        let ruleset = room.ruleset();
        room.teardown(name, input);
        assert_eq!(room.ruleset(), ruleset);
    }
    assert_eq!(room.ruleset(), EMPTY.trim_end());
    room.assert_clean();
}

/// Two containers publish the same port; the second one's rules never match, but they are its own.
fn a_container_takes_only_its_own_rules(bed: &Bed) {
    let room = Room::new(bed);
    let net = network(0);
    let inputs = ["1", "2"]
        .map(|id| publishing(on(id, id.parse::<usize>().unwrap() + 1, &net), &[port("", 8080, 80, "tcp", 1)]));
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        room.container(name);
        room.setup(name, input);
    }
    room.teardown("c1", &inputs[0]);
    let rules = room.ruleset();
    assert_eq!(rules.matches("dport 8080 jump nv_").count(), 2, "{rules}");
    assert!(rules.contains("dnat ip to 10.90.0.3:80") && !rules.contains("10.90.0.2"), "{rules}");
    room.teardown("c2", &inputs[1]);
    room.assert_clean();
}

fn reload_repairs(bed: &Bed) {
    let room = Room::new(bed);
    let net = network(0);
    let inputs = ["1", "2"].map(|id| {
        let host = id.parse::<usize>().unwrap() + 1;
        publishing(
            on(id, host, &net),
            &[port("", 8000 + host as u16, 80, "tcp", 1), port("", 9000 + 10 * host as u16, 70, "udp", 5)],
        )
    });
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        room.container(name);
        room.setup(name, input);
    }
    let whole = room.ruleset();
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    };
    for harm in [
        "true",
        "nft flush ruleset",
        "nft flush chain inet netavark FORWARD",
        "nft flush chain inet netavark NETAVARK-HOSTPORT-DNAT",
        "nft flush chain inet netavark nv_53ce4390_10_90_0_0_nm24_dnat; nft flush chain inet netavark PREROUTING",
        "nft flush chain inet netavark nv_53ce4390_10_90_0_0_nm24; nft flush chain inet netavark NETAVARK-ISOLATION-3",
        "nft insert rule inet netavark FORWARD jump NETAVARK-ISOLATION-1",
    ] {
        room.root(harm);
        let out = room.netavark(&["firewall-reload"], &json!(null)).env("RUST_LOG", "netavark=debug").output();
        out.assert_code(0);
        let line = "[INFO  netavark::commands::firewall_reload] Successfully reloaded firewall rules";
        assert!(out.stderr.contains(line), "{out}");
        assert_eq!(lines(&room.ruleset()), lines(&whole), "after {harm}");
    }
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        room.teardown(name, input);
    }
    room.assert_clean();
}

fn reload_without_state(bed: &Bed) {
    let room = Room::new(bed);
    assert_eq!(room.netavark(&["firewall-reload"], &json!(null)).ok(), "");
    assert_eq!(bed.rnet(&["netavark", "firewall-reload"]).ok(), "");
    assert_eq!(room.ruleset(), "");
}

/// A container that netavark has set up is torn down by rnet after an upgrade: the rules are the same, but nobody's.
fn rules_of_netavark_are_known(bed: &Bed) {
    let room = Room::new(bed);
    let input =
        publishing(on("1", 2, &network(0)), &[port("", 8080, 80, "tcp", 1), port("127.0.0.1", 5000, 53, "udp", 1)]);
    room.container("c1");
    room.setup("c1", &input);
    // As text the rules lose what rnet notes in them.
    room.root("nft list ruleset >/tmp/rules; nft flush ruleset; nft -f /tmp/rules; rm /tmp/rules");
    room.netavark(&["firewall-reload"], &json!(null)).ok();
    assert_eq!(room.ruleset().matches("dport 8080").count(), 7, "{}", room.ruleset());
    room.root("nft list ruleset >/tmp/rules; nft flush ruleset; nft -f /tmp/rules; rm /tmp/rules");
    room.teardown("c1", &input);
    assert_eq!(room.ruleset(), EMPTY.trim_end());
    room.assert_clean();
}

fn dns_port(bed: &Bed) {
    let room = Room::new(bed);
    let mut net = network(0);
    net["dns_enabled"] = json!(true);
    let inputs = ["1", "2"].map(|id| publishing(on(id, id.parse::<usize>().unwrap() + 1, &net), &[]));
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        room.container(name);
        room.netavark(&["setup", &format!("/run/netns/{name}")], input).env("NETAVARK_DNS_PORT", "1053").ok();
    }
    let chain = room.root("nft list chain inet netavark NETAVARK-HOSTPORT-DNAT");
    let lines: Vec<&str> = chain.lines().map(str::trim).collect();
    assert_eq!(
        lines[2..],
        [
            "ip6 daddr fd00:90::1 meta l4proto { tcp, udp } th dport 53 dnat ip6 to [fd00:90::1]:1053",
            "ip daddr 10.90.0.1 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.90.0.1:1053",
            "}",
            "}"
        ]
    );
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        // Without the port in the environment: the state knows it.
        room.teardown(name, input);
    }
    assert_eq!(room.ruleset(), EMPTY.trim_end());
    assert_eq!(room.root(&format!("cat {DIRECTORY}/firewall/firewall-driver")), "nftables");
    room.assert_clean();
}
