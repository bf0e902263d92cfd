//! Any text as published ports, one a line. Parsing never panics; what it takes is a rule that keeps its promises, and that is
//! written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the front end uses the rest")]
#[path = "../../src/config/publish.rs"]
mod publish;

use publish::Publish;

/// Rules that are held against each other.
const RULES_MAX: usize = 16;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let rules: Vec<Publish> = text.lines().filter_map(|line| line.parse().ok()).take(RULES_MAX).collect();
    for rule in &rules {
        let written = rule.to_string();
        assert_eq!(written.parse::<Publish>().as_ref(), Ok(rule), "{written}");
        assert_eq!(rule.ports().count(), rule.len());
        assert!(!rule.is_empty() && rule.ports().all(|(host, container)| host > 0 && container > 0));
        assert!((1..=2).contains(&rule.addresses().count()));
        assert!(rule.clash(rule).is_some());
        for other in &rules {
            let clash = rule.clash(other);
            assert_eq!(clash, other.clash(rule));
            if let Some(socket) = clash {
                assert!(rule.host.contains(&socket.port()) && other.host.contains(&socket.port()));
            }
        }
    }
});
