//! Addresses from a real DHCP server, by way of the proxy, and what becomes of them.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::room::{From, ID, Room, error_of};
use crate::bed::{Bed, Proc, Side, WORLD4, WORLD6, eventually};

only!(Root as_root:
    a_lease_and_its_life, the_server_changes_the_address, addresses_of_dhcpv6, an_unmanaged_bridge, started_by_its_socket,
    nobody_grants_an_address, other_programs_speak_to_it, the_container_goes_without_a_word
);

const WHO: u16 = 7008;
const LEASES: &str = "/run/podman/nv-proxy.lease";
const MAC: &str = "02:00:00:00:00:05";

fn room(bed: &Bed) -> Room<'_> {
    bed.excuse_files("/run/podman");
    bed.excuse_files("/tmp/dnsmasq");
    Room::new(bed)
}

/// dnsmasq with leases of two minutes, which clients are told to renew after three seconds.
fn server(bed: &Bed, side: Side, options: &str) -> Proc {
    let command = format!(
        "exec dnsmasq -C /dev/null -k -p 0 --user=root --pid-file= --log-dhcp --log-facility=- --dhcp-authoritative \
         --dhcp-leasefile=/tmp/dnsmasq.leases --dhcp-option=option:T1,3 --dhcp-option=option:T2,100 {options} 2>&1"
    );
    let server = bed.root(side, &command).spawn();
    server.wait_for("DHCP, ");
    server
}

const RANGE: &str = "--dhcp-range=203.0.113.100,203.0.113.110,255.255.255.0,2m --dhcp-option=option:router,203.0.113.1 \
                     --dhcp-option=option:dns-server,203.0.113.1 --domain=lan.example --dhcp-option=option:mtu,1400";

fn proxy(bed: &Bed, options: &[&str]) -> Proc {
    let mut arguments = vec!["netavark", "dhcp-proxy"];
    arguments.extend(options);
    let proxy = bed.rnet(&arguments).env("RUST_LOG", "netavark=debug").spawn();
    let listens = || bed.root(Side::Host, "ss -xlH | grep -c nv-proxy.sock || true").ok() == "1";
    assert!(eventually(Duration::from_secs(5), listens), "{}", proxy.stderr());
    proxy
}

fn lan(driver: &str, parent: &str, options: Value) -> Value {
    json!({
        "container_id": "1", "container_name": "one", "container_hostname": "guest",
        "networks": {"lan": {"interface_name": "eth0", "static_mac": MAC}},
        "network_info": {"lan": {
            "name": "lan", "id": ID[0], "driver": driver, "network_interface": parent, "options": options,
            "ipam_options": {"driver": "dhcp"}, "ipv6_enabled": false, "internal": false, "dns_enabled": false,
        }},
    })
}

fn shown(room: &Room<'_>, what: &str) -> String {
    room.inside("c1", &format!("ip {what}")).ok()
}

/// The IPv4 address as `setup` told it, without its prefix.
fn address(told: &Value) -> String {
    let net = told["lan"]["interfaces"]["eth0"]["subnets"][0]["ipnet"].as_str().unwrap();
    net.split('/').next().unwrap().to_owned()
}

/// For how long the address is there still.
fn left(room: &Room<'_>) -> u32 {
    let text = shown(room, "-4 addr show dev eth0");
    let rest = text.split("valid_lft ").nth(1).unwrap_or_else(|| panic!("no address\n{text}"));
    rest.split("sec").next().unwrap().parse().unwrap_or_else(|_| panic!("{text}"))
}

