//! Addresses from a DHCP server: the client itself (`client`), the process that keeps leases for all containers (`proxy`), the protocol
//! between it and setup (`rpc`), and what setup and teardown ask of it (`ask`).

mod ask;
pub mod client;
mod proxy;
mod rpc;

pub use ask::{Leased, Wish, obtain, release};
pub use proxy::serve;

use std::path::{Path, PathBuf};

/// Where the proxy's socket and its file of leases are.
const DIRECTORY: &str = "/run/podman";
/// Names another directory, to the proxy and to those who ask it.
const DIRECTORY_VARIABLE: &str = "NETAVARK_PROXY_RUN_DIR_ENV";
const SOCKET: &str = "nv-proxy.sock";

fn directory(given: Option<&Path>) -> PathBuf {
    let variable = std::env::var_os(DIRECTORY_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable.or_else(|| given.map(Into::into)).unwrap_or_else(|| DIRECTORY.into())
}
