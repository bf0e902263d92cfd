//! A fault at each step of a setup: whatever fails, nothing is left, and the same can be done right afterwards.

use serde_json::{Value, json};

use super::room::{DIRECTORY, Room, error_of, network, on, port, publishing};
use crate::bed::Bed;

only!(Root as_root: a_fault_at_each_step, settings_of_links, a_users_networks, files_for_systemd);

struct Step {
    name: &'static str,
    /// What makes the step fail, and what ends that.
    harm: &'static str,
    heal: &'static str,
    change: fn(&mut Value),
    told: &'static str,
}

const HARMLESS: Step = Step { name: "", harm: "true", heal: "true", change: |_| {}, told: "" };

const STEPS: &[Step] = &[
    Step {
        name: "the bridge's settings",
        harm: "sysctl -qw net.ipv4.ip_forward=0; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        heal: "umount /proc/sys",
        told: "set sysctl net/ipv4/ip_forward: IO error: Read-only file system (os error 30)",
        ..HARMLESS
    },
    Step {
        name: "the bridge's addresses",
        harm: "sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
        heal: "sysctl -qw net.ipv6.conf.default.disable_ipv6=0",
        told: "add ip addr to bridge: failed to add ipv6 address, is ipv6 enabled in the kernel?: Netlink error: Permission denied (os error 13)",
        ..HARMLESS
    },
    Step {
        name: "the veth pair",
        change: |input| input["networks"]["net0"]["options"] = json!({"host_interface_name": "eth0"}),
        told: "create veth pair: interface eth0 already exists on container namespace or eth0 exists on host namespace: Netlink error: File exists (os error 17)",
        ..HARMLESS
    },
    Step {
        name: "the container's addresses",
        harm: "nsenter --net=/run/netns/c1 sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
        heal: "nsenter --net=/run/netns/c1 sysctl -qw net.ipv6.conf.default.disable_ipv6=0",
        told: "add ip addr to container interface: failed to add ipv6 address, is ipv6 enabled in the kernel?: Netlink error: Permission denied (os error 13)",
        ..HARMLESS
    },
    Step {
        name: "the default route",
        change: |input| input["network_info"]["net0"]["subnets"][0]["gateway"] = json!("10.1.1.1"),
        told: "add default route (dest: 0.0.0.0/0, gw: 10.1.1.1, metric 100): Netlink error: Network is unreachable (os error 101)",
        ..HARMLESS
    },
    Step {
        name: "a static route",
        change: |input| {
            input["network_info"]["net0"]["routes"] = json!([{"destination": "10.9.0.0/16", "route_type": "blackhole"}, {"destination": "10.8.0.0/16", "gateway": "192.0.2.1"}]);
        },
        told: "add route (dest: 10.8.0.0/16, gw: 192.0.2.1, metric 100): Netlink error: Network is unreachable (os error 101)",
        ..HARMLESS
    },
    Step {
        name: "the firewall's notes",
        harm: "mkdir -p /run/nv; rm -rf /run/nv/firewall; touch /run/nv/firewall",
        heal: "rm /run/nv/firewall",
        told: "save the firewall's state in /run/nv/firewall: IO error: ",
        ..HARMLESS
    },
    Step {
        name: "the firewall",
        harm: "mount --bind /bin/false $(readlink -f /usr/sbin/iptables-save)",
        heal: "umount $(readlink -f /usr/sbin/iptables-save)",
        told: "iptables error: iptables-save: ",
        ..HARMLESS
    },
    Step {
        name: "the name server",
        harm: "printf '#!/bin/sh\\necho broken >&2; exit 1\\n' >/tmp/server; chmod +x /tmp/server",
        heal: "rm /tmp/server",
        change: |input| input["network_info"]["net0"]["dns_enabled"] = json!(true),
        told: "error while applying dns entries: aardvark-dns failed to start: broken",
    },
];

fn a_fault_at_each_step(bed: &Bed) {
    for driver in ["nftables", "iptables"] {
        let room = Room::with(bed, driver);
        room.container("c1");
        let good = publishing(on("1", 2, &network(0)), &[port("", 8080, 80, "tcp", 1)]);
        for step in STEPS.iter().filter(|step| driver == "iptables" || step.name != "the firewall") {
            let mut input = good.clone();
            (step.change)(&mut input);
            room.root(step.harm);
            let arguments = ["-a", "/tmp/server", "setup", "/run/netns/c1"];
            let out = room.netavark(&arguments, &input).output();
            room.root(step.heal);
            let told = error_of(&out);
            assert!(told.starts_with(step.told), "{}: {told}", step.name);
            room.assert_clean();
            let left = room.inside("c1", "ip -o link | wc -l; ip route; ip -6 route").ok();
            assert_eq!(left, "1", "in the container, after {}", step.name);
            room.setup("c1", &good);
            room.teardown("c1", &good);
            room.assert_clean();
        }
        room.root("ip netns delete c1");
    }
}