fn a_lease_and_its_life(bed: &Bed) {
    let room = room(bed);
    let _peer = bed.peer();
    let server = server(bed, Side::World, RANGE);
    let first = proxy(bed, &[]);
    room.container("c1");
    let input = lan("macvlan", "eth0", json!({"metric": "77"}));
    let told = room.setup("c1", &input);
    let own = address(&told);
    assert_eq!(
        told["lan"],
        json!({"dns_search_domains": ["lan.example"], "dns_server_ips": ["203.0.113.1"],
            "interfaces": {"eth0": {"mac_address": MAC, "subnets": [{"gateway": "203.0.113.1", "ipnet": format!("{own}/24")}]}}})
    );
    assert!(
        shown(&room, "route").starts_with("default via 203.0.113.1 dev eth0 proto static metric 77"),
        "{}",
        shown(&room, "route")
    );
    assert!(shown(&room, "link show eth0").contains("mtu 1400"));
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), own);
    assert!(
        server.stdout().contains("client provides name: guest")
            || server.stderr().contains("client provides name: guest")
    );
    let kept: Value = serde_json::from_str(&room.root(&format!("cat {LEASES}"))).unwrap();
    assert_eq!((&kept[MAC][0]["yiaddr"], &kept[MAC][0]["lease_time"]), (&json!(own), &json!(120)));

    let requests = || server.stdout().matches("DHCPREQUEST").count();
    let before = requests();
    assert!(eventually(Duration::from_secs(10), || requests() > before + 1), "it is not renewed\n{}", server.stdout());
    assert!(left(&room) >= 115, "{} s are left after a renewal", left(&room));

    // Another process goes on with it, also when the first had no time to say so.
    first.signal(Signal::SIGKILL);
    first.wait(Duration::from_secs(5));
    let before = requests();
    let second = proxy(bed, &[]);
    assert!(eventually(Duration::from_secs(10), || requests() > before + 1), "{}", second.stderr());
    assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), own, "it is the same");

    room.teardown("c1", &input);
    let told = server.stdout();
    assert!(told.lines().any(|line| line.contains("DHCPRELEASE") && line.contains(&own)), "{told}");
    assert_eq!(room.root(&format!("cat {LEASES}")), "{}");
    room.teardown("c1", &input);
    second.signal(Signal::SIGTERM);
    second.wait(Duration::from_secs(5)).assert_code(0);
    assert_eq!(room.root("ls /run/podman"), "nv-proxy.lease");
    room.assert_clean();
}

fn the_server_changes_the_address(bed: &Bed) {
    let room = room(bed);
    let _peer = bed.peer();
    let first = server(bed, Side::World, RANGE);
    let proxy = proxy(bed, &[]);
    room.container("c1");
    let input = lan("macvlan", "eth0", json!({}));
    let own = address(&room.setup("c1", &input));
    first.signal(Signal::SIGTERM);
    first.wait(Duration::from_secs(5));
    bed.root(
        Side::World,
        "rm /tmp/dnsmasq.leases; ip addr add 203.0.113.9/24 dev $(ip -4 -o addr | grep 203.0.113.1/ | cut -d\" \" -f2)",
    )
    .ok();
    let _second = server(
        bed,
        Side::World,
        "--dhcp-range=203.0.113.200,203.0.113.210,255.255.255.0,2m --dhcp-option=option:router,203.0.113.9",
    );
    let has = |part: &str| shown(&room, "addr show dev eth0").contains(part);
    assert!(
        eventually(Duration::from_secs(15), || has("inet 203.0.113.20") || has("inet 203.0.113.21")),
        "{}",
        proxy.stderr()
    );
    assert!(!has(&own), "{}", shown(&room, "addr"));
    let routes = shown(&room, "route");
    assert!(
        routes.contains("default via 203.0.113.9 dev eth0 proto static metric 99") && !routes.contains("203.0.113.1 "),
        "{routes}"
    );
    assert!(room.who(From::Inside("c1"), WORLD4, WHO).starts_with("203.0.113.2"));
    // Told once, and not with each renewal.
    let told = format!("ip or gateway for mac {MAC} changed");
    assert!(eventually(Duration::from_secs(10), || proxy.stderr().contains("is renewed")), "{}", proxy.stderr());
    assert_eq!(proxy.stderr().matches(&told).count(), 1, "{}", proxy.stderr());
    room.teardown("c1", &input);
    room.assert_clean();
}

