use serde_json::{Value, json};

use super::*;

const ID: &str = "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e";

fn created(network: Value) -> Result<Value> {
    let mut whole = json!({"name": "net", "id": ID, "driver": "bridge", "dns_enabled": false, "internal": false, "ipv6_enabled": false});
    let fields = network.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(fields);
    let request = json!({
        "network": whole,
        "used": {"interfaces": ["pod1"], "names": {"taken": "1", "pod2": "2"}, "subnets": ["10.89.0.0/24"]},
        "options": {"subnet_pools": [{"base": "fd00::/16", "size": 64}, {"base": "10.89.0.0/16", "size": 24}],
            "default_interface_name": "pod", "check_used_subnets": true},
    });
    create(parse(request.to_string().as_bytes())?, &[]).map(|network| serde_json::to_value(network).unwrap())
}

fn refused(network: Value) -> String {
    created(network).unwrap_err().to_string()
}

#[test]
fn what_is_missing_is_found() {
    let network = created(json!({"ipv6_enabled": true})).unwrap();
    assert_eq!(network["network_interface"], "pod3");
    assert_eq!(network["subnets"][0], json!({"subnet": "10.89.1.0/24", "gateway": "10.89.1.1"}));
    assert!(network["subnets"][1]["subnet"].as_str().unwrap().starts_with("fd"));
    assert_eq!(network["ipam_options"]["driver"], "host-local");
    assert!(network["created"].as_str().unwrap().ends_with('Z') && network.get("routes").is_none());
}

