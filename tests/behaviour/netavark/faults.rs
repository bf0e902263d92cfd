//! What is wrong is told at once, before anything is done; and what fails later leaves nothing.

use serde_json::{Value, json};

use super::room::{Room, error_of, network, on, port, publishing};
use crate::bed::Bed;

only!(Root as_root: all_faults_at_once, single_faults, a_failed_setup_leaves_nothing, command_line, log_lines);

fn all_faults_at_once(bed: &Bed) {
    let room = Room::new(bed);
    let mut net = network(0);
    net["options"] = json!({"mtu": "x", "isolate": "maybe", "mode": "odd", "vlan": "5000"});
    net["routes"] = json!([{"destination": "10.0.0.0/8"}]);
    let mut input = publishing(on("1", 2, &net), &[port("nowhere", 65535, 80, "TCP", 2)]);
    input["networks"]["other"] = json!({"interface_name": "eth1"});
    room.container("c1");
    let told = room.refused("c1", &input);
    for part in [
        "unable to parse \"mtu\": invalid digit found in string",
        "invalid isolate option \"maybe\"",
        "invalid bridge mode \"odd\"",
        "vlan must be between 0 and 4094",
        "route 10.0.0.0/8 requires a gateway for type unicast",
        "invalid host ip \"nowhere\" provided for port 65535",
        "unknown protocol \"TCP\"",
        "host ports 65535-65536 go beyond 65535",
        "network info for network other not found",
    ] {
        assert!(told.contains(&format!("\n\t- {part}")), "{part} is missing in {told}");
    }
    assert_eq!(room.ruleset(), "");
    assert_eq!(room.root("ls -A /run/nv 2>/dev/null || true"), "");
    room.assert_clean();
}

fn single_faults(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut input = on("1", 2, &network(0));
        change(&mut input);
        input
    };
    let net =
        |key: &'static str, value: Value| changed(&move |input| input["network_info"]["net0"][key] = value.clone());
    let per = |key: &'static str, value: Value| changed(&move |input| input["networks"]["net0"][key] = value.clone());
    for (input, wrong) in [
        (per("interface_name", json!("")), "no container interface name given"),
        (per("static_ips", json!(null)), "no static ips provided"),
        (per("static_ips", json!(["10.1.1.1"])), "not all static IPs matched a subnet: expected 1, got 0"),
        (per("static_mac", json!("aa:bb")), "invalid mac length for address: aa:bb"),
        (net("network_interface", json!("")), "no bridge interface name given"),
        (net("driver", json!("nothing")), "unknown network driver \"nothing\""),
        (net("ipam_options", json!({"driver": "x"})), "unsupported ipam driver x"),
        (
            net("ipam_options", json!({"driver": "dhcp"})),
            "cannot use dhcp ipam driver without using the option mode=unmanaged",
        ),
        (
            net("options", json!({"mode": "unmanaged"})),
            "in unmanaged mode, the bridge must already exist on the host: Netlink error: No such device (os error 19)",
        ),
        (net("network_interface", json!("eth0")), "bridge interface eth0 already exists but is a Veth interface"),
        (net("network_interface", json!("lo")), "could not determine namespace link kind for bridge lo"),
        (
            net("options", json!({"vrf": "none"})),
            "get vrf to set up bridge interface: Netlink error: No such device (os error 19)",
        ),
        (net("options", json!({"vrf": "eth0"})), "vrf eth0 already exists but is a Veth interface"),
    ] {
        assert_eq!(room.refused("c1", &input), wrong);
        room.assert_clean();
    }
    let out = room.netavark(&["setup", "/run/netns/none"], &json!("unread")).output();
    assert_eq!(error_of(&out), "invalid namespace path: IO error: No such file or directory (os error 2)");
    let out = room.netavark(&["setup", "/run/netns/c1"], &json!({"container_id": 5})).output();
    assert!(error_of(&out).starts_with("failed to load network options: IO error: invalid type: integer `5`"), "{out}");
}

