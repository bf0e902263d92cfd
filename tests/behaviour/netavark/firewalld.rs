//! firewalld, the real one on a system bus of its own: as the driver, and beside another driver.

use std::time::Duration;

use serde_json::json;

use super::room::{From, Room, error_of, network, on, port, publishing};
use crate::bed::{Bed, HOST4, HOST6, WORLD4, WORLD6, eventually};

only!(Root as_root:
    traffic, containers_come_and_go, firewalld_is_reloaded, a_network_of_nftables_is_trusted, without_a_bus, a_failed_setup_leaves_nothing
);

const WHO: u16 = 7008;
const UDP_WHO: u16 = 9002;

/// A bus that starts nobody: firewalld lets root do everything without asking polkit.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_type="method_return" send_requested_reply="true"/><allow send_type="error" send_requested_reply="true"/>
    <allow receive_type="method_call"/><allow receive_type="signal"/>
    <allow receive_type="method_return"/><allow receive_type="error"/>
  </policy>
</busconfig>"#;

/// A room whose host has a system bus and firewalld.
fn room<'b>(bed: &'b Bed, driver: &'static str) -> Room<'b> {
    let room = Room::with(bed, driver);
    bed.excuse_files("/run/");
    bed.excuse_files("/tmp/fw");
    room.root("mkdir -p /run/dbus /run/firewalld /tmp/fw");
    bed.write("/tmp/fw/bus.conf", BUS);
    room.bed
        .root(crate::bed::Side::Host, "exec dbus-daemon --config-file /tmp/fw/bus.conf --nofork --nopidfile")
        .keep();
    assert!(eventually(Duration::from_secs(10), || bed.path("/run/dbus/system_bus_socket").exists()), "no system bus");
    start(&room);
    room
}

fn start(room: &Room<'_>) {
    let command = "exec firewalld --nofork --nopid --system-config /tmp/fw --log-file /tmp/fw/log";
    room.bed.root(crate::bed::Side::Host, command).keep();
    wait_for(room);
}

fn wait_for(room: &Room<'_>) {
    let runs = || room.root("firewall-cmd --state 2>&1 || true") == "running";
    assert!(eventually(Duration::from_secs(20), runs), "firewalld does not come up");
}

fn policy(room: &Room<'_>, name: &str) -> String {
    room.root(&format!(
        "firewall-cmd --policy {name} --list-forward-ports; firewall-cmd --policy {name} --list-rich-rules"
    ))
}

fn sources(room: &Room<'_>, zone: &str) -> String {
    room.root(&format!("firewall-cmd --zone {zone} --list-sources"))
}

#[track_caller]
fn assert_clean(room: &Room<'_>) {
    for name in ["netavark_portfwd", "netavark_host_fwd"] {
        assert_eq!(policy(room, name), "", "{name}");
    }
    assert_eq!(sources(room, "netavark_zone"), "");
    assert_eq!(room.links(), "");
}

