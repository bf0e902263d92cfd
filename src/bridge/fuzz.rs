//! What the fuzzer, and a test, do with any text: it is judged as every command would, and nothing may panic.

use std::path::PathBuf;

use super::commands;
use super::create;
use super::firewall::{Kind, check_encoding};
use super::protocol;
use super::run::Run;

/// Judges a text as the input of setup and of create.
///
/// # Panics
/// When what was accepted does not keep what acceptance promises.
pub fn judge(text: &[u8]) {
    if let Ok(options) = protocol::parse_options(text) {
        let run = Run {
            options,
            netns: PathBuf::new(),
            directory: PathBuf::new(),
            rootless: true,
            dns_port: 53,
            firewall: Kind::Nftables,
            plugin_directories: Vec::new(),
        };
        for driver in commands::judge(&run).unwrap_or_default() {
            if let Some((network, container)) = driver.firewall(&run) {
                check_encoding(&network, &container);
            }
        }
    }
    if let Ok(network) = create::parse(text).and_then(|request| create::create(request, &[])) {
        let text = serde_json::to_string(&network).unwrap_or_default();
        assert!(
            protocol::parse::<protocol::Network>(text.as_bytes(), "").is_ok(),
            "what create tells can be read: {text}"
        );
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_is_judged() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/netavark_json");
        let mut judged = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            super::judge(&std::fs::read(entry.unwrap().path()).unwrap());
            judged += 1;
        }
        assert!(judged > 0, "{corpus} is empty");
    }
}
