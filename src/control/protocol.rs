//! Requests and replies: JSON, one a line.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Publish;

/// The version of the protocol that is spoken here.
pub const VERSION: u64 = 1;

/// Bytes of a request: room for thousands of forwards.
pub const REQUEST_MAX: usize = 1 << 20;

/// Forwards in one request.
pub const FORWARDS_MAX: usize = 4096;

/// Flows in one page.
pub const FLOWS_MAX: usize = 1000;

/// Flows in a page of which no size was asked for.
const FLOWS_DEFAULT: usize = 100;

/// Bytes of an id.
const ID_MAX: usize = 128;

/// What a client calls its request; the reply repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text, of 128 bytes at the most.
    Text(String),
}

/// A request with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub id: Option<Id>,
    /// What is asked for.
    pub request: Request,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who is there?
    Ping,
    /// Add forwards: all or none.
    ForwardAdd(Vec<Publish>),
    /// Remove forwards: all or none.
    ForwardRemove(Removal),
    /// Tell all forwards.
    ForwardList,
    /// Let these forwards take the place of all that there are.
    ForwardReplace(Removal),
    /// Tell of flows, page by page.
    FlowsList(Page),
    /// Tell what is held and was counted.
    Stats,
    /// Tell the network's configuration.
    ConfigGet,
    /// End the network.
    Shutdown,
}

/// Forwards that are removed, or that are what remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Forwards.
    pub forwards: Vec<Publish>,
    /// Whether to reset the connections that clients have by forwards that are removed.
    pub drop_established: bool,
}

/// A page of the list of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it begins.
    pub cursor: Cursor,
    /// How many flows it has at the most.
    pub limit: usize,
}

/// A place in the list of flows; `0.tcp.0` where it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The thread that has them.
    pub worker: usize,
    /// Its UDP mappings, which come behind its TCP flows.
    pub udp: bool,
    /// The least number.
    pub first: u32,
}

/// Why a request is not answered by a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is not JSON, or not a request. The connection is closed.
    BadRequest,
    /// It is longer than [`REQUEST_MAX`]. The connection is closed.
    TooLong,
    /// It does not come to an end. The connection is closed.
    TimedOut,
    /// 64 clients are being served already. The connection is closed.
    TooManyClients,
    /// Another version of the protocol.
    BadVersion,
    /// There is no such method.
    UnknownMethod,
    /// The parameters are not what the method takes.
    BadParams,
    /// A forward claims a port that another has.
    Clash,
    /// There is no such forward.
    NotFound,
    /// Another program has the port.
    InUse,
    /// The port is not the caller's to have.
    Denied,
    /// The host has no such address.
    NoAddress,
    /// More sockets than a process may have descriptors.
    Descriptors,
    /// The network has ended, or does not answer.
    NetworkGone,
    /// Something else was in the way.
    Failed,
}

impl Code {
    /// Its name in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Code::BadRequest => "bad_request",
            Code::TooLong => "too_long",
            Code::TimedOut => "timed_out",
            Code::TooManyClients => "too_many_clients",
            Code::BadVersion => "bad_version",
            Code::UnknownMethod => "unknown_method",
            Code::BadParams => "bad_params",
            Code::Clash => "clash",
            Code::NotFound => "not_found",
            Code::InUse => "in_use",
            Code::Denied => "denied",
            Code::NoAddress => "no_address",
            Code::Descriptors => "descriptors",
            Code::NetworkGone => "network_gone",
            Code::Failed => "failed",
        }
    }

    /// Whether the connection is closed behind it: what follows could not be told from the rest of the bad request.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Code::BadRequest | Code::TooLong | Code::TimedOut | Code::TooManyClients)
    }
}

/// A request that cannot be fulfilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Fault {
    /// One with a message.
    pub fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    v: u64,
    id: Option<Id>,
    method: String,
    #[serde(default)]
    params: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    forwards: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    forwards: Vec<String>,
    #[serde(default)]
    drop_established: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paged {
    cursor: Option<String>,
    limit: Option<u64>,
}

/// Reads a request, without the end of its line.
///
/// # Errors
/// The fault, with the request's name where that could be read.
pub fn parse(line: &[u8]) -> Result<Call, (Option<Id>, Fault)> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(|error| {
        let what = format!(
            "not a request ({error}): one is {{\"v\":{VERSION},\"method\":\"ping\"}}, with \"id\" and \"params\" where \
             they are needed"
        );
        (None, Fault::new(Code::BadRequest, what))
    })?;
    let Envelope { v, id, method, params } = envelope;
    if matches!(&id, Some(Id::Text(text)) if text.len() > ID_MAX) {
        let what = format!("\"id\" is longer than {ID_MAX} bytes");
        return Err((None, Fault::new(Code::BadRequest, what)));
    }
    let request = if v == VERSION {
        request(&method, params)
    } else {
        Err(Fault::new(Code::BadVersion, format!("version {v} is not spoken here, but {VERSION}")))
    };
    match request {
        Ok(request) => Ok(Call { id, request }),
        Err(fault) => Err((id, fault)),
    }
}

