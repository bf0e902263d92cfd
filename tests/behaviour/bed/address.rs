//! The addresses of the bed, and rnet's defaults.

/// The host's own address on eth0.
pub const HOST4: &str = "203.0.113.2";
pub const HOST6: &str = "2001:db8:cafe::2";

/// The world: the host's router, and two addresses behind it.
pub const WORLD4: &str = "203.0.113.1";
pub const WORLD6: &str = "2001:db8:cafe::1";
pub const FAR4: [&str; 2] = ["198.51.100.1", "198.51.100.2"];
pub const FAR6: [&str; 2] = ["2001:db8:beef::1", "2001:db8:beef::2"];

/// One address of each family, for tests that do the same with both.
pub const BOTH: [&str; 2] = [WORLD4, WORLD6];

/// The host itself has an `unreachable` route to these: EHOSTUNREACH.
pub const UNREACHABLE: [&str; 2] = ["198.51.100.66", "2001:db8:beef::66"];
/// The host itself has a `prohibit` route to these: EACCES.
pub const PROHIBITED: [&str; 2] = ["198.51.100.67", "2001:db8:beef::67"];
/// The world's router answers packets to these with ICMP host (address) unreachable.
pub const FAR_UNREACHABLE: [&str; 2] = ["198.51.100.68", "2001:db8:beef::68"];
/// Packets to these disappear.
pub const SILENT: [&str; 2] = ["198.51.100.99", "2001:db8:beef::99"];

/// rnet's defaults inside the container.
pub const CONTAINER4: &str = "10.0.2.100";
pub const CONTAINER6: &str = "fd00::100";
pub const GATEWAY4: &str = "10.0.2.2";
pub const GATEWAY6: &str = "fd00::2";
pub const DNS4: &str = "10.0.2.3";
pub const DNS6: &str = "fd00::3";

/// An address as a URL has it.
pub fn url_host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}