fn addresses_of_dhcpv6(bed: &Bed) {
    let room = room(bed);
    let _peer = bed.peer();
    let range6 = "--enable-ra --dhcp-range=2001:db8:cafe::100,2001:db8:cafe::1ff,64,2m --dhcp-option=option6:dns-server,[2001:db8:cafe::1]";
    let server = server(bed, Side::World, &format!("{RANGE} {range6}"));
    let proxy = proxy(bed, &[]);
    room.container("c1");
    let mut input = lan("macvlan", "eth0", json!({}));
    input["network_info"]["lan"]["ipv6_enabled"] = json!(true);
    let told = room.setup("c1", &input);
    let subnets = &told["lan"]["interfaces"]["eth0"]["subnets"];
    let net6 = subnets[1]["ipnet"].as_str().unwrap_or_else(|| panic!("{told}\n{}", proxy.stderr()));
    assert!(net6.starts_with("2001:db8:cafe::1") && net6.ends_with("/128"), "{told}");
    assert_eq!(told["lan"]["dns_server_ips"], json!(["203.0.113.1", "2001:db8:cafe::1"]));
    assert!(shown(&room, "-6 addr show dev eth0").contains(net6));
    let routed = || shown(&room, "-6 route").contains("default via fe80");
    assert!(eventually(Duration::from_secs(15), routed), "no router advertisement\n{}", shown(&room, "-6 route"));
    let own6 = net6.trim_end_matches("/128");
    assert_eq!(room.who(From::Inside("c1"), WORLD6, WHO), own6);
    room.teardown("c1", &input);
    let told = server.stdout();
    assert!(told.contains(own6), "{told}");
    let after = told.rsplit_once("DHCPRELEASE").unwrap().1;
    assert!(told.matches("DHCPRELEASE").count() >= 2, "one for each family\n{after}");
    room.assert_clean();
}

fn an_unmanaged_bridge(bed: &Bed) {
    let room = room(bed);
    room.root("ip link add lan0 type bridge; ip addr add 10.77.0.1/24 dev lan0; ip link set lan0 up");
    let _server = server(bed, Side::Host, "--interface=lan0 --dhcp-range=10.77.0.100,10.77.0.110,2m");
    let _proxy = proxy(bed, &[]);
    room.container("c1");
    let input = lan("bridge", "lan0", json!({"mode": "unmanaged"}));
    let told = room.setup("c1", &input);
    let own = address(&told);
    assert!(own.starts_with("10.77.0.1"), "{told}");
    assert!(shown(&room, "route").starts_with("default via 10.77.0.1 dev eth0 proto static metric 100"));
    room.serve("c1");
    assert_eq!(room.who(From::Host, &own, WHO), "10.77.0.1");
    room.teardown("c1", &input);
    assert_eq!(room.links().trim(), "lan0");
    room.root("ip link delete lan0");
    let managed = lan("bridge", "lan0", json!({}));
    let told = room.refused("c1", &managed);
    assert_eq!(told, "cannot use dhcp ipam driver without using the option mode=unmanaged");
    room.assert_clean();
}

/// As systemd does it: descriptor 3 listens.
fn started_by_its_socket(bed: &Bed) {
    let room = room(bed);
    let _server = server(bed, Side::World, RANGE);
    room.root("mkdir -p /run/podman");
    let start = "import os, socket\n\
                 s = socket.socket(socket.AF_UNIX); s.bind('/run/podman/nv-proxy.sock'); s.listen(8)\n\
                 os.dup2(s.fileno(), 3); os.set_inheritable(3, True)\n\
                 os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
                 os.execv('/mnt/bin/rnet', ['netavark', 'dhcp-proxy', '-a', '1'])\n";
    let mut proxy = bed.root(Side::Host, &format!("exec python3 -c \"{start}\"")).spawn();
    room.container("c1");
    let input = lan("macvlan", "eth0", json!({}));
    let socket = bed.path("/run/podman/nv-proxy.sock");
    let listens = || room.root("ss -xlH | grep -c nv-proxy.sock || true") == "1";
    assert!(eventually(Duration::from_secs(5), listens), "{}", proxy.stderr());
    room.setup("c1", &input);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(proxy.is_running(), "it stays while there is a lease\n{}", proxy.stderr());
    room.teardown("c1", &input);
    proxy.wait(Duration::from_secs(5)).assert_code(0);
    assert!(socket.exists(), "the socket is the service manager's");
    let out = bed.rnet(&["netavark", "dhcp-proxy"]).env("LISTEN_FDS", "2").output();
    assert_eq!(error_of(&out), "Received more than one FD from systemd");
    room.assert_clean();
}