/// Everything is there when the last route is refused; then nothing may be.
fn a_failed_setup_leaves_nothing(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let before = room.root("sysctl -a -r \"^net.ipv[46].conf\" 2>/dev/null | sort");
    let good = network(0);
    let mut bad = network(1);
    bad["routes"] = json!([
        {"destination": "10.66.0.0/16", "route_type": "blackhole"},
        {"destination": "10.77.0.0/16", "gateway": "192.0.2.1"},
    ]);
    // The first network is whole when the second fails.
    let mut input = publishing(on("1", 2, &bad), &[port("", 8080, 80, "tcp", 1)]);
    input["networks"] = json!([
        {"name": "net0", "interface_name": "eth0", "static_ips": ["10.90.0.2", "fd00:90::2"]},
        {"name": "net1", "interface_name": "eth1", "static_ips": ["10.91.0.2", "fd00:91::2"]},
    ]);
    input["network_info"]["net0"] = good.clone();
    let told = room.refused("c1", &input);
    let reason = "add route (dest: 10.77.0.0/16, gw: 192.0.2.1, metric 100): Netlink error: Network is unreachable (os error 101)";
    assert_eq!(told, reason);
    room.assert_clean();
    assert_eq!(
        room.inside("c1", "ip -o link | wc -l; ip route show table main").ok(),
        "1",
        "the container is as it was"
    );
    let after = room.root("sysctl -a -r \"^net.ipv[46].conf\" 2>/dev/null | sort");
    let of_links = |text: &str| text.lines().filter(|line| line.contains("br0") || line.contains("br1")).count();
    assert_eq!((of_links(&before), of_links(&after)), (0, 0));
    // And it can be done right afterwards.
    let input = on("1", 2, &good);
    room.setup("c1", &input);
    let again = room.refused("c1", &input);
    let exists = "create veth pair: interface eth0 already exists on container namespace: Netlink error: File exists (os error 17)";
    assert_eq!(again, exists);
    assert!(room.inside("c1", "ip address show eth0").ok().contains("10.90.0.2/24"), "a refused one harms nobody");
    assert!(room.ruleset().contains("10.90.0.0/24"));
    room.teardown("c1", &input);
    room.assert_clean();
}

fn command_line(bed: &Bed) {
    let room = Room::new(bed);
    bed.rnet(&["netavark"]).output().assert_code(2);
    bed.rnet(&["netavark", "setup"]).output().assert_code(2).assert_stderr(&["NETNS"]);
    bed.rnet(&["netavark", "setup", "--config", "x", "y"]).output().assert_code(2);
    assert_eq!(bed.rnet(&["netavark", "--version"]).ok(), "netavark 2.1.0");
    let version: Value = serde_json::from_str(&bed.rnet(&["netavark", "version"]).ok()).unwrap();
    assert!(version["version"].as_str().unwrap().starts_with("2."), "{version}");
    assert!(version["build_time"].as_str().unwrap().starts_with("20"), "{version}");
    room.root("mkdir /tmp/link; ln -s /mnt/bin/rnet /tmp/link/netavark");
    assert_eq!(room.root("/tmp/link/netavark --version; rm -r /tmp/link"), "netavark 2.1.0");
    room.container("c1");
    let input = on("1", 2, &network(0)).to_string();
    let setup = |options: &[&str]| {
        let mut all = vec!["netavark"];
        all.extend(options);
        all.extend(["setup", "/run/netns/c1"]);
        error_of(&bed.rnet(&all).stdin(&input).output())
    };
    assert_eq!(setup(&[]), "--config not specified but required for netavark setup");
    let firewall = setup(&["-c", "/run/nv", "--firewall-driver", "Shorewall"]);
    assert_eq!(firewall, "Must provide a valid firewall backend, got shorewall");
    let out =
        room.netavark(&["setup", "/run/netns/c1"], &on("1", 2, &network(0))).env("NETAVARK_DNS_PORT", "x").output();
    assert_eq!(error_of(&out), "Invalid NETAVARK_DNS_PORT x: invalid digit found in string");
    // From a file, too.
    bed.write("/tmp/input.json", &input);
    room.netavark(&["-f", "/tmp/input.json", "setup", "/run/netns/c1"], &json!(null)).ok();
    room.netavark(&["--file=/tmp/input.json", "teardown", "/run/netns/c1"], &json!(null)).ok();
    // `-` is standard input.
    room.netavark(&["-f", "-", "setup", "/run/netns/c1"], &on("1", 2, &network(0))).ok();
    // The container's namespace is gone first, as when the machine was busy.
    room.root("ip netns delete c1");
    let out = room.netavark(&["teardown", "/run/netns/c1"], &on("1", 2, &network(0))).env("RUST_LOG", "warn").output();
    out.assert_code(0).assert_stderr(&["container netns not found"]);
    room.assert_clean();
}

fn log_lines(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut net = network(0);
    net["dns_enabled"] = json!(true);
    let mut input = on("1", 2, &net);
    input["networks"]["net0"]["aliases"] = json!(["good", "with space", "with\nline", ""]);
    let out = room.netavark(&["setup", "/run/netns/c1"], &input).env("RUST_LOG", "netavark=warn").output();
    out.assert_code(0);
    let lines: Vec<&str> = out.stderr.lines().collect();
    let alias = |quoted: &str| format!("[WARN  netavark::network::bridge] invalid network alias {quoted}");
    assert_eq!(lines, [alias("\"with space\""), alias("\"with\\nline\""), alias("\"\"")]);
    let out = room.netavark(&["teardown", "/run/netns/c1"], &input).env("RUST_LOG", "netavark=info").output();
    out.assert_code(0);
    assert!(out.stderr.starts_with("[INFO  netavark::firewall] Using nftables firewall driver\n"), "{out}");
    room.assert_clean();
}
