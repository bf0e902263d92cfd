//! A host with the networks' addresses and those of containers, a directory of files, and a server of it.

use std::time::Duration;

use crate::bed::{Bed, Cmd, Out, Side, eventually};

pub const RNET: &str = "rnet aardvark-dns";
pub const DEBIAN: &str = "/usr/lib/podman/aardvark-dns";

pub const DIRECTORY: &str = "/tmp/names";

pub struct Room<'b> {
    pub bed: &'b Bed,
    program: &'static str,
}

impl<'b> Room<'b> {
    pub fn new(bed: &'b Bed, program: &'static str) -> Room<'b> {
        bed.excuse_files("/tmp");
        bed.excuse_files("/mnt");
        let room = Room { bed, program };
        room.root(&format!("mkdir {DIRECTORY}; ip link add names0 type bridge; ip link set names0 up"));
        for network in 0..4 {
            let address = |host| {
                format!(
                    "ip addr add 10.0.{network}.{host}/24 dev names0; ip addr add fd00:{network}::{host}/64 dev names0 nodad;"
                )
            };
            room.root(&(1..8).map(address).collect::<String>());
        }
        bed.resolv_conf("");
        room
    }

    /// `sh -ec SCRIPT` on the host.
    #[track_caller]
    pub fn root(&self, script: &str) -> String {
        self.bed.root(Side::Host, script).ok()
    }

    /// Writes a network's file.
    pub fn write(&self, network: &str, text: &str) {
        std::fs::write(self.bed.path(&format!("{DIRECTORY}/{network}")), text).unwrap();
    }

    pub fn remove(&self, network: &str) {
        std::fs::remove_file(self.bed.path(&format!("{DIRECTORY}/{network}"))).unwrap();
    }

    /// The server's command, which returns when it serves.
    pub fn command(&self) -> Cmd<'b> {
        self.bed.root(Side::Host, &format!("exec {} --config {DIRECTORY} -p 53 run", self.program))
    }

    /// Starts the server.
    #[track_caller]
    pub fn start(&self) {
        self.command().ok();
        self.bed.note_processes();
    }

    /// Starting must fail; gives what was said.
    #[track_caller]
    pub fn refused(&self) -> String {
        let out = self.command().output();
        out.assert_code(1);
        out.stderr
    }

    pub fn pid(&self) -> String {
        self.root(&format!("cat {DIRECTORY}/aardvark.pid"))
    }

    /// Tells the server that files have changed.
    pub fn reload(&self) {
        self.root(&format!("kill -HUP $(cat {DIRECTORY}/aardvark.pid)"));
    }

    /// `dig ARGUMENTS` from a container's address, once.
    pub fn dig(&self, from: &str, arguments: &str) -> Out {
        self.bed.root(Side::Host, &format!("exec dig +time=3 +tries=1 -b {from} {arguments}")).output()
    }

    /// What `dig +short ARGUMENTS` says, its lines one after the other.
    pub fn short(&self, from: &str, arguments: &str) -> String {
        self.dig(from, &format!("+short {arguments}")).stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The status and the number of answers.
    pub fn status(&self, from: &str, arguments: &str) -> String {
        let out = self.dig(from, arguments).stdout;
        let after = |word: &str| {
            out.split(word).nth(1).unwrap_or_default().split([',', '\n']).next().unwrap_or_default().to_owned()
        };
        format!("{} {}", after("status: "), after("ANSWER: "))
    }

    /// Waits until something is told.
    #[track_caller]
    pub fn eventually(&self, told: impl Fn() -> String, expected: &str) {
        assert!(eventually(Duration::from_secs(5), || told() == expected), "{} and not {expected}", told());
    }

    /// Runs a script with everything from names.py at hand, on the host; gives its output.
    #[track_caller]
    pub fn python(&self, script: &str) -> String {
        std::fs::write(self.bed.path("/tmp/script.py"), format!("from names import *\n{HELPERS}\n{script}")).unwrap();
        self.bed.root(Side::Host, "exec python3 /tmp/script.py").limit(120).ok()
    }
}

/// For scripts: queries from a container's address.
const HELPERS: &str = r#"
def client(where, at="10.0.0.1", timeout=3):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(timeout)
    sock.bind((where, 0))
    sock.connect((at, 53))
    return sock

def asked(sock, message):
    sock.send(message)
    while True:
        reply = sock.recv(65535)
        if reply[:2] == message[:2]: return Got(reply)

def connected(where, at="10.0.0.1", timeout=3):
    return socket.create_connection((at, 53), timeout, source_address=(where, 0))
"#;

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.root(&format!("if [ -e {DIRECTORY}/aardvark.pid ]; then kill $(cat {DIRECTORY}/aardvark.pid) 2>/dev/null || true; fi; ip link delete names0"));
        }
    }
}
