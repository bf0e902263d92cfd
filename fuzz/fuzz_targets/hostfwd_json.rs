//! Any bytes as a request at slirp4netns's API socket. Reading it never panics; a forward that is understood is one that its own text
//! stands for; and what can still become a request is none yet.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the front end uses the rest")]
#[path = "../../src/config/publish.rs"]
mod publish;

/// Where the requests find it.
mod config {
    pub use crate::publish::{Binding, Protocol, Publish};
}

#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../src/control/hostfwd/request.rs"]
mod request;

use request::{Own, Request, is_unfinished, parse};

const OWN4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);

fuzz_target!(|data: &[u8]| {
    for (ipv4, ipv6) in [(Some(OWN4), None), (Some(OWN4), Some(OWN6)), (None, Some(OWN6))] {
        let parsed = parse(data, Own { ipv4, ipv6 });
        assert!(!is_unfinished(data) || parsed.is_err());
        if let Ok(Request::Add(forward)) = parsed {
            let text = forward.publish.to_string();
            assert_eq!(text.parse().as_ref(), Ok(&forward.publish), "{text}");
        }
    }
});