fn traffic(bed: &Bed) {
    let room = room(bed, "firewalld");
    let _peer = bed.peer();
    let ports = [
        port("", 8080, WHO, "tcp", 1),
        port("127.0.0.1", 8081, WHO, "tcp", 1),
        port(HOST4, 8082, WHO, "tcp", 0),
        port(HOST6, 8083, WHO, "tcp", 1),
        port("", 19001, UDP_WHO - 1, "udp", 3),
        port("::1", 8085, WHO, "tcp", 1),
    ];
    let net = network(0);
    let (one, two) = (publishing(on("1", 2, &net), &ports), on("2", 3, &net));
    for (name, input) in [("c1", &one), ("c2", &two)] {
        room.container(name);
        let netns = format!("/run/netns/{name}");
        let out = room.netavark(&["setup", &netns], input).env("RUST_LOG", "netavark=info").output();
        out.assert_code(0);
        assert!(out.stderr.starts_with("[INFO  netavark::firewall] Using firewalld firewall driver\n"), "{out}");
        room.serve(name);
    }
    let c1 = From::Inside("c1");
    assert_eq!(room.who(c1, WORLD4, WHO), HOST4, "masqueraded");
    assert_eq!(room.who(c1, WORLD6, WHO), HOST6, "masqueraded");
    // Where bridged packets pass netfilter (br_netfilter) firewalld takes them for ones that leave the network.
    let neighbour = room.who(c1, "10.90.0.3", WHO);
    assert!(["10.90.0.2", "10.90.0.1"].contains(&neighbour.as_str()), "{neighbour}");
    for (from, host, port, reached) in [
        (From::World, HOST4, 8080, true),
        (From::World, HOST6, 8080, true),
        (From::Host, "127.0.0.1", 8080, true),
        (From::Host, "127.0.0.1", 8081, true),
        (From::World, HOST4, 8081, false),
        (From::World, HOST4, 8082, true),
        (From::Host, HOST4, 8082, true),
        (From::World, HOST6, 8083, true),
        (From::World, HOST4, 8083, false),
        (From::Inside("c2"), HOST4, 8082, true),
    ] {
        let who = room.who(from, host, port);
        assert_eq!(who.contains('.') || who.contains(':'), reached, "{host} {port}: {who}");
    }
    assert!(room.who_udp(From::World, HOST4, 19002).contains('.'));
    room.teardown("c1", &one);
    room.teardown("c1", &one);
    room.teardown("c2", &two);
    assert_clean(&room);
}

fn containers_come_and_go(bed: &Bed) {
    let room = room(bed, "firewalld");
    let mut net = network(0);
    net["dns_enabled"] = json!(true);
    let inputs = [1, 2]
        .map(|n: u16| publishing(on(&n.to_string(), 1 + usize::from(n), &net), &[port("", 8000 + n, 80, "tcp", 1)]));
    for (name, input) in ["c1", "c2"].into_iter().zip(&inputs) {
        room.container(name);
        room.netavark(&["setup", &format!("/run/netns/{name}")], input).env("NETAVARK_DNS_PORT", "1053").ok();
    }
    let before = policy(&room, "netavark_portfwd");
    for part in ["port=8001:proto=tcp:toport=80:toaddr=10.90.0.2", "port=8002:proto=tcp:toport=80:toaddr=fd00:90::3"] {
        assert!(before.contains(part), "{before}");
    }
    let redirect = |protocol: &str| {
        format!(
            "destination address=\"10.90.0.1\" forward-port port=\"53\" protocol=\"{protocol}\" to-port=\"1053\" to-addr=\"10.90.0.1\""
        )
    };
    assert!(before.contains(&redirect("udp")) && before.contains(&redirect("tcp")), "{before}");
    assert_eq!(sources(&room, "netavark_zone").split_whitespace().count(), 2);
    // What is not there is added, what is there stays once.
    room.root("firewall-cmd --policy netavark_portfwd --remove-forward-port port=8001:proto=tcp:toport=80:toaddr=10.90.0.2; firewall-cmd --zone netavark_zone --remove-source 10.90.0.0/24");
    room.netavark(&["firewall-reload"], &json!(null)).ok();
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.replace('\n', " ").split(' ').map(String::from).collect();
        words.sort();
        words
    };
    assert_eq!(sorted(&policy(&room, "netavark_portfwd")), sorted(&before));
    room.teardown("c1", &inputs[0]);
    let after = policy(&room, "netavark_portfwd");
    assert!(!after.contains("8001") && after.contains("8002") && after.contains(&redirect("tcp")), "{after}");
    room.teardown("c2", &inputs[1]);
    assert_clean(&room);
}

