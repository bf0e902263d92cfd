//! Traffic through what setup makes: out, in, between containers, and not where it must not go.

use serde_json::json;

use super::room::{From, Room, network, on, port, publishing};
use crate::bed::{Bed, HOST4, HOST6, WORLD4, WORLD6};

each_driver!(
    containers_reach_outside_and_each_other,
    published_ports,
    ranges_and_udp,
    isolated_networks,
    a_udp_flow_reaches_the_successor,
    outbound_address
);
only!(Root as_root: internal_network, without_firewall);

const WHO: u16 = 7008;
const UDP_WHO: u16 = 9002;

fn containers_reach_outside_and_each_other(room: &Room<'_>) {
    let bed = room.bed;
    let _peer = bed.peer();
    let net = network(0);
    let (one, two) = (on("1", 2, &net), on("2", 3, &net));
    for (name, input) in [("c1", &one), ("c2", &two)] {
        room.container(name);
        room.setup(name, input);
    }
    room.serve("c2");
    let (c1, c2) = (From::Inside("c1"), From::Inside("c2"));
    assert_eq!(room.who(c1, WORLD4, WHO), HOST4, "masqueraded");
    assert_eq!(room.who(c1, WORLD6, WHO), HOST6, "masqueraded");
    assert_eq!(room.who_udp(c2, WORLD4, UDP_WHO), HOST4);
    for (to, from) in [("10.90.0.3", "10.90.0.2"), ("fd00:90::3", "fd00:90::2")] {
        assert_eq!(room.who(c1, to, WHO), from, "by its own address");
    }
    assert_eq!(room.who(From::Host, "10.90.0.3", WHO), "10.90.0.1");
    assert_eq!(room.who(From::Host, "fd00:90::3", WHO), "fd00:90::1");
    room.teardown("c1", &one);
    room.teardown("c2", &two);
    room.assert_clean();
}

fn published_ports(room: &Room<'_>) {
    let ports = [
        port("", 8080, WHO, "tcp", 1),
        port("127.0.0.1", 8081, WHO, "tcp", 1),
        port(HOST4, 8082, WHO, "tcp", 0),
        port(HOST6, 8083, WHO, "tcp", 1),
        port("0.0.0.0", 8084, WHO, "tcp", 1),
    ];
    let input = publishing(on("1", 2, &network(0)), &ports);
    room.container("c1");
    room.setup("c1", &input);
    room.serve("c1");
    let c1 = From::Inside("c1");
    for (from, host, port, seen) in [
        (From::World, HOST4, 8080, WORLD4),
        (From::World, HOST6, 8080, WORLD6),
        (From::Host, HOST4, 8080, "10.90.0.1"),
        (From::Host, "127.0.0.1", 8080, "10.90.0.1"),
        (c1, HOST4, 8080, "10.90.0.1"),
        (c1, "10.90.0.1", 8080, "10.90.0.1"),
        (c1, HOST6, 8080, "fd00:90::1"),
        (From::Host, "127.0.0.1", 8081, "10.90.0.1"),
        (From::World, HOST4, 8081, "ECONNREFUSED"),
        (From::World, HOST4, 8082, WORLD4),
        (From::Host, "127.0.0.1", 8082, "ECONNREFUSED"),
        (From::World, HOST6, 8083, WORLD6),
        (From::World, HOST4, 8083, "ECONNREFUSED"),
        (From::World, HOST4, 8084, WORLD4),
        (From::World, HOST6, 8084, "ECONNREFUSED"),
    ] {
        let who = room.who(from, host, port);
        // The host's own address on the way to its own container depends on the route; that it arrives is what counts.
        let host_itself = matches!(from, From::Host) && [HOST4, "127.0.0.1"].contains(&host) && seen == "10.90.0.1";
        assert!(who == seen || (host_itself && who == HOST4), "{host} {port}: {who}, not {seen}");
    }
    room.teardown("c1", &input);
    assert_eq!(room.who(From::World, HOST4, 8080), "ECONNREFUSED");
    room.assert_clean();
}

fn ranges_and_udp(room: &Room<'_>) {
    let ports = [
        // Moved by a map, and kept as they are.
        port("", 19001, UDP_WHO - 1, "udp", 3),
        port("", 7006, 7006, "tcp", 3),
        port("", 17007, 7007, "tcp", 2),
    ];
    let input = publishing(on("1", 2, &network(0)), &ports);
    room.container("c1");
    room.setup("c1", &input);
    room.serve("c1");
    for (world, host) in [(WORLD4, HOST4), (WORLD6, HOST6)] {
        assert_eq!(room.who_udp(From::World, host, 19002), world);
        assert_eq!(room.who(From::World, host, WHO), world);
        assert_eq!(room.who(From::World, host, 17008), world);
    }
    let rules = room.root("nft list ruleset; iptables-save -t nat").to_lowercase();
    let forwards =
        rules.lines().filter(|line| line.contains("dnat ip to 10.") || line.contains("--to-destination 10."));
    assert_eq!(forwards.count(), 3, "one rule for each range\n{rules}");
    room.teardown("c1", &input);
    room.assert_clean();
}