fn settings_of_links(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut net = network(0);
    net["options"] = json!({"mtu": "1380", "metric": "42"});
    let input = on("1", 2, &net);
    room.setup("c1", &input);
    let host = |key: &str| room.root(&format!("cat /proc/sys/net/{key}"));
    for (key, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/conf/br0/route_localnet", "1"),
        ("ipv4/conf/br0/rp_filter", "2"),
        ("ipv6/conf/br0/accept_dad", "0"),
        ("ipv6/conf/br0/accept_ra", "0"),
        ("ipv6/conf/veth0/accept_dad", "0"),
    ] {
        assert_eq!(host(key), value, "{key}");
    }
    for (key, value) in [
        ("ipv6/conf/eth0/autoconf", "0"),
        ("ipv6/conf/eth0/accept_dad", "0"),
        ("ipv4/conf/eth0/arp_notify", "1"),
        ("ipv4/conf/eth0/rp_filter", "2"),
    ] {
        assert_eq!(room.inside("c1", &format!("cat /proc/sys/net/{key}")).ok(), value, "{key}");
    }
    let shown = room.inside("c1", "ip link show eth0; ip route; ip -6 route").ok();
    for part in [
        "mtu 1380",
        "default via 10.90.0.1 dev eth0 proto static metric 42",
        "default via fd00:90::1 dev eth0 proto static metric 42",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(room.root("ip link show br0").contains("mtu 1380"));
    let mac = |link: &str| {
        room.root(&format!("cat /sys/class/net/{link}/address; cat /sys/class/net/{link}/addr_assign_type"))
    };
    assert!(mac("br0").ends_with("\n3"), "the bridge's address is set, and does not follow its ports: {}", mac("br0"));
    room.teardown("c1", &input);
    room.assert_clean();
}

/// In a user's namespace nothing is noted, as there nobody reloads.
fn a_users_networks(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let input = publishing(on("1", 2, &network(0)), &[port("", 8080, 80, "tcp", 1)]);
    let before = room.root("nft list ruleset");
    for round in 0..2 {
        room.netavark(&["--rootless=true", "setup", "/run/netns/c1"], &input).ok();
        assert_eq!(room.root(&format!("find {DIRECTORY} -type f")), "", "round {round}");
        assert!(room.ruleset().contains("dport 8080"));
        room.netavark(&["--rootless=true", "teardown", "/run/netns/c1"], &input).ok();
        assert!(!room.ruleset().contains("8080") && !before.contains("8080"), "{}", room.ruleset());
    }
    room.assert_clean();
}

/// Where systemd runs, the bridge's settings are kept from `sysctl --system`.
fn files_for_systemd(bed: &Bed) {
    let room = Room::new(bed);
    bed.excuse_files("/run/systemd");
    bed.excuse_files("/run/sysctl.d");
    room.container("c1");
    room.root("mkdir -p /run/systemd/system");
    let input = on("1", 2, &network(0));
    room.setup("c1", &input);
    assert_eq!(
        room.root("cat /run/sysctl.d/10-netavark-br0.conf"),
        "# autogenerated by netavark\nnet/ipv4/ip_forward = 1\nnet/ipv6/conf/all/forwarding = 1\nnet/ipv4/conf/br0/route_localnet = 1\n\
         net/ipv6/conf/br0/accept_dad = 0\nnet/ipv6/conf/br0/accept_ra = 0\nnet/ipv4/conf/br0/rp_filter = 2"
    );
    room.teardown("c1", &input);
    assert_eq!(room.root("ls /run/sysctl.d"), "");
    let mut bad = input.clone();
    bad["network_info"]["net0"]["routes"] = json!([{"destination": "10.8.0.0/16", "gateway": "192.0.2.1"}]);
    room.refused("c1", &bad);
    assert_eq!(room.root("ls /run/sysctl.d"), "", "nor is it left by a failed setup");
    room.root("rm -r /run/systemd/system");
    room.assert_clean();
}
