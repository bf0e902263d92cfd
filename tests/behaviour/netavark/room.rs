//! Containers, which are network namespaces on the bed's host, and the networks that they are on.

use serde_json::{Value, json};

use crate::bed::{Bed, Cmd, Out, Side};

/// Where the state is kept.
pub const DIRECTORY: &str = "/run/nv";
pub const ID: [&str; 3] = [
    "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
    "ec79dd0cad82c3bb44cb2de24b7b2a1f6f7a0d5f2cd7a3d62a4c9e4cbda8f6e1",
    "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
];

/// A host with containers.
pub struct Room<'b> {
    pub bed: &'b Bed,
    driver: &'static str,
}

impl<'b> Room<'b> {
    pub fn new(bed: &'b Bed) -> Room<'b> {
        Room::with(bed, "nftables")
    }

    /// With this firewall driver.
    pub fn with(bed: &'b Bed, driver: &'static str) -> Room<'b> {
        // The driver's name and empty directories stay, as netavark leaves them.
        bed.excuse_files(DIRECTORY);
        bed.excuse_files("/run/netns");
        Room { bed, driver }
    }

    /// A namespace of this name, with nothing in it.
    pub fn container(&self, name: &str) {
        self.root(&format!("ip netns add {name}"));
    }

    /// `sh -ec SCRIPT` on the host.
    #[track_caller]
    pub fn root(&self, script: &str) -> String {
        self.bed.root(Side::Host, script).ok()
    }

    /// `sh -ec SCRIPT` in a container.
    pub fn inside(&self, container: &str, script: &str) -> Cmd<'b> {
        self.bed.root(Side::Host, &format!("exec nsenter --net=/run/netns/{container} sh -ec '{script}'"))
    }

    /// `netavark … COMMAND [NETNS]` with this input.
    pub fn netavark(&self, arguments: &[&str], input: &Value) -> Cmd<'b> {
        let mut all = vec!["netavark", "--config", DIRECTORY];
        all.extend(arguments);
        self.bed.rnet(&all).env("NETAVARK_FW", self.driver).stdin(input.to_string())
    }

    /// Sets a container up, and gives what is told.
    #[track_caller]
    pub fn setup(&self, container: &str, input: &Value) -> Value {
        let out = self.netavark(&["setup", &format!("/run/netns/{container}")], input).ok();
        serde_json::from_str(&out).unwrap()
    }

    /// Setting up must fail; gives the error.
    #[track_caller]
    pub fn refused(&self, container: &str, input: &Value) -> String {
        error_of(&self.netavark(&["setup", &format!("/run/netns/{container}")], input).output())
    }

    #[track_caller]
    pub fn teardown(&self, container: &str, input: &Value) {
        let out = self.netavark(&["teardown", &format!("/run/netns/{container}")], input).ok();
        assert_eq!(out, "", "teardown tells nothing");
    }

    /// Starts peer.py's servers in a container, for as long as the test runs.
    pub fn serve(&self, container: &str) {
        self.bed
            .root(Side::Host, &format!("exec nsenter --net=/run/netns/{container} python3 /mnt/lib/peer.py serve"))
            .keep_when_ready();
    }

    /// What a TCP client is called by the server: the address that the server sees, or why there is none.
    pub fn who(&self, from: From<'_>, host: &str, port: u16) -> String {
        self.ask(from, &format!("s = connect(\"{host}\", {port}, timeout=2); print(read_line(s).split()[0])"))
    }

    /// The same by UDP.
    pub fn who_udp(&self, from: From<'_>, host: &str, port: u16) -> String {
        self.ask(
            from,
            &format!(
                "s = udp(\"{host}\", timeout=2); s.connect((\"{host}\", {port})); s.send(b\"x\"); print(s.recv(99).decode().split()[0])"
            ),
        )
    }

    fn ask(&self, from: From<'_>, question: &str) -> String {
        let script = format!(
            "import sys\nfrom peer import *\ntry:\n  {question}\nexcept TimeoutError: print(\"timeout\")\nexcept OSError as e: print(errno.errorcode.get(e.errno, e))"
        );
        let command = format!("python3 -c \"{}\"", script.replace('"', "\\\""));
        match from {
            From::Host => self.root(&command),
            From::World => self.bed.root(Side::World, &command).ok(),
            From::Inside(container) => self.root(&format!("nsenter --net=/run/netns/{container} {command}")),
        }
    }

    /// The ruleset as nft shows it.
    pub fn ruleset(&self) -> String {
        self.root("nft list ruleset")
    }

    /// The links of the host but those that the bed has.
    pub fn links(&self) -> String {
        self.root("ip -o link | cut -d: -f2 | cut -d@ -f1 | grep -vE \" (lo|eth0)$\" || true")
    }

    /// Neither links nor rules nor state of any container or network.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.links(), "", "links are left");
        let rules = self.ruleset();
        assert!(!rules.contains("nv_") && !rules.contains("ifname"), "rules are left:\n{rules}");
        if self.driver == "iptables" {
            let rules = self.root("iptables-save; ip6tables-save");
            let own = |line: &&str| line.contains("netavark:") && !line.contains("netavark:base:");
            let left: Vec<&str> = rules.lines().filter(own).collect();
            assert!(left.is_empty() && !rules.contains(":NETAVARK-DN-"), "rules are left:\n{rules}");
        }
        let files = self.root(&format!(
            "find {DIRECTORY}/firewall/networks {DIRECTORY}/firewall/ports -type f 2>/dev/null || true"
        ));
        assert_eq!(files, "", "state is left");
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.root("for each in $(ip netns list | cut -d\" \" -f1); do ip netns delete $each; done; umount /run/netns 2>/dev/null || true");
        }
    }
}