fn isolated_networks(room: &Room<'_>) {
    let mut inputs = Vec::new();
    for (n, isolate) in ["strict", "true", "false"].into_iter().enumerate() {
        let mut net = network(n);
        net["options"] = json!({"isolate": isolate});
        let input = publishing(on(isolate, 2, &net), &[port("", 8000 + n as u16, WHO, "tcp", 1)]);
        room.container(isolate);
        room.setup(isolate, &input);
        room.serve(isolate);
        inputs.push((isolate, input));
    }
    for (from, n, reached) in [
        ("strict", 1, false),
        ("strict", 2, false),
        ("true", 0, false),
        ("true", 2, true),
        ("false", 0, false),
        ("false", 1, true),
    ] {
        for address in [format!("10.9{n}.0.2"), format!("fd00:9{n}::2")] {
            let who = room.who(From::Inside(from), &address, WHO);
            assert_eq!(who != "timeout", reached, "from {from} to {address}: {who}");
        }
        // Published ports are for everybody.
        let who = room.who(From::Inside(from), HOST4, 8000 + n);
        assert!(who.starts_with("10.9"), "from {from} to port {}: {who}", 8000 + n);
    }
    for (name, input) in &inputs {
        room.teardown(name, input);
    }
    room.assert_clean();
}

fn internal_network(bed: &Bed) {
    let room = Room::new(bed);
    let _peer = bed.peer();
    let mut net = network(0);
    net["internal"] = json!(true);
    let (one, two) = (publishing(on("1", 2, &net), &[port("", 8080, WHO, "tcp", 1)]), on("2", 3, &net));
    for (name, input) in [("c1", &one), ("c2", &two)] {
        room.container(name);
        room.setup(name, input);
        room.serve(name);
    }
    assert_eq!(room.ruleset(), "", "an internal network without names needs no rules");
    assert_eq!(room.who(From::Inside("c1"), "10.90.0.3", WHO), "10.90.0.2");
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), "ENETUNREACH");
    assert_eq!(room.who(From::World, HOST4, 8080), "ECONNREFUSED");
    assert_eq!(room.root("cat /proc/sys/net/ipv4/conf/br0/forwarding"), "0");
    room.teardown("c1", &one);
    room.teardown("c2", &two);
    room.assert_clean();
}

fn without_firewall(bed: &Bed) {
    let room = Room::new(bed);
    let net = network(0);
    let (one, two) = (on("1", 2, &net), on("2", 3, &net));
    for (name, input) in [("c1", &one), ("c2", &two)] {
        room.container(name);
        let netns = format!("/run/netns/{name}");
        let out =
            room.netavark(&["--firewall-driver", "none", "setup", &netns], input).env("RUST_LOG", "info").output();
        out.assert_code(0);
        assert!(out.stderr.starts_with("[INFO  netavark::firewall] Not using firewall\n"), "{out}");
    }
    room.serve("c2");
    assert_eq!(room.ruleset(), "");
    assert_eq!(room.who(From::Inside("c1"), "10.90.0.3", WHO), "10.90.0.2");
    // The state says which driver it was, whatever the caller's environment says later.
    room.teardown("c1", &one);
    room.teardown("c2", &two);
    assert_eq!(room.ruleset(), "");
    room.assert_clean();
}

/// A client that sends on and on from one socket must not go on talking to a container that is gone.
fn a_udp_flow_reaches_the_successor(room: &Room<'_>) {
    let bed = room.bed;
    let net = network(0);
    let inputs = [2, 3].map(|host| publishing(on(&host.to_string(), host, &net), &[port("", 5000, 5000, "udp", 1)]));
    let answer = |name: &str| {
        format!(
            "exec nsenter --net=/run/netns/{name} python3 -c \"from peer import *\ns = udp('0.0.0.0', timeout=None, bind=('0.0.0.0', 5000))\nreport(ready=True)\nwhile True:\n  data, who = s.recvfrom(99); s.sendto(b'{name}', who)\""
        )
    };
    for name in ["c0", "c1"] {
        room.container(name);
    }
    let client = bed
        .root(
            crate::bed::Side::World,
            &format!(
                "exec python3 -c \"from peer import *\ns = udp('{HOST4}', timeout=0.2)\nwhile True:\n  s.sendto(b'x', ('{HOST4}', 5000))\n  try: print(s.recv(99).decode(), flush=True)\n  except OSError: print('none', flush=True)\n  time.sleep(0.05)\""
            ),
        )
        .spawn();
    // Before anybody publishes the port the host answers, and the kernel remembers the flow.
    client.wait_until("three attempts", |out| (out.matches("none").count() >= 3).then_some(()));
    for (index, input) in inputs.iter().enumerate() {
        let name = format!("c{index}");
        room.setup(&name, input);
        bed.root(crate::bed::Side::Host, &answer(&name)).keep_when_ready();
        client.wait_until(&format!("an answer of {name}"), |out| out.contains(&name).then_some(()));
        room.teardown(&name, input);
    }
    drop(client);
    room.assert_clean();
}

fn outbound_address(room: &Room<'_>) {
    let bed = room.bed;
    let _peer = bed.peer();
    room.root("ip address add 203.0.113.77/24 dev eth0; ip address add 2001:db8:cafe::77/64 dev eth0 nodad");
    let mut net = network(0);
    net["options"] =
        json!({"outbound_addr4": "203.0.113.77", "outbound_addr6": "2001:db8:cafe::77", "mtu": "1400", "metric": "7"});
    let input = on("1", 2, &net);
    room.container("c1");
    room.setup("c1", &input);
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), "203.0.113.77");
    assert_eq!(room.who(From::Inside("c1"), WORLD6, WHO), "2001:db8:cafe::77");
    let shown = room.inside("c1", "ip -o link show eth0; ip route; ip -6 route").ok();
    assert!(
        shown.contains(" mtu 1400 ") && shown.contains("default via 10.90.0.1 dev eth0 proto static metric 7"),
        "{shown}"
    );
    assert!(shown.contains("default via fd00:90::1 dev eth0 proto static metric 7"), "{shown}");
    room.teardown("c1", &input);
    room.assert_clean();
}
