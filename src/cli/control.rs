//! `rnet list`, `rnet ports`, `rnet stats`, `rnet flows`: questions to networks that are running.

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use std::path::PathBuf;

use crate::config::Publish;
use crate::control::commands::{self, Question};
use crate::control::instances::Choice;

use super::faults::Faults;
use super::{Request, value};

const SPEC: &str = "[ADDR:]PORT[-END][:CPORT[-END]][/PROTO]";

const PORTS_EXAMPLES: &str = "\
Examples:
  rnet ports list                                   of the only instance that is running
  rnet ports add 8080:80 127.0.0.1:5353:53/udp      both, or neither
  rnet ports remove --drop-established 8080:80
  rnet ports replace --pid 4711 8080:80 8443:443    these and no others; tells those that there were
  rnet ports list --netns /run/netns/blue --json

Connections that are there are never touched, unless --drop-established says so.

Exit codes: 0 when done; 2 for wrong flags or ports; 1 when nobody can be asked or nothing was changed.";

const LIST_EXAMPLES: &str = "\
Examples:
  rnet list
  rnet list --json | jq -r '.instances[] | [.pid, .target] | @tsv'";

const STATS_EXAMPLES: &str = "\
Examples:
  rnet stats
  rnet stats --pid 4711 --json | jq .counters.tcp_flows_accepted";

const FLOWS_EXAMPLES: &str = "\
Examples:
  rnet flows --pid 4711
  rnet flows --json | jq -r '.flows[] | select(.protocol == \"tcp\") | .remote'";

/// `rnet list` as clap knows it.
pub(super) fn list_command() -> Command {
    Command::new("list")
        .about("Tell which of your networks are running")
        .long_about(
            "Tells which of this user's networks are running that have a control socket: the process, its command or \
             namespace, the inode of the container's network namespace, and the published ports.",
        )
        .after_help(LIST_EXAMPLES)
        .arg(json())
}

/// `rnet ports` as clap knows it.
pub(super) fn ports_command() -> Command {
    let one = |name: &'static str, about: &'static str| chosen(Command::new(name).about(about)).arg(json());
    let spec = || {
        let spec = Arg::new("spec").value_name("SPEC").action(ArgAction::Append).num_args(0..);
        spec.help(format!("{SPEC}, as with --publish"))
    };
    let dropping = || {
        let dropping = Arg::new("drop-established").long("drop-established").action(ArgAction::SetTrue);
        dropping.help("Reset the connections that clients have by ports that are removed")
    };
    Command::new("ports")
        .about("Tell or change the published ports of a running network")
        .after_help(PORTS_EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(one("list", "Tell which ports are published"))
        .subcommand(one("add", "Publish ports: all of them or none").arg(spec()))
        .subcommand(one("remove", "Publish ports no longer: all of them or none").arg(dropping()).arg(spec()))
        .subcommand(one("replace", "Publish these ports and no others, in one step").arg(dropping()).arg(spec()))
}

/// `rnet stats` as clap knows it.
pub(super) fn stats_command() -> Command {
    chosen(Command::new("stats").about("Tell what a running network holds and has counted").after_help(STATS_EXAMPLES))
        .arg(json())
}

/// `rnet flows` as clap knows it.
pub(super) fn flows_command() -> Command {
    chosen(Command::new("flows").about("Tell the flows of a running network").after_help(FLOWS_EXAMPLES)).arg(json())
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Tell it as JSON, in one line")
}

/// The flags that choose an instance.
fn chosen(command: Command) -> Command {
    const HEADING: &str = "Which instance [default: the only one]";
    let path = |name: &'static str, help: &'static str| {
        let path = Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf));
        path.value_hint(ValueHint::FilePath).help(help).help_heading(HEADING)
    };
    let pid = Arg::new("pid").long("pid").value_name("PID").help_heading(HEADING);
    command
        .arg(path("path", "The one with this control socket"))
        .arg(pid.help("The one that is this process, runs it, or is its network"))
        .arg(path("netns", "The one that serves this network namespace"))
}

/// Judges `rnet list`.
pub(super) fn list_request(matches: &ArgMatches, faults: Faults) -> Result<Request, Faults> {
    request(matches, Some(Question::Instances), faults)
}

/// Judges `rnet stats`.
pub(super) fn stats_request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    let question = choice(matches, &mut faults).map(Question::Stats);
    request(matches, question, faults)
}

/// Judges `rnet flows`.
pub(super) fn flows_request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    let question = choice(matches, &mut faults).map(Question::Flows);
    request(matches, question, faults)
}

/// Judges `rnet ports`.
pub(super) fn ports_request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    let Some((verb, matches)) = matches.subcommand() else { return Err(faults) };
    let choice = choice(matches, &mut faults);
    let specs = |faults: &mut Faults| specs(matches, verb, faults);
    let drop = || matches.get_flag("drop-established");
    let question = match verb {
        "list" => choice.map(Question::Ports),
        "add" => choice.zip(specs(&mut faults)).map(|(choice, specs)| Question::Add(choice, specs)),
        "remove" => choice.zip(specs(&mut faults)).map(|(choice, specs)| Question::Remove(choice, specs, drop())),
        _ => choice.zip(specs(&mut faults)).map(|(choice, specs)| Question::Replace(choice, specs, drop())),
    };
    request(matches, question, faults)
}

fn request(matches: &ArgMatches, question: Option<Question>, faults: Faults) -> Result<Request, Faults> {
    let json = matches.get_flag("json");
    faults.into_result(question.map(|question| Request::Control(commands::Command { question, json })))
}

/// Which instance is meant; one flag at the most.
fn choice(matches: &ArgMatches, faults: &mut Faults) -> Option<Choice> {
    let path = matches.get_one::<PathBuf>("path").map(|path| Choice::Path(path.clone()));
    let netns = matches.get_one::<PathBuf>("netns").map(|path| Choice::Netns(path.clone()));
    let mut wrong = false;
    let pid = matches.get_one::<String>("pid").and_then(|text| match value::number(text, 1, i32::MAX as u64) {
        Ok(pid) => Some(Choice::Pid(pid as i32)),
        Err(message) => {
            faults.push(format!("--pid {text}"), message);
            wrong = true;
            None
        }
    });
    let mut given = path.into_iter().chain(netns).chain(pid);
    let choice = given.next().unwrap_or(Choice::Only);
    if given.next().is_some() {
        faults.push("--path, --pid, --netns", "exclude each other");
        wrong = true;
    }
    (!wrong).then_some(choice)
}

/// Only `replace` may be given none: that removes all.
fn specs(matches: &ArgMatches, verb: &str, faults: &mut Faults) -> Option<Vec<Publish>> {
    let texts: Vec<&String> = matches.get_many::<String>("spec").into_iter().flatten().collect();
    if texts.is_empty() && verb != "replace" {
        faults.push(format!("ports {verb}"), format!("which ports? Give {SPEC}"));
        return None;
    }
    let mut specs = Vec::new();
    for text in texts {
        match text.parse::<Publish>() {
            Ok(spec) => specs.push(spec),
            Err(message) => faults.push(text.as_str(), message),
        }
    }
    Some(specs)
}
