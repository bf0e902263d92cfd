//! Plugins, and `create`.

use serde_json::{Value, json};

use super::room::{ID, Room, error_of};
use crate::bed::Bed;

only!(Root as_root: a_plugin, create);

const PLUGIN: &str = r#"#!/usr/bin/python3
import json, sys
if sys.argv[1] == "create":
    network = json.load(sys.stdin); network["options"] = {"made": "yes"}; json.dump(network, sys.stdout); sys.exit()
given = json.load(sys.stdin)
with open("/tmp/log", "a") as log:
    print(sys.argv[1], sys.argv[2], given["container_id"], given["network_options"]["interface_name"], file=log)
if given["network"]["options"] and "fail" in given["network"]["options"] and sys.argv[1] == "setup":
    print(json.dumps({"error": "no luck"})); sys.exit(3)
if given["network"]["options"] and "fail" in given["network"]["options"]:
    print(json.dumps({"error": "nothing to undo"})); sys.exit(3)
if sys.argv[1] == "setup":
    print(json.dumps({"dns_search_domains": ["x"], "dns_server_ips": ["9.9.9.9"], "interfaces": {}}))
"#;

fn network(options: Value) -> Value {
    json!({"name": "p", "id": ID[0], "driver": "mine", "options": options, "ipv6_enabled": false, "internal": false, "dns_enabled": false})
}

fn a_plugin(bed: &Bed) {
    let room = Room::new(bed);
    room.container("c1");
    room.root("mkdir /tmp/plugins");
    bed.excuse_files("/tmp/plugins");
    bed.excuse_files("/tmp/log");
    std::fs::write(bed.path("/tmp/plugins/mine"), PLUGIN).unwrap();
    room.root("chmod +x /tmp/plugins/mine");
    let input = |options: Value| {
        json!({"container_id": "1", "container_name": "one", "networks": {"p": {"interface_name": "eth9"}},
            "network_info": {"p": network(options)}})
    };
    let run = |command: &str, options: Value| {
        room.netavark(
            &["--plugin-directory", "/tmp/none", "--plugin-directory", "/tmp/plugins", command, "/run/netns/c1"],
            &input(options),
        )
    };
    let told: Value = serde_json::from_str(&run("setup", json!({})).ok()).unwrap();
    assert_eq!(told, json!({"p": {"dns_search_domains": ["x"], "dns_server_ips": ["9.9.9.9"], "interfaces": {}}}));
    let failed = run("setup", json!({"fail": "1"})).output();
    assert_eq!(error_of(&failed), "plugin \"mine\" failed: exit code 3, message: no luck");
    assert_eq!(failed.stderr, "", "that it could not undo what it had not done is no news");
    room.root("ip netns delete c1");
    assert_eq!(run("teardown", json!({})).ok(), "");
    let log = room.root("cat /tmp/log");
    // The second setup failed, and was undone.
    let lines: Vec<String> =
        ["setup", "setup", "teardown", "teardown"].map(|what| format!("{what} /run/netns/c1 1 eth9")).into();
    assert_eq!(log.lines().collect::<Vec<_>>(), lines);
    let request = json!({"network": network(json!({})), "used": {"interfaces": [], "names": {}, "subnets": []},
        "options": {"subnet_pools": [], "check_used_subnets": true}});
    let made = bed.rnet(&["netavark", "--plugin-directory", "/tmp/plugins", "create"]).stdin(request.to_string()).ok();
    assert_eq!(serde_json::from_str::<Value>(&made).unwrap()["options"], json!({"made": "yes"}));
}

fn create(bed: &Bed) {
    let room = Room::new(bed);
    let request = json!({
        "network": {"name": "n", "id": ID[0], "driver": "bridge", "ipv6_enabled": true, "internal": false, "dns_enabled": true},
        "used": {"interfaces": [], "names": {}, "subnets": ["10.89.0.0/24"]},
        "options": {"subnet_pools": [{"base": "10.89.0.0/16", "size": 24}], "default_interface_name": "pod", "check_used_subnets": true},
    });
    room.root("ip link add pod1 type bridge");
    let made: Value = serde_json::from_str(&bed.rnet(&["netavark", "create"]).stdin(request.to_string()).ok()).unwrap();
    room.root("ip link delete pod1");
    assert_eq!(made["network_interface"], "pod2", "a link has the first name");
    assert_eq!(made["subnets"][0], json!({"subnet": "10.89.1.0/24", "gateway": "10.89.1.1"}));
    let mut taken = request;
    taken["used"]["names"]["n"] = json!("1");
    let told = error_of(&bed.rnet(&["netavark", "create"]).stdin(taken.to_string()).output());
    assert_eq!(told, "network already exists n");
}