/// Where a client is.
#[derive(Clone, Copy)]
pub enum From<'c> {
    Host,
    World,
    Inside(&'c str),
}

/// The error that a run told, in the only form that podman takes.
#[track_caller]
pub fn error_of(out: &Out) -> String {
    out.assert_code(1);
    let told: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}\n{out}"));
    assert_eq!(told.as_object().unwrap().len(), 1, "{told}");
    told["error"].as_str().unwrap().to_owned()
}

/// A bridge network `netN` with the bridge `brN` and the subnets 10.9N.0.0/24 and fd00:9N::/64.
pub fn network(n: usize) -> Value {
    json!({
        "name": format!("net{n}"), "id": ID[n], "driver": "bridge", "network_interface": format!("br{n}"),
        "subnets": [
            {"subnet": format!("10.9{n}.0.0/24"), "gateway": format!("10.9{n}.0.1")},
            {"subnet": format!("fd00:9{n}::/64"), "gateway": format!("fd00:9{n}::1")},
        ],
        "ipv6_enabled": true, "internal": false, "dns_enabled": false,
    })
}

/// The input for container `id` with the last part `host` of its addresses, on this network.
pub fn on(id: &str, host: usize, network: &Value) -> Value {
    let name = network["name"].as_str().unwrap();
    let n = name.strip_prefix("net").unwrap();
    json!({
        "container_id": id, "container_name": format!("name-{id}"),
        "networks": {name: {"interface_name": "eth0", "static_ips": [format!("10.9{n}.0.{host}"), format!("fd00:9{n}::{host}")]}},
        "network_info": {name: network},
    })
}

/// A published port.
pub fn port(host_ip: &str, host: u16, container: u16, protocol: &str, range: u16) -> Value {
    json!({"host_ip": host_ip, "host_port": host, "container_port": container, "protocol": protocol, "range": range})
}

/// The same input with published ports.
pub fn publishing(mut input: Value, ports: &[Value]) -> Value {
    input["port_mappings"] = json!(ports);
    input
}
