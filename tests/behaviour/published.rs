//! A server in a container with published ports, and its clients.

use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, Proc, Side};

/// A container that runs peer.py, or another server. Dropping it ends it.
pub struct Server(Proc);

impl Server {
    /// `rnet run OPTIONS -- peer.py serve`.
    pub fn start(bed: &Bed, options: &str) -> Server {
        Server::ready(bed.run_argv(options, &["python3", "/mnt/lib/peer.py", "serve"]).spawn())
    }

    /// `rnet run OPTIONS -- python3 -c SCRIPT`; the script says `report(ready=True)`.
    pub fn python(bed: &Bed, options: &str, script: &str) -> Server {
        Server::ready(bed.run_python(options, script).spawn())
    }

    /// Waits until a server is ready, and rnet has noticed: some 30 ms, more when the machine is busy.
    pub fn ready(process: Proc) -> Server {
        process.wait_for("\"ready\"");
        std::thread::sleep(Duration::from_millis(150));
        Server(process)
    }

    /// The first report of the behaviour at `port` of peer.py.
    pub fn report(&self, port: u16) -> Value {
        self.0.wait_until(&format!("a report of port {port}"), |out| {
            let mut lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|value| value["port"] == port)
        })
    }

    /// Ends it.
    pub fn end(self, bed: &Bed) {
        self.0.signal(nix::sys::signal::Signal::SIGTERM);
        self.0.wait(Duration::from_secs(10));
        bed.assert_nothing_left();
    }
}

/// A client in the world, with everything from peer.py at hand.
pub fn world(bed: &Bed, script: &str) -> String {
    bed.root(Side::World, "exec python3 -").stdin(format!("from peer import *\n{script}")).limit(90).ok()
}

/// A client on the host itself.
pub fn host(bed: &Bed, script: &str) -> String {
    bed.sh("exec python3 -").stdin(format!("from peer import *\n{script}")).limit(90).ok()
}