#[test]
fn an_ipv6_subnet_switches_ipv6_on() {
    let network = created(json!({"subnets": [{"subnet": "fd00:1::/64"}]})).unwrap();
    assert_eq!((&network["ipv6_enabled"], network["subnets"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(network["subnets"][0]["gateway"], "fd00:1::1");
}

#[test]
fn an_internal_network_needs_no_gateway() {
    let network = created(json!({"internal": true})).unwrap();
    assert!(network["subnets"][0].get("gateway").is_none());
    let network = created(json!({"internal": true, "dns_enabled": true})).unwrap();
    assert!(network["subnets"][0].get("gateway").is_some());
}

#[test]
fn docker_options_are_understood() {
    let options = json!({"com.docker.network.driver.mtu": "1400", "com.docker.network.bridge.name": "br7"});
    let network = created(json!({"options": options})).unwrap();
    assert_eq!((&network["options"], &network["network_interface"]), (&json!({"mtu": "1400"}), &json!("br7")));
}

#[test]
fn a_shared_bridge_may_be_used_twice() {
    let used = json!({"network_interface": "pod1", "subnets": [{"subnet": "10.89.0.0/24"}]});
    let told = refused(used.clone());
    assert!(told.contains("bridge name pod1 already in use"), "{told}");
    assert!(told.contains("subnet 10.89.0.0/24 is already used on the host or by another config"), "{told}");
    for option in [json!({"vlan": "5"}), json!({"mode": "unmanaged"})] {
        let mut network = used.clone();
        network["options"] = option;
        created(network).unwrap();
    }
}

#[test]
fn every_rule() {
    let options = |key: &str, value: &str| json!({"options": {key: value}});
    let subnet = |subnet: Value| json!({"subnets": [subnet]});
    let route = |route: Value| json!({"routes": [route]});
    let lo = |more: Value| {
        let mut network =
            json!({"driver": "macvlan", "network_interface": "lo", "subnets": [{"subnet": "10.1.0.0/24"}]});
        network.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        network
    };
    for (network, wrong) in [
        (json!({"name": ""}), "Network name must be supplied"),
        (json!({"name": "-a"}), "Invalid characters in network name \"-a\": must match [a-zA-Z0-9][a-zA-Z0-9_.-]*"),
        (json!({"name": "taken"}), "network already exists taken"),
        (json!({"id": ""}), "Network id must be supplied"),
        (json!({"id": "xyz"}), "Network id must be a hexadecimal string \"xyz\""),
        (
            json!({"network_interface": "a234567890123456"}),
            "Interface name is too long: interface names must be 15 characters or less: a234567890123456",
        ),
        (json!({"network_interface": ".."}), "Interface name cannot be . or .."),
        (json!({"network_interface": "a/b"}), "Interface name cannot contain\"/\""),
        (json!({"network_interface": "-br"}), "bridge name -br is invalid"),
        (json!({"ipam_options": {"driver": ""}}), "Unsupported ipam driver: "),
        (
            json!({"ipam_options": {"driver": "none"}, "subnets": [{"subnet": "10.1.0.0/24"}]}),
            "None ipam driver is set but subnets are given",
        ),
        (options("x", "y"), "unsupported bridge network option: x"),
        (options("mtu", "x"), "unable to parse \"mtu\": invalid digit found in string"),
        (options("mode", "bogus"), "invalid bridge mode \"bogus\""),
        (options("isolate", "maybe"), "invalid isolate option \"maybe\""),
        (options("vlan", "4095"), "vlan must be between 0 and 4094"),
        (options("outbound_addr4", "::1"), "unable to parse \"outbound_addr4\": invalid IPv4 address syntax"),
        (
            json!({"network_dns_servers": ["1.1.1.1"]}),
            "cannot set NetworkDNSServers if DNS is not enabled for the network",
        ),
        (subnet(json!({"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"})), "gateway 10.2.0.1 not in subnet 10.1.0.0/24"),
        (
            subnet(json!({"subnet": "10.1.0.0/31"})),
            "could not create gateway for subnet 10.1.0.0/31 because it has a 31 or greater subnet prefix",
        ),
        (
            subnet(json!({"subnet": "fd01::/128"})),
            "could not create gateway for subnet fd01::/128 because it has a 128 or greater subnet prefix",
        ),
        (
            subnet(json!({"subnet": "10.1.0.0/24", "lease_range": {"start_ip": "x"}})),
            "invalid start_ip: x: invalid IP address syntax",
        ),
        (
            subnet(json!({"subnet": "10.1.0.0/24", "lease_range": {"end_ip": "10.2.0.1"}})),
            "lease range end_ip 10.2.0.1 not in subnet 10.1.0.0/24",
        ),
        (
            subnet(json!({"subnet": "10.1.0.0/24", "lease_range": {"start_ip": "10.1.0.9", "end_ip": "10.1.0.2"}})),
            "lease range start_ip 10.1.0.9 is greater than end_ip 10.1.0.2",
        ),
        (
            json!({"subnets": [{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/24"}]}),
            "duplicate subnet defined: 10.1.0.0/24",
        ),
        (
            json!({"subnets": [{"subnet": "10.1.0.0/16"}, {"subnet": "10.1.2.0/24"}]}),
            "overlapping subnets: 10.1.0.0/16 and 10.1.2.0/24",
        ),
        (
            route(json!({"destination": "10.1.0.1/24", "gateway": "10.1.0.1"})),
            "route destination invalid: 10.1.0.1/24 is not the address of a network",
        ),
        (route(json!({"destination": "10.1.0.0/24"})), "route 10.1.0.0/24 requires a gateway for type unicast"),
        (
            route(json!({"destination": "10.1.0.0/24", "gateway": "10.0.0.1", "route_type": "blackhole"})),
            "route 10.1.0.0/24 must not have a gateway for type blackhole",
        ),
        (route(json!({"destination": "10.1.0.0/24", "route_type": "x"})), "invalid route type \"x\""),
        (json!({"driver": "nothing"}), "plugin for driver \"nothing\": plugin directory not provided"),
        (lo(json!({"network_interface": "no-such"})), "parent interface no-such does not exist"),
        (lo(json!({"options": {"mode": "x"}})), "invalid macvlan mode \"x\""),
        (lo(json!({"options": {"isolate": "true"}})), "unsupported vlan network option: isolate"),
        (lo(json!({"ipam_options": {"driver": "dhcp"}})), "ipam driver dhcp set but subnets are set"),
        (
            lo(json!({"ipam_options": {"driver": "host-local"}, "subnets": []})),
            "macvlan driver needs at least one subnet specified when the host-local ipam driver is set",
        ),
        (lo(json!({"driver": "ipvlan", "subnets": []})), "ipam driver dhcp is not supported with ipvlan"),
        (lo(json!({"driver": "ipvlan", "options": {"bclim": "1"}})), "unsupported ipvlan network option bclim"),
        (lo(json!({"driver": "ipvlan", "options": {"mode": "l4"}})), "invalid ipvlan mode \"l4\""),
    ] {
        assert_eq!(refused(network.clone()), wrong, "{network}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let told =
        refused(json!({"name": "taken", "id": "x", "options": {"mtu": "x"}, "subnets": [{"subnet": "10.1.0.0/31"}]}));
    assert!(told.starts_with("netavark encountered multiple errors:"), "{told}");
    assert_eq!(told.matches("\n\t- ").count(), 4, "{told}");
}

#[test]
fn wrong_syntax_is_told_with_its_place() {
    let told = refused(json!({"subnets": [{"subnet": "10.1.0.0"}]}));
    assert!(told.starts_with("failed to load network create: IO error: invalid IP address syntax at line 1"), "{told}");
}