/// firewalld forgets, and the listener reminds it.
fn firewalld_is_reloaded(bed: &Bed) {
    let room = room(bed, "firewalld");
    let input = publishing(on("1", 2, &network(0)), &[port("", 8080, WHO, "tcp", 1)]);
    room.container("c1");
    room.setup("c1", &input);
    room.serve("c1");
    let mut listener = room.netavark(&["firewalld-reload"], &json!(null)).env("RUST_LOG", "netavark=debug").spawn();
    let reloads = |count: usize, listener: &crate::bed::Proc| {
        let seen = || listener.stderr().matches("Successfully reloaded firewall rules").count() >= count;
        assert!(eventually(Duration::from_secs(20), seen), "not {count} times:\n{}", listener.stderr());
    };
    reloads(1, &listener);
    assert_eq!(room.who(From::World, HOST4, 8080), WORLD4_BEHIND, "before");
    for round in 2..4 {
        room.root("firewall-cmd --reload");
        reloads(round, &listener);
        assert_eq!(room.who(From::World, HOST4, 8080), WORLD4_BEHIND, "after reload {round}");
        assert_eq!(sources(&room, "netavark_zone").split_whitespace().count(), 2);
    }
    assert!(listener.is_running());
    listener.signal(nix::sys::signal::Signal::SIGTERM);
    listener.wait(Duration::from_secs(5));
    room.teardown("c1", &input);
    assert_clean(&room);
}

/// The zone masquerades what comes to the containers.
const WORLD4_BEHIND: &str = "10.90.0.1";

/// firewalld drops what it does not know; nftables' networks are made known to it.
fn a_network_of_nftables_is_trusted(bed: &Bed) {
    let room = room(bed, "nftables");
    let _peer = bed.peer();
    let input = publishing(on("1", 2, &network(0)), &[port("", 8080, WHO, "tcp", 1)]);
    room.container("c1");
    room.setup("c1", &input);
    room.serve("c1");
    assert_eq!(sources(&room, "trusted"), "10.90.0.0/24 fd00:90::/64");
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), HOST4);
    assert_eq!(room.who(From::World, HOST6, 8080), WORLD6);
    room.root("firewall-cmd --reload");
    assert_eq!(sources(&room, "trusted"), "");
    room.netavark(&["firewall-reload"], &json!(null)).ok();
    assert_eq!(sources(&room, "trusted"), "10.90.0.0/24 fd00:90::/64");
    room.teardown("c1", &input);
    assert_eq!(sources(&room, "trusted"), "");
    assert!(!room.ruleset().contains("nv_"), "{}", room.ruleset());
    assert_eq!(room.links(), "");
}

fn without_a_bus(bed: &Bed) {
    let room = Room::with(bed, "firewalld");
    room.container("c1");
    for (name, value) in
        [("UNUSED", ""), ("DBUS_SYSTEM_BUS_ADDRESS", ""), ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/none")]
    {
        let out = room.netavark(&["setup", "/run/netns/c1"], &on("1", 2, &network(0))).env(name, value).output();
        let told = error_of(&out);
        let start = "Error retrieving dbus connection for requested firewall backend: DBus error: ";
        assert!(told.starts_with(start) && told.len() > start.len(), "{told}");
    }
    room.assert_clean();
    // What can be taken away without it is.
    let input = on("1", 2, &network(0));
    room.netavark(&["setup", "/run/netns/c1"], &input).env("NETAVARK_FW", "none").ok();
    room.root("printf firewalld >/run/nv/firewall/firewall-driver");
    let out = room.netavark(&["teardown", "/run/netns/c1"], &input).output();
    assert!(error_of(&out).starts_with("DBus error: "), "{out}");
    assert_eq!(room.links(), "");
}

/// firewalld knows no sctp in forwards of its own.
fn a_failed_setup_leaves_nothing(bed: &Bed) {
    let room = room(bed, "firewalld");
    room.container("c1");
    let input = publishing(on("1", 2, &network(0)), &[port("", 8080, 80, "tcp", 1), port("", 81, 80, "udplite", 1)]);
    let told = room.refused("c1", &input);
    assert!(told.starts_with("DBus error: setPolicySettings: ") && told.contains("INVALID_PROTOCOL"), "{told}");
    assert_clean(&room);
    assert_eq!(room.root("find /run/nv/firewall/networks /run/nv/firewall/ports -type f"), "", "state is left");
}
