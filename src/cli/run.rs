//! `rnet run`: a command in namespaces of its own.

use std::ffi::OsString;
use std::path::{Component, PathBuf};

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

use crate::config::dns::Name;
use crate::config::{Control, MapIds, MapUser, Run, Surroundings};

use super::faults::Faults;
use super::low::{Given, Low};
use super::options::{CONFIG, NETWORK, Opt, RUN};
use super::{Request, network, value};

const EXAMPLES: &str = "\
Examples:
  rnet run -- curl http://example.com/
  rnet run -4 --mtu 1500 --cidr 192.168.77.0/24 -- ip addr
  rnet run --host-loopback -- curl http://10.0.2.2:8080/      a server on the host's loopback
  rnet run -p 8080:80 -- httpd -f -p 80                       the host's port 8080 leads to its port 80
  rnet run --dns tls://9.9.9.9 --dns-for corp.example=10.1.2.3 -- dig www.example.com
  rnet run -- podman run --network host --cgroups=disabled docker.io/library/alpine ip addr
  rnet run --copy-up /etc --copy-up /run -- buildkitd         a daemon that writes there

Exit codes:
  the command's own; 128+N when signal N ended it; 127 when it is not found, 126 when it cannot be executed;
  2 for wrong flags or configuration; 1 when the namespaces or the network cannot be made, or the network breaks.";

const COMMAND: &str = "command";

/// The subcommand as clap knows it.
pub(super) fn command() -> Command {
    let mut command = Command::new("run")
        .about("Run a command in a network of its own")
        .long_about(
            "Runs COMMAND in a user namespace, a network namespace and a mount namespace of its own, with a network that \
             reaches what this host reaches. No privileges are needed.",
        )
        .override_usage("rnet run [OPTIONS] [--] [COMMAND]...")
        .after_help(EXAMPLES)
        .args_override_self(true);
    for option in RUN.iter().chain(NETWORK).chain([&CONFIG]) {
        command = command.arg(option.to_arg());
    }
    command.arg(
        Arg::new(COMMAND)
            .value_name("COMMAND")
            .help("The command and its arguments [default: $SHELL]")
            .value_parser(OsStringValueParser::new())
            .value_hint(ValueHint::CommandWithArguments)
            .action(ArgAction::Append)
            .num_args(0..)
            .trailing_var_arg(true),
    )
}

/// Judges what was typed.
pub(super) fn request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    const TABLES: &[&[Opt]] = &[NETWORK, RUN];
    let faults_here = &mut faults;
    let low = Low::gather(matches, TABLES, faults_here);
    let users = [("root", MapUser::Root), ("keep", MapUser::Keep)];
    let ids = [("auto", MapIds::Auto), ("all", MapIds::All), ("one", MapIds::One)];
    let log = network::log(&low, faults_here);
    let map_user = low.parse("map-user", faults_here, |text| value::word(text, &users)).unwrap_or_default();
    let map_ids = low.parse("map-ids", faults_here, |text| value::word(text, &ids)).unwrap_or_default();
    let control = network::control(&low, Control::Usual, faults_here);
    let copy_up = low.all("copy-up").iter().filter_map(|given| directory(given, faults_here)).collect();
    let command = matches.get_many(COMMAND).into_iter().flatten().cloned().collect();
    let run = network::network(&low, faults_here).map(|mut network| {
        let command = or_shell(command);
        network.dns.hostname = own_name();
        Request::Run(Box::new(Run {
            network,
            log,
            map_user,
            map_ids,
            control,
            copy_up,
            command,
            surroundings: Surroundings::default(),
        }))
    });
    faults.into_result(run)
}

/// A directory that something can be mounted on.
fn directory(given: &Given, faults: &mut Faults) -> Option<PathBuf> {
    let path = given.path();
    let fault = if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        "must be an absolute path without `..`".to_owned()
    } else if path.components().eq([Component::RootDir]) {
        "cannot be the root directory".to_owned()
    } else {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => return Some(path),
            Ok(_) => "is not a directory".to_owned(),
            Err(error) => format!("cannot be made writable: {error}"),
        }
    };
    faults.push(given.place(), fault);
    None
}

/// The container's name, which is the host's: it is in no other UTS namespace.
fn own_name() -> Option<Name> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    Name::parse(&name).ok().filter(|name| name.to_string() != "localhost")
}

fn or_shell(command: Vec<OsString>) -> Vec<OsString> {
    if !command.is_empty() {
        return command;
    }
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    vec![shell.unwrap_or_else(|| "/bin/sh".into())]
}
