//! The command line: what was typed becomes a validated configuration, or one message with everything that is wrong.

mod attach;
mod containers;
mod control;
mod dns;
mod faults;
mod getopt;
mod low;
mod netavark;
mod network;
mod options;
mod parse;
mod pasta;
mod reference;
mod run;
mod slirp4netns;
mod subnet;
mod suggest;
mod value;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use crate::config::{Attach, ContainerNames, Netavark, Run};
use crate::control::commands;

pub(crate) use faults::Faults;
pub(crate) use pasta::{Action, Pasta};
pub(crate) use reference::{completions, man};

/// What rnet is asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    /// Run a command in namespaces of its own.
    Run(Box<Run>),
    /// Join namespaces that exist.
    Attach(Box<Attach>),
    /// Make container networks in the kernel.
    Netavark(Box<Netavark>),
    /// Answer with the names of containers.
    Names(Box<ContainerNames>),
    /// Ask networks that are running.
    Control(commands::Command),
    /// Print a completion script.
    Completions(Shell),
    /// Print the manual, or write its pages to a directory.
    Man(Option<PathBuf>),
    /// Make a network by pasta's command line.
    Pasta(Box<Pasta>),
    /// Print this text (`--help`, `--version`).
    Print(String),
    /// Refuse, as another program does.
    Refuse(Refusal),
}

/// What another program says when it refuses its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For standard output.
    pub output: String,
    /// For standard error.
    pub error: String,
    /// The exit code.
    pub code: u8,
}

const ABOUT: &str = "A network for containers, without root";

const LONG_ABOUT: &str = "Gives containers a network without root: a user-mode TCP/IP stack stands between a tap device in \
    the container's namespace and ordinary sockets on the host.";

const EXAMPLES: &str = "\
Examples:
  rnet run -- curl http://example.com/        a command in a network of its own
  rnet run                                    a shell there
  rnet attach --pid 4711                      a network for a container that exists
  rnet list                                   your networks that are running
  rnet ports add --pid 4711 8080:80           publish a port while it runs
  rnet completions bash >~/.local/share/bash-completion/completions/rnet
  rnet man ~/.local/share/man/man1

Exit codes: 2 for wrong flags or configuration, 1 when something cannot be done;
`rnet run` otherwise exits as its command does (see rnet run --help).";

/// Turns the arguments, program name first, into a request.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Faults> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(parse) = args.first().and_then(|arg| called(Path::new(arg).file_name()?)) {
        return Ok(parse(&args));
    }
    if let Some((_, parse)) = PROGRAMS.iter().find(|(name, _)| args.get(1).is_some_and(|arg| arg == name)) {
        return Ok(parse(&args[1..]));
    }
    parse::parse(args)
}

/// Who reads the command line of a program.
type Parse = fn(&[OsString]) -> Request;

/// The programs in whose place rnet is, by their names, as subcommands too.
const PROGRAMS: [(&str, Parse); 4] = [
    (netavark::NAME, netavark::parse),
    (containers::AARDVARK, containers::parse_aardvark),
    (pasta::NAME, pasta::parse),
    (slirp4netns::NAME, slirp4netns::parse),
];

/// Who is meant by the name of the file that was started. Callers of pasta and slirp4netns may have several of them, as
/// `slirp4netns-1.3`.
fn called(name: &OsStr) -> Option<Parse> {
    let name = name.to_string_lossy();
    let is_meant = |program: &str| {
        name == program || ([pasta::NAME, slirp4netns::NAME].contains(&program) && name.contains(program))
    };
    PROGRAMS.iter().find(|(program, _)| is_meant(program)).map(|(_, parse)| *parse)
}

/// The whole command line as clap knows it.
fn command() -> Command {
    Command::new("rnet")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(run::command())
        .subcommand(attach::command())
        .subcommand(netavark::command())
        .subcommand(containers::aardvark_command())
        .subcommand(containers::dns_command())
        .subcommand(slirp4netns::command())
        .subcommand(pasta::command())
        .subcommand(control::list_command())
        .subcommand(control::ports_command())
        .subcommand(control::stats_command())
        .subcommand(control::flows_command())
        .subcommand(reference::completions_command())
        .subcommand(reference::man_command())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(args: &[&str]) -> String {
        parse(args.iter().map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let told = faults(&[
            "rnet",
            "run",
            "--foo",
            "--mtu",
            "1",
            "--bar=1",
            "--cidr",
            "x",
            "--map-ids",
            "some",
            "--",
            "true",
        ]);
        for place in ["--foo", "--bar", "--mtu 1", "--cidr x", "--map-ids some"] {
            assert!(told.contains(place), "{place} is missing in: {told}");
        }
    }

    #[test]
    fn an_unknown_flag_takes_its_value_with_it() {
        let told = faults(&["rnet", "run", "--foo", "5", "--mut", "1500", "--", "true"]);
        assert!(told.contains("--foo") && told.contains("--mut") && told.contains("--mtu"), "{told}");
    }

    #[test]
    fn flags_after_the_command_are_the_commands() {
        match parse(["rnet", "run", "curl", "-s", "--mtu"].map(OsString::from)) {
            Ok(Request::Run(run)) => assert_eq!(run.command, ["curl", "-s", "--mtu"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_has_the_same_names_and_flags_win() {
        let file = std::env::temp_dir().join(format!("rnet-config-test-{}.toml", std::process::id()));
        std::fs::write(&file, "mtu = 1500\nipv6-only = true\nmap-user = \"keep\"\n").unwrap();
        let path = file.to_str().unwrap();
        match parse(["rnet", "run", "--config", path, "--mtu=9000", "-4", "true"].map(OsString::from)) {
            Ok(Request::Run(run)) => {
                assert_eq!(run.network.mtu, 9000);
                assert!(run.network.ipv4.is_some() && run.network.ipv6.is_none());
                assert_eq!(run.map_user, crate::config::MapUser::Keep);
            }
            other => panic!("{other:?}"),
        }
        std::fs::write(&file, "mut = 1500\nmtu = [1]\nhost-loopback = 3\n").unwrap();
        let told = faults(&["rnet", "run", "--config", path]);
        std::fs::remove_file(&file).unwrap();
        for place in [": mut", "is mtu meant?", ": mtu", ": host-loopback"] {
            assert!(told.contains(place), "{place} is missing in: {told}");
        }
    }

    #[test]
    fn ipv6_needs_its_mtu() {
        assert!(faults(&["rnet", "run", "--mtu", "1000"]).contains("--ipv4-only"));
        assert!(parse(["rnet", "run", "-4", "--mtu", "1000"].map(OsString::from)).is_ok());
    }

    #[test]
    fn a_target_is_needed_and_only_one() {
        assert!(faults(&["rnet", "attach"]).contains("--pid"));
        assert!(faults(&["rnet", "attach", "--pid", "1", "--netns", "/proc/1/ns/net"]).contains("exclude"));
        assert!(faults(&["rnet", "attach", "--pid", "1", "--userns", "/x", "--ready-fd", "977"]).contains("977"));
    }
}
