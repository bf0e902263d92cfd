//! The privileged backend's command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What the privileged backend is asked to do, and how.
#[derive(Clone, Debug)]
pub struct Netavark {
    /// The input; standard input without it.
    pub file: Option<PathBuf>,
    /// The name of a firewall driver.
    pub firewall_driver: Option<String>,
    /// Where state is kept.
    pub config: Option<PathBuf>,
    /// Whether a user runs it.
    pub rootless: bool,
    /// The container name server's program.
    pub aardvark_binary: PathBuf,
    /// Where plugins are looked for, in this order.
    pub plugin_directories: Vec<PathBuf>,
    /// Where the container name server listens, as it was given.
    pub dns_port: Option<OsString>,
    /// What is logged, in env_logger's words.
    pub log: Option<String>,
    /// What is to be done.
    pub command: NetavarkCommand,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum NetavarkCommand {
    /// Give the container in this network namespace its networks.
    Setup(PathBuf),
    /// Take them away.
    Teardown(PathBuf),
    /// Give a network other name servers.
    Update {
        /// The network.
        network: String,
        /// The servers, or one empty text for none.
        servers: Vec<String>,
    },
    /// Judge and complete a network's configuration.
    Create,
    /// Make the firewall's rules what they should be.
    FirewallReload,
    /// The same each time that firewalld has been reloaded.
    FirewalldReload,
    /// Get and keep addresses of DHCP servers for containers.
    DhcpProxy(DhcpProxy),
    /// Tell the version.
    Version,
}

/// How the DHCP proxy works.
#[derive(Clone, Debug)]
pub struct DhcpProxy {
    /// Where its socket and its leases are.
    pub directory: Option<PathBuf>,
    /// The socket, or another directory for it.
    pub socket: Option<PathBuf>,
    /// How many sockets the service manager has passed (LISTEN_FDS).
    pub passed: u32,
    /// How long a server may take to grant an address.
    pub patience: Duration,
    /// How long it stays when nothing is to be done; `None` for ever.
    pub idle: Option<Duration>,
}