fn request(method: &str, params: Value) -> Result<Request, Fault> {
    let nothing = |params| read::<Nothing>(params);
    Ok(match method {
        "ping" => nothing(params).map(|_| Request::Ping)?,
        "forward.list" => nothing(params).map(|_| Request::ForwardList)?,
        "stats" => nothing(params).map(|_| Request::Stats)?,
        "config.get" => nothing(params).map(|_| Request::ConfigGet)?,
        "shutdown" => nothing(params).map(|_| Request::Shutdown)?,
        "forward.add" => Request::ForwardAdd(forwards(&read::<Added>(params)?.forwards)?),
        "forward.remove" => Request::ForwardRemove(removal(params)?),
        "forward.replace" => Request::ForwardReplace(removal(params)?),
        "flows.list" => {
            let Paged { cursor, limit } = read(params)?;
            let cursor = cursor.map_or(Ok(Cursor::default()), |text| Cursor::parse(&text))?;
            let limit = limit.unwrap_or(FLOWS_DEFAULT as u64).clamp(1, FLOWS_MAX as u64) as usize;
            Request::FlowsList(Page { cursor, limit })
        }
        _ => {
            let what = "no such method: ping, forward.add, forward.remove, forward.list, forward.replace, flows.list, stats, \
                        config.get, shutdown";
            return Err(Fault::new(Code::UnknownMethod, what));
        }
    })
}

/// Parameters that were left out are none.
fn read<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, Fault> {
    let params = if params.is_null() { json!({}) } else { params };
    if !params.is_object() {
        return Err(Fault::new(Code::BadParams, "params: must be an object"));
    }
    serde_json::from_value(params).map_err(|error| Fault::new(Code::BadParams, format!("params: {error}")))
}

fn removal(params: Value) -> Result<Removal, Fault> {
    let Removed { forwards: texts, drop_established } = read(params)?;
    Ok(Removal { forwards: forwards(&texts)?, drop_established })
}

/// All faults are told at once.
fn forwards(texts: &[String]) -> Result<Vec<Publish>, Fault> {
    if texts.len() > FORWARDS_MAX {
        return Err(Fault::new(Code::BadParams, format!("more than {FORWARDS_MAX} forwards")));
    }
    let mut faults = Vec::new();
    let mut forwards = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<Publish>() {
            Ok(forward) => forwards.push(forward),
            Err(fault) if faults.len() < 20 => faults.push(format!("{}: {fault}", shortened(text))),
            Err(_) => {}
        }
    }
    if faults.is_empty() { Ok(forwards) } else { Err(Fault::new(Code::BadParams, faults.join("; "))) }
}

/// What was given, for a message.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

impl Cursor {
    fn parse(text: &str) -> Result<Cursor, Fault> {
        let parsed = || {
            let mut parts = text.split('.');
            let worker = parts.next()?.parse().ok()?;
            let udp = match parts.next()? {
                "tcp" => false,
                "udp" => true,
                _ => return None,
            };
            let first = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Cursor { worker, udp, first })
        };
        parsed().ok_or_else(|| Fault::new(Code::BadParams, "cursor: must be \"next\" of the page before, or left out"))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.worker, if self.udp { "udp" } else { "tcp" }, self.first)
    }
}

/// The line of a reply.
pub fn reply(id: Option<&Id>, outcome: &Result<Value, Fault>) -> Vec<u8> {
    let mut reply = json!({ "v": VERSION });
    if let Some(id) = id {
        reply["id"] = json!(id);
    }
    match outcome {
        Ok(result) => reply["result"] = result.clone(),
        Err(fault) => reply["error"] = json!({ "code": fault.code.name(), "message": fault.message }),
    }
    let mut line = reply.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> (Option<Id>, &'static str) {
        let (id, fault) = parse(line.as_bytes()).unwrap_err();
        (id, fault.code.name())
    }

    #[test]
    fn requests_are_read() {
        let call =
            parse(br#"{"v":1,"id":"a","method":"forward.add","params":{"forwards":["8080:80","[::1]:53/udp"]}}"#);
        let call = call.unwrap();
        assert_eq!(call.id, Some(Id::Text("a".into())));
        assert!(matches!(call.request, Request::ForwardAdd(forwards) if forwards.len() == 2));
        assert_eq!(parse(br#"{"v":1,"method":"ping"}"#).unwrap(), Call { id: None, request: Request::Ping });
        let page = parse(br#"{"v":1,"method":"flows.list","params":{"cursor":"1.udp.7","limit":9999}}"#).unwrap();
        let cursor = Cursor { worker: 1, udp: true, first: 7 };
        assert_eq!(page.request, Request::FlowsList(Page { cursor, limit: FLOWS_MAX }));
        assert_eq!(cursor.to_string(), "1.udp.7");
    }

    #[test]
    fn faults_have_codes() {
        assert_eq!(fault("garbage"), (None, "bad_request"));
        assert_eq!(fault(r#"{"v":1}"#), (None, "bad_request"));
        assert_eq!(fault(r#"{"v":1,"method":"ping","extra":1}"#), (None, "bad_request"));
        assert_eq!(fault(r#"{"v":2,"id":3,"method":"ping"}"#), (Some(Id::Number(3)), "bad_version"));
        assert_eq!(fault(r#"{"v":1,"id":3,"method":"pong"}"#), (Some(Id::Number(3)), "unknown_method"));
        assert_eq!(fault(r#"{"v":1,"method":"ping","params":{"x":1}}"#), (None, "bad_params"));
        assert_eq!(fault(r#"{"v":1,"method":"forward.add","params":{"forwards":["0"]}}"#), (None, "bad_params"));
        assert_eq!(fault(r#"{"v":1,"method":"flows.list","params":{"cursor":"x"}}"#), (None, "bad_params"));
        assert_eq!(fault(&"[".repeat(100_000)), (None, "bad_request"));
    }
}
