//! The forwards that clients have added, by the numbers that they know.

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::request::{HostForward, Own, Refused, Request, parse};
use crate::config::{Network, Protocol};
use crate::control::change::{self, Change};
use crate::control::line::Line;
use crate::control::protocol::Removal;

/// Answers requests. Numbers begin at 1 and are not used again.
pub(in crate::control) struct Book {
    network: Network,
    state: Mutex<State>,
}

struct State {
    line: Line,
    last: u64,
    forwards: Vec<(u64, HostForward)>,
}

impl Book {
    /// An empty one.
    pub(in crate::control) fn new(network: Network, line: Line) -> Book {
        Book { network, state: Mutex::new(State { line, last: 0, forwards: Vec::new() }) }
    }

    /// The answer to a request.
    pub(super) async fn answer(&self, text: &[u8]) -> Value {
        match self.obey(text).await {
            Ok(answer) => answer,
            Err(refused) => refusal(&refused),
        }
    }

    async fn obey(&self, text: &[u8]) -> Result<Value, Refused> {
        let own = Own {
            ipv4: self.network.ipv4.map(|subnet| subnet.address),
            ipv6: self.network.ipv6.map(|subnet| subnet.address),
        };
        let request = parse(text, own)?;
        let mut state = self.state.lock().await;
        match request {
            Request::Add(forward) => self.add(&mut state, forward).await,
            Request::List => Ok(list(&state.forwards)),
            Request::Remove(id) => self.remove(&mut state, id).await,
        }
    }

    async fn add(&self, state: &mut State, forward: HostForward) -> Result<Value, Refused> {
        let rules = [forward.publish.clone()];
        let added = change::make(&mut state.line, &self.network, Change::Add(&rules)).await;
        added
            .map_err(|fault| Refused { words: "add_hostfwd: slirp_add_hostfwd failed", reason: Some(fault.message) })?;
        state.last += 1;
        state.forwards.push((state.last, forward));
        Ok(json!({ "return": { "id": state.last } }))
    }

    async fn remove(&self, state: &mut State, id: u64) -> Result<Value, Refused> {
        let place = state.forwards.iter().position(|(number, _)| *number == id);
        let place = place.ok_or(Refused::by("remove_hostfwd: bad arguments.id"))?;
        let forwards = state.forwards.get(place).map(|(_, forward)| forward.publish.clone()).into_iter().collect();
        let removal = Removal { forwards, drop_established: false };
        let removed = change::make(&mut state.line, &self.network, Change::Remove(&removal)).await;
        removed.map_err(|fault| Refused {
            words: "remove_hostfwd: slirp_remove_hostfwd failed",
            reason: Some(fault.message),
        })?;
        state.forwards.remove(place);
        Ok(json!({ "return": {} }))
    }
}

/// What is wrong, in the original's words; what it does not say stands beside them.
pub(super) fn refusal(refused: &Refused) -> Value {
    let mut error = json!({ "desc": format!("bad request: {}", refused.words) });
    if let Some(reason) = &refused.reason {
        error["reason"] = json!(reason);
    }
    json!({ "error": error })
}

/// Where the original has its list and where its manual says that it is.
fn list(forwards: &[(u64, HostForward)]) -> Value {
    let entry = |(id, forward): &(u64, HostForward)| {
        json!({
            "id": id,
            "proto": if forward.publish.protocol == Protocol::Tcp { "tcp" } else { "udp" },
            "host_addr": forward.publish.address,
            "host_port": forward.publish.host.start(),
            "guest_addr": forward.guest,
            "guest_port": forward.publish.container,
        })
    };
    let entries: Vec<Value> = forwards.iter().map(entry).collect();
    json!({ "entries": entries, "return": { "entries": entries } })
}
