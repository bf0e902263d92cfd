//! Any bytes as a request at the control socket. Reading it never panics, and its reply is one line of JSON that says the version
//! and repeats the id.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the front end uses the rest")]
#[path = "../../src/config/publish.rs"]
mod publish;

/// Where the protocol finds it.
mod config {
    pub use crate::publish::Publish;
}

#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../src/control/protocol.rs"]
mod protocol;

use protocol::{Code, FLOWS_MAX, FORWARDS_MAX, Request, parse, reply};

fuzz_target!(|data: &[u8]| {
    let (id, outcome) = match parse(data) {
        Ok(call) => {
            match &call.request {
                Request::ForwardAdd(forwards) => assert!(forwards.len() <= FORWARDS_MAX),
                Request::ForwardRemove(removal) | Request::ForwardReplace(removal) => {
                    assert!(removal.forwards.len() <= FORWARDS_MAX);
                }
                Request::FlowsList(page) => {
                    assert!((1..=FLOWS_MAX).contains(&page.limit));
                    let cursor = page.cursor.to_string();
                    let again = format!(r#"{{"v":1,"method":"flows.list","params":{{"cursor":"{cursor}"}}}}"#);
                    let Ok(call) = parse(again.as_bytes()) else { panic!("{again}") };
                    assert!(matches!(call.request, Request::FlowsList(again) if again.cursor == page.cursor));
                }
                _ => {}
            }
            (call.id, Ok(json!({})))
        }
        Err((id, fault)) => {
            assert!(!fault.message.is_empty() && fault.message.len() < 8192, "{}", fault.message.len());
            assert_eq!(fault.code.is_fatal(), fault.code == Code::BadRequest);
            (id, Err(fault))
        }
    };
    let line = reply(id.as_ref(), &outcome);
    assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
    let reply: Value = serde_json::from_slice(&line).expect("our own reply");
    assert_eq!(reply["v"], 1);
    assert_eq!(reply.get("result").is_some(), outcome.is_ok());
    assert_eq!(reply.get("id").cloned(), id.map(|id| json!(id)));
});
