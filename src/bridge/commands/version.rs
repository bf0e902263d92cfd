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
        commit: option_env!("RNET_COMMIT").unwrap_or_default(),
        build_time: option_env!("RNET_BUILD_TIME").unwrap_or_default(),
        target: option_env!("RNET_TARGET").unwrap_or_default(),
        default_fw_driver: "nftables",
    };
    serde_json::to_string_pretty(&version).unwrap_or_default()
}
