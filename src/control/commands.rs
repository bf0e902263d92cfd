//! The commands that speak to running networks: what they ask, and how they tell it.

use serde_json::{Value, json};

use super::client::{self, Client};
use super::instances::{self, Choice, Instance};
use super::table::{Table, plain, span};
use crate::config::Publish;

/// Pages of flows that are asked for at the most.
const PAGES_MAX: usize = 10_000;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What is asked.
    pub question: Question,
    /// Whether the answer is for programs.
    pub json: bool,
}

/// What is asked, and of which instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which instances are there?
    Instances,
    /// Which ports are published?
    Ports(Choice),
    /// Publish ports.
    Add(Choice, Vec<Publish>),
    /// Publish ports no longer; the connections by them are reset if that is true.
    Remove(Choice, Vec<Publish>, bool),
    /// Publish these ports and no others.
    Replace(Choice, Vec<Publish>, bool),
    /// What is held and was counted?
    Stats(Choice),
    /// Which flows are there?
    Flows(Choice),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No instance could be found.
    #[error(transparent)]
    Instance(#[from] instances::Error),
    /// The instance did not do it.
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// Asks; returns what is to be printed.
///
/// # Errors
/// When nobody can be asked, or refuses.
pub fn run(command: &Command) -> Result<String, Error> {
    let (value, tell): (Value, fn(&Value) -> String) = match &command.question {
        Question::Instances => (instances()?, tell_instances),
        Question::Ports(choice) => (ask(choice, "forward.list", json!({}))?, tell_ports),
        Question::Add(choice, forwards) => {
            (ask(choice, "forward.add", json!({ "forwards": texts(forwards) }))?, |_| String::new())
        }
        Question::Remove(choice, forwards, drop) => {
            let params = json!({ "forwards": texts(forwards), "drop_established": drop });
            (ask(choice, "forward.remove", params)?, |_| String::new())
        }
        Question::Replace(choice, forwards, drop) => {
            let params = json!({ "forwards": texts(forwards), "drop_established": drop });
            (ask(choice, "forward.replace", params)?, tell_former)
        }
        Question::Stats(choice) => (ask(choice, "stats", json!({}))?, tell_stats),
        Question::Flows(choice) => (flows(choice)?, tell_flows),
    };
    Ok(if command.json { format!("{value}\n") } else { tell(&value) })
}

fn ask(choice: &Choice, method: &str, params: Value) -> Result<Value, Error> {
    let (_, mut client) = instances::find(choice)?;
    Ok(client.ask(method, params)?)
}

fn texts(forwards: &[Publish]) -> Vec<String> {
    forwards.iter().map(ToString::to_string).collect()
}

/// All instances with their forwards. One that ends meanwhile is left out.
fn instances() -> Result<Value, Error> {
    let each = |(instance, mut client): (Instance, Client)| {
        let forwards = client.ask("forward.list", json!({})).ok();
        let text = |forward: &Value| forward.get("forward").cloned();
        let forwards = forwards.as_ref().and_then(|list| list.get("forwards")).and_then(Value::as_array);
        let forwards: Option<Vec<Value>> = forwards.map(|list| list.iter().filter_map(text).collect());
        json!({
            "pid": instance.pid,
            "kind": instance.kind,
            "target": instance.target,
            "command_pid": instance.command_pid,
            "netns": instance.netns,
            "socket": instance.socket,
            "uptime_seconds": instance.uptime_seconds,
            "forwards": forwards,
        })
    };
    Ok(json!({ "instances": instances::all().into_iter().map(each).collect::<Vec<_>>() }))
}

/// All pages in one.
fn flows(choice: &Choice) -> Result<Value, Error> {
    let (_, mut client) = instances::find(choice)?;
    let mut all = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..PAGES_MAX {
        let mut page = client.ask("flows.list", json!({ "cursor": cursor, "limit": 1000 }))?;
        if let Some(Value::Array(flows)) = page.get_mut("flows").map(Value::take) {
            all.extend(flows);
        }
        cursor = page.get_mut("next").map(Value::take).unwrap_or_default();
        if cursor.is_null() {
            break;
        }
    }
    Ok(json!({ "flows": all }))
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn tell_instances(value: &Value) -> String {
    let mut table = Table::new(["PID", "KIND", "UP", "NETNS", "PORTS", "CONTROL", "TARGET"]);
    for one in list(value, "instances") {
        let up = span(one["uptime_seconds"].as_u64().unwrap_or(0));
        let ports: Vec<String> = list(one, "forwards").map(plain).collect();
        let ports = if ports.is_empty() { "-".into() } else { ports.join(",") };
        let text = |name: &str| plain(&one[name]);
        table.row([text("pid"), text("kind"), up, text("netns"), ports, text("socket"), text("target")]);
    }
    table.to_string()
}

fn tell_ports(value: &Value) -> String {
    let mut table = Table::new(["PROTOCOL", "HOST", "CONTAINER"]);
    for forward in list(value, "forwards") {
        let text = |name: &str| plain(&forward[name]);
        let range = |first: &str, last: &str| match (text(first), text(last)) {
            (first, last) if first == last => first,
            (first, last) => format!("{first}-{last}"),
        };
        let host = match forward["address"].as_str() {
            None => "*".to_owned(),
            Some(address) if address.contains(':') => format!("[{address}]"),
            Some(address) => address.to_owned(),
        };
        let host = format!("{host}:{}", range("port", "end"));
        table.row([text("protocol"), host, range("container_port", "container_end")]);
    }
    table.to_string()
}

/// One a line, so that they can be given back.
fn tell_former(value: &Value) -> String {
    list(value, "former").map(|forward| plain(forward) + "\n").collect()
}

fn tell_stats(value: &Value) -> String {
    let mut table = Table::new(["NAME", "VALUE"]);
    table.row(["up".into(), span(value["uptime_seconds"].as_u64().unwrap_or(0))]);
    for (part, prefix, with_zeroes) in [("holdings", "", true), ("counters", "", false), ("drops", "dropped: ", false)]
    {
        for (name, count) in value.get(part).and_then(Value::as_object).into_iter().flatten() {
            if with_zeroes || count.as_u64() != Some(0) {
                table.row([format!("{prefix}{name}"), plain(count)]);
            }
        }
    }
    table.to_string()
}

fn tell_flows(value: &Value) -> String {
    let mut table = Table::new(["PROTOCOL", "STATE", "CONTAINER", "REMOTE", "HOST", "PEER"]);
    for flow in list(value, "flows") {
        table.row(["protocol", "state", "container", "remote", "host", "peer"].map(|name| plain(&flow[name])));
    }
    table.to_string()
}
