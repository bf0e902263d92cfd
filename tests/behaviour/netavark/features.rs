//! What a kernel may lack: then the refusal is tested, and it is said aloud what is not (see .config/nextest.toml).

use serde_json::json;

use super::room::{From, Room, network, on, port, publishing};
use super::vlan::beside;
use crate::bed::{Bed, HOST4, Side, WORLD4};

only!(Root as_root: ipvlan, vlan_of_a_bridge, bridge_in_a_vrf, sctp);

const WHO: u16 = 7008;

fn ipvlan(bed: &Bed) {
    let room = Room::new(bed);
    let _peer = bed.peer();
    room.container("c1");
    let has = room
        .bed
        .root(crate::bed::Side::Host, "ip link add probe link eth0 type ipvlan && ip link delete probe")
        .output();
    for mode in ["l2", "l3", "l3s"] {
        let input = beside("ipvlan", "iv0", json!({"mode": mode}));
        if has.code() != 0 {
            let told = room.refused("c1", &input);
            assert!(told.contains("CONFIG_IPVLAN"), "{told}");
            continue;
        }
        room.setup("c1", &input);
        assert_eq!(room.who(From::Inside("c1"), WORLD4, WHO), "203.0.113.50");
        room.teardown("c1", &input);
    }
    if has.code() != 0 {
        eprintln!("SKIPPED: traffic over ipvlan, this kernel has no CONFIG_IPVLAN");
    }
    room.assert_clean();
}

fn vlan_of_a_bridge(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut net = network(0);
    net["options"] = json!({"vlan": "20"});
    let input = on("1", 2, &net);
    let probe = "ip link add probe type bridge vlan_filtering 1 && ip link delete probe";
    if room.bed.root(crate::bed::Side::Host, probe).output().code() != 0 {
        eprintln!("SKIPPED: VLANs on bridges, this kernel has no CONFIG_BRIDGE_VLAN_FILTERING");
        room.root("ip link delete probe 2>/dev/null || true");
        let told = room.refused("c1", &input);
        assert!(told.contains("CONFIG_BRIDGE_VLAN_FILTERING"), "{told}");
    } else {
        room.setup("c1", &input);
        let shown = room.root("bridge vlan show dev veth0");
        assert!(shown.contains("20 PVID Egress Untagged"), "{shown}");
        room.teardown("c1", &input);
    }
    room.assert_clean();
}

fn bridge_in_a_vrf(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    let mut net = network(0);
    net["options"] = json!({"vrf": "blue"});
    let input = on("1", 2, &net);
    if room.bed.root(crate::bed::Side::Host, "ip link add blue type vrf table 77").output().code() != 0 {
        eprintln!("SKIPPED: bridges in a vrf, this kernel has no CONFIG_NET_VRF");
        let told = room.refused("c1", &input);
        assert_eq!(told, "get vrf to set up bridge interface: Netlink error: No such device (os error 19)");
    } else {
        room.root("ip link set blue up");
        room.setup("c1", &input);
        assert!(room.root("ip link show br0").contains("master blue"), "{}", room.root("ip link show br0"));
        assert!(room.root("ip route show table 77").contains("10.90.0.0/24 dev br0"));
        room.teardown("c1", &input);
        room.root("ip link delete blue");
    }
    room.assert_clean();
}

fn sctp(bed: &Bed) {
    let room = Room::new(bed);
    let input = publishing(on("1", 2, &network(0)), &[port("", 8080, 7, "sctp", 1)]);
    room.container("c1");
    room.setup("c1", &input);
    assert!(room.ruleset().contains("sctp dport 8080"), "{}", room.ruleset());
    let open = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)";
    if bed.root(Side::Host, &format!("python3 -c \"{open}\"")).output().code() != 0 {
        eprintln!("SKIPPED: traffic by sctp, this kernel has no CONFIG_IP_SCTP");
    } else {
        let server = format!(
            "{open}; s.bind((\"\", 7)); s.listen(); print(\"\\\"ready\\\"\", flush=True); c = s.accept()[0]; c.send(b\"hello\"); c.recv(1)"
        );
        room.inside("c1", &format!("exec python3 -c \"{}\"", server.replace('"', "\\\""))).keep_when_ready();
        let client = format!("{open}; s.settimeout(5); s.connect((\"{HOST4}\", 8080)); print(s.recv(9).decode())");
        let told = bed.root(Side::World, &format!("python3 -c '{client}'")).ok();
        assert_eq!(told, "hello");
    }
    room.teardown("c1", &input);
    room.assert_clean();
}