fn nobody_grants_an_address(bed: &Bed) {
    let room = room(bed);
    room.container("c1");
    let input = lan("macvlan", "eth0", json!({}));
    let told = room.refused("c1", &input);
    assert_eq!(
        told,
        "unable to obtain lease: socket \"/run/podman/nv-proxy.sock\": No such file or directory (os error 2), \
         is the netavark-dhcp-proxy.socket unit enabled?"
    );
    assert_eq!(room.inside("c1", "ip -o link | wc -l").ok(), "1");
    let _proxy = proxy(bed, &["-t", "1"]);
    let told = room.refused("c1", &input);
    assert!(
        told.starts_with("unable to obtain lease: get DHCP lease: no DHCP server granted eth0 an address within 1 s"),
        "{told}"
    );
    assert_eq!(room.inside("c1", "ip -o link | wc -l").ok(), "1");
    let out = bed.rnet(&["netavark", "dhcp-proxy"]).output();
    assert!(error_of(&out).contains("another proxy listens there"), "{out}");
    room.teardown("c1", &input);
    room.assert_clean();
}

/// gRPC as others speak it (grpcio), with messages in protobuf's own form.
fn other_programs_speak_to_it(bed: &Bed) {
    let room = room(bed);
    let _server = server(bed, Side::World, RANGE);
    let _proxy = proxy(bed, &["--dir", "/run/podman", "--uds", "/run/podman"]);
    room.container("c1");
    room.root(&format!("ip link add mv0 link eth0 address {MAC} type macvlan mode bridge; ip link set mv0 netns c1"));
    let script = r#"
import grpc, sys
text = lambda tag, value: bytes([tag << 3 | 2, len(value)]) + value.encode()
def fields(data):
    found = {}
    at = 0
    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if byte < 128: return value
    while at < len(data):
        key = number()
        if key & 7 == 2:
            length = number(); found.setdefault(key >> 3, []).append(data[at:at + length].decode()); at += length
        else: found.setdefault(key >> 3, []).append(number())
    return found
channel = grpc.insecure_channel("unix:///run/podman/nv-proxy.sock")
call = lambda method, data: channel.unary_unary("/netavark_proxy.NetavarkProxy/" + method)(data, timeout=20)
config = lambda mac: text(1, "eth0") + text(2, "mv0") + text(3, mac) + text(4, "example.com") + text(7, "/run/netns/c1") + text(8, "abc")
lease = fields(call("Setup", config("MAC")))
print(lease[12][0], lease[3][0], lease[17][0], lease[20][0], lease[6][0], lease[5][0])
for mac in ["02:00", "zz"]:
    try: call("Setup", config(mac)); print("accepted")
    except grpc.RpcError as e: print(e.code().name, e.details())
try: call("Nothing", b""); print("accepted")
except grpc.RpcError as e: print(e.code().name)
try: call("Setup", b"\xff\xff"); print("accepted")
except grpc.RpcError as e: print(e.code().name)
print(fields(call("Teardown", config("MAC")))[12][0])
print(call("Teardown", config("MAC")))
print(call("Clean", b""))
"#;
    bed.write("/tmp/ask.py", &script.replace("MAC", MAC));
    let told = room.root("/usr/bin/python3 /tmp/ask.py; rm /tmp/ask.py");
    let lines: Vec<&str> = told.lines().collect();
    let words: Vec<&str> = lines[0].split(' ').collect();
    assert!(words[0].starts_with("203.0.113.1"), "{told}");
    assert_eq!(words[1..], ["120", "255.255.255.0", "203.0.113.1", MAC, "lan.example"], "{told}");
    assert_eq!(lines[1], "INVALID_ARGUMENT invalid mac length for address: 02:00");
    assert!(lines[2].starts_with("INVALID_ARGUMENT unable to parse mac address zz: "), "{told}");
    assert_eq!(lines[3..5], ["UNIMPLEMENTED", "INTERNAL"], "{told}");
    assert_eq!(lines[5..], [words[0], "b''", "b'\\x08\\x01'"], "{told}");
    assert_eq!(room.inside("c1", "ip -4 -o addr show dev mv0").ok(), "", "the address is taken away");
    room.inside("c1", "ip link delete mv0").ok();
    room.assert_clean();
}

fn the_container_goes_without_a_word(bed: &Bed) {
    let room = room(bed);
    let server = server(bed, Side::World, RANGE);
    let _proxy = proxy(bed, &[]);
    room.container("c1");
    room.setup("c1", &lan("macvlan", "eth0", json!({})));
    room.root("ip netns delete c1");
    let told = || server.stdout();
    assert!(eventually(Duration::from_secs(20), || told().contains("DHCPRELEASE")), "{}", told());
    assert!(eventually(Duration::from_secs(5), || room.root(&format!("cat {LEASES}")) == "{}"));
    room.assert_clean();
}
