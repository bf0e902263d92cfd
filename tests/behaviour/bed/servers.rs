//! Servers in the world, and what they report.

use serde_json::Value;

use super::{Bed, Cmd, Proc, Side};

/// The server with one behaviour per port; see peer.py.
pub struct Peer(Proc);

/// The ports of peer.py.
pub mod port {
    pub const ECHO: u16 = 7001;
    pub const SUM: u16 = 7002;
    pub const UDP_WHO: u16 = 9002;
    pub const UDP_ONCE: u16 = 9004;
    pub const SOURCE: u16 = 7003;
    pub const URGENT: u16 = 7007;
    pub const SLOW: u16 = 7005;
}

impl Bed {
    fn server(&self, side: Side, arguments: &str) -> Proc {
        let process = self.root(side, &format!("exec python3 /mnt/lib/peer.py {arguments}")).spawn();
        process.wait_for("\"ready\"");
        self.note_processes();
        process
    }

    /// Starts the peer's servers in the world; they end with the result.
    pub fn peer(&self) -> Peer {
        Peer(self.server(Side::World, "serve"))
    }

    /// Starts a web server, for as long as the test runs.
    pub fn http(&self, side: Side, port: u16, bind: &str) {
        let process = self.server(side, &format!("http {port} {bind}"));
        self.keep(process);
    }

    /// Starts a server that runs `script`, which has everything from peer.py at hand and says `report(ready=True)`, for as
    /// long as the test runs.
    pub fn python_server(&self, side: Side, script: &str) {
        let process = self.root(side, &format!("exec python3 -c \"from peer import *\n{script}\"")).spawn();
        process.wait_for("\"ready\"");
        self.note_processes();
        self.keep(process);
    }

    /// Starts a name server for the zone `example`, for as long as the test runs: `web.example` is the world's own address.
    pub fn name_server(&self, side: Side, listen: &str) {
        use super::{WORLD4, WORLD6};
        let long = (0..60)
            .map(|n| format!("--txt-record=long.example,{n:03}-{}", "x".repeat(60)))
            .collect::<Vec<_>>()
            .join(" ");
        let cmd: Cmd<'_> = self.root(
            side,
            &format!(
                "exec dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts \
                 --bind-interfaces --listen-address={listen} --log-facility=- --local=/example/ \
                 --address=/web.example/{WORLD4} --address=/web.example/{WORLD6} {long}"
            ),
        );
        let process = cmd.spawn();
        let up = super::eventually(std::time::Duration::from_secs(5), || process.stderr().contains("started"));
        assert!(up, "dnsmasq did not start: {}", process.stderr());
        self.note_processes();
        self.keep(process);
    }
}

impl Peer {
    /// Waits for `count` reports of the behaviour at `port` and gives them.
    pub fn reports(&self, port: u16, count: usize) -> Vec<Value> {
        self.0.wait_until(&format!("{count} reports of port {port}"), |out| {
            let lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found: Vec<Value> = lines.filter(|value| value["port"] == port).collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// The first report of the behaviour at `port`.
    pub fn report(&self, port: u16) -> Value {
        self.reports(port, 1).remove(0)
    }
}
