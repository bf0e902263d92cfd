//! What goes in and out as JSON, in the shapes that netavark's callers send and read. Unknown keys are ignored, wrong types are
//! not.

mod network;
mod options;
mod port;
mod status;
mod time;

pub use network::{Driver, LeaseRange, Network, StaticRoute, Subnet};
pub use options::{NetworkOptions, PerNetworkOptions};
pub use port::PortMapping;
pub use status::{Address, Interface, Status};
pub use time::{Timestamp, now};

use crate::bridge::error::{Error, Result};

/// Reads the input of setup and teardown.
pub fn parse_options(text: &[u8]) -> Result<NetworkOptions> {
    parse(text, "failed to load network options")
}

/// Reads any input; the error tells the line and the column.
pub fn parse<T: serde::de::DeserializeOwned>(text: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| Error::text(format!("{what}: IO error: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &str = r#"{
        "container_id": "c", "container_name": "n", "unknown": 1,
        "networks": {"b": {"interface_name": "eth0", "static_ips": ["10.0.0.2"]}, "a": {"interface_name": "eth1", "aliases": null}},
        "network_info": {"a": {"name": "a", "id": "1", "driver": "bridge", "dns_enabled": false, "internal": false,
            "ipv6_enabled": false, "created": "2026-01-02T03:04:05.678Z", "subnets": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1"}]}}
    }"#;

    #[test]
    fn networks_keep_the_order_of_the_text() {
        let options = parse_options(INPUT.as_bytes()).unwrap();
        let names: Vec<_> = options.networks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let array = INPUT
            .replace(r#"{"b": {"#, r#"[{"name": "b", "#)
            .replace(r#""a": {"interface"#, r#"{"name": "a", "interface"#);
        let array = array.replace("\"aliases\": null}}", "\"aliases\": null}]");
        let options = parse_options(array.as_bytes()).unwrap();
        let names: Vec<_> = options.networks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn wrong_types_are_errors_with_their_place() {
        for (right, wrong) in
            [("\"c\"", "7"), ("\"10.0.0.2\"", "\"10.0.0.\""), ("10.0.0.0/24", "10.0.0.0/33"), ("2026-01", "26-1")]
        {
            let error = parse_options(INPUT.replace(right, wrong).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("failed to load network options: IO error: "), "{error}");
            assert!(error.contains(" at line "), "{error}");
        }
        let error = parse_options(INPUT.replace("10.0.0.0/24", "x").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("invalid IP address syntax"), "{error}");
    }
}
