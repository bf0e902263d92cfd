//! `version`: which netavark this stands in for, and how it was built.

use serde::Serialize;

/// The version of netavark that the protocol is that of.
pub const VERSION: &str = "2.1.0";

#[derive(Serialize)]
struct Version {
    version: &'static str,
    commit: &'static str,
    build_time: &'static str,
    target: &'static str,
    default_fw_driver: &'static str,
}

/// The version as JSON.
pub fn version() -> String {
    let version = Version {
        version: VERSION,
        commit: env!("RNET_COMMIT"),
        build_time: env!("RNET_BUILD_TIME"),
        target: env!("RNET_TARGET"),
        default_fw_driver: "nftables",
    };
    serde_json::to_string_pretty(&version).unwrap_or_default()
}
