//! Networks beside an interface of the host, and the routes of all.

use serde_json::{Value, json};

use super::room::{From, ID, Room, network, on};
use crate::bed::{Bed, WORLD4};

only!(Root as_root: macvlan, a_name_that_the_host_has, unmanaged_bridge, static_routes);

const WHO: u16 = 7008;

pub fn beside(driver: &str, interface: &str, options: Value) -> Value {
    json!({
        "container_id": "1", "container_name": "one",
        "networks": {"lan": {"interface_name": interface, "static_ips": ["203.0.113.50"]}},
        "network_info": {"lan": {
            "name": "lan", "id": ID[0], "driver": driver, "network_interface": "eth0", "options": options,
            "subnets": [{"subnet": "203.0.113.0/24", "gateway": "203.0.113.1"}],
            "ipv6_enabled": false, "internal": false, "dns_enabled": false,
        }},
    })
}

fn macvlan(bed: &Bed) {
    let room = Room::new(bed);
    let _peer = bed.peer();
    room.container("c1");
    for mode in ["bridge", "private", "vepa"] {
        let mut input = beside("macvlan", "mv0", json!({"mode": mode, "mtu": "1400", "bclim": "5"}));
        input["networks"]["lan"]["static_mac"] = json!("02:00:00:00:00:05");
        let told = room.setup("c1", &input);
        let address = json!([{"gateway": "203.0.113.1", "ipnet": "203.0.113.50/24"}]);
        assert_eq!(
            told["lan"],
            json!({"dns_search_domains": [], "dns_server_ips": [],
                "interfaces": {"mv0": {"mac_address": "02:00:00:00:00:05", "subnets": address}}})
        );
        let shown = room.inside("c1", "ip -d link show mv0; ip route").ok();
        for part in ["mtu 1400", &format!("macvlan mode {mode}"), "proto static metric 99"] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), "203.0.113.50", "on the wire itself");
        room.teardown("c1", &input);
        room.teardown("c1", &input);
    }
    assert_eq!(room.inside("c1", "ip -o link | wc -l").ok(), "1");
    room.assert_clean();
}

/// The kernel makes the link on the host first, where `eth0` is taken.
fn a_name_that_the_host_has(bed: &Bed) {
    let room = Room::new(bed);
    let _peer = bed.peer();
    room.container("c1");
    let input = beside("macvlan", "eth0", json!({}));
    room.setup("c1", &input);
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), "203.0.113.50");
    let told = room.refused("c1", &input);
    assert_eq!(told, "rename tmp macvlan interface: Netlink error: File exists (os error 17)");
    assert_eq!(room.inside("c1", "ip -o link | wc -l").ok(), "2", "lo and eth0, and nothing with a name for a moment");
    room.teardown("c1", &input);
    room.assert_clean();
}

fn unmanaged_bridge(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    room.root("ip link add br0 type bridge; ip link set br0 mtu 1300 up");
    let mut net = network(0);
    net["options"] = json!({"mode": "unmanaged"});
    net["dns_enabled"] = json!(true);
    let input = on("1", 2, &net);
    let told = room.refused("c1", &input);
    assert!(
        told.starts_with("bridge 'br0' in unmanaged mode has no usable IP addresses. Aardvark-dns requires"),
        "{told}"
    );
    assert_eq!(room.inside("c1", "ip -o link | wc -l").ok(), "1", "a refused one leaves nothing");
    room.root("ip address add 10.90.0.9/24 dev br0");
    let told = room.setup("c1", &input);
    assert_eq!(told["net0"]["dns_server_ips"], json!(["10.90.0.9"]));
    assert!(room.inside("c1", "ip link show eth0").ok().contains("mtu 1300"));
    room.inside("c1", "ping -c1 -W2 10.90.0.9").ok();
    assert_eq!(room.ruleset(), "", "somebody else's bridge has no rules");
    room.teardown("c1", &input);
    assert_eq!(room.links(), " br0", "somebody else's bridge stays");
    room.root("ip link delete br0");
}

fn static_routes(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut net = network(0);
    net["routes"] = json!([
        {"destination": "10.1.0.0/16", "gateway": "10.90.0.9", "metric": 5},
        {"destination": "fd00:1::/48", "gateway": "fd00:90::9"},
        {"destination": "10.2.0.0/16", "route_type": "blackhole"},
        {"destination": "10.3.0.0/16", "route_type": "unreachable"},
        {"destination": "fd00:3::/48", "route_type": "prohibit"},
    ]);
    net["options"] = json!({"no_default_route": "true"});
    let mut input = on("1", 2, &net);
    input["networks"]["net0"]["options"] = json!({"host_interface_name": "host7"});
    room.setup("c1", &input);
    let shown = room.inside("c1", "ip route; ip -6 route").ok();
    for part in [
        "10.1.0.0/16 via 10.90.0.9 dev eth0 proto static metric 5",
        "fd00:1::/48 via fd00:90::9 dev eth0 proto static metric 100",
        "blackhole 10.2.0.0/16 proto static metric 100",
        "unreachable 10.3.0.0/16 proto static metric 100",
        "prohibit fd00:3::/48 dev lo proto static metric 100",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("default"), "{shown}");
    assert!(room.links().contains("host7"), "{}", room.links());
    room.teardown("c1", &input);
    assert_eq!(room.inside("c1", "ip route; ip -6 route").ok(), "", "routes that go by no interface are gone, too");
    room.assert_clean();
}
