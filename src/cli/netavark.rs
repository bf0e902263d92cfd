//! `netavark`, or `rnet netavark`: the privileged backend's front end, with netavark's own command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use super::Request;
use crate::bridge::VERSION;
use crate::config::{Netavark, NetavarkCommand};

/// The name that it is called by.
pub(super) const NAME: &str = "netavark";

const AARDVARK: &str = "/usr/libexec/podman/aardvark-dns";

const EXAMPLES: &str = "\
Examples:
  netavark --config /run/containers/networks setup /run/netns/blue <options.json
  netavark --config /run/containers/networks teardown /run/netns/blue <options.json
  netavark firewall-reload          put rules back that somebody has flushed

Environment: NETAVARK_FW (as --firewall-driver), NETAVARK_DNS_PORT, RUST_LOG (netavark=debug).
Exit codes: 1 with {\"error\":\"…\"} on standard output when something fails, 2 for wrong options.";

/// The command line as clap knows it.
pub(super) fn command() -> Command {
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::AnyPath)
    };
    let netns = || {
        Arg::new("netns")
            .value_name("NETNS")
            .help("Path of the container's network namespace")
            .required(true)
            .value_parser(OsStringValueParser::new())
            .value_hint(ValueHint::FilePath)
    };
    Command::new(NAME)
        .version(VERSION)
        .about("Make container networks in the kernel, as podman's netavark does")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(path("file", "FILE", "Read the options from this file and not from standard input").short('f'))
        .arg(
            Arg::new("firewall-driver").long("firewall-driver").value_name("NAME").help(
                "nftables, iptables or none [default: nftables where the kernel has it; environment: NETAVARK_FW]",
            ),
        )
        .arg(path("config", "DIR", "Keep state here").short('c'))
        .arg(
            Arg::new("rootless")
                .long("rootless")
                .short('r')
                .value_name("BOOL")
                .value_parser(value_parser!(bool))
                .default_value("false")
                .help("Whether a user runs it: no state for the firewall, no files in /run/sysctl.d"),
        )
        .arg(
            path(
                "aardvark-binary",
                "FILE",
                "The container name server; where it is not installed, this program is one",
            )
            .short('a')
            // podman gives an empty one where it finds none.
            .value_parser(OsStringValueParser::new().map(PathBuf::from))
            .default_value(AARDVARK),
        )
        .arg(path("plugin-directory", "DIR", "Look for plugins here").action(ArgAction::Append))
        .subcommand(Command::new("setup").about("Give a container its networks").arg(netns()))
        .subcommand(Command::new("teardown").about("Take a container's networks away").arg(netns()))
        .subcommand(
            Command::new("update")
                .about("Give a network other name servers")
                .arg(
                    Arg::new("network")
                        .value_name("NETWORK")
                        .required(true)
                        .value_parser(NonEmptyStringValueParser::new()),
                )
                .arg(
                    Arg::new("servers")
                        .long("network-dns-servers")
                        .value_name("SERVERS")
                        .required(true)
                        .action(ArgAction::Append)
                        .help("Addresses, separated by commas; an empty text for none"),
                ),
        )
        .subcommand(Command::new("create").about("Judge and complete a network's configuration"))
        .subcommand(Command::new("firewall-reload").about("Put the firewall's rules back as they should be"))
        .subcommand(Command::new("version").about("Tell the version as JSON"))
}

/// Turns the arguments, of which the first is the name, into a request. Wrong ones are told on standard error, and the process ends
/// with code 2, as netavark's does.
pub(super) fn parse(args: &[OsString]) -> Request {
    let matches = command().try_get_matches_from(args).unwrap_or_else(|error| error.exit());
    let (name, sub) = matches
        .subcommand()
        .unwrap_or_else(|| command().error(clap::error::ErrorKind::MissingSubcommand, "what is to be done?").exit());
    Request::Netavark(Box::new(request(&matches, to_command(name, sub))))
}

fn to_command(name: &str, sub: &ArgMatches) -> NetavarkCommand {
    let netns = || sub.get_one::<OsString>("netns").cloned().unwrap_or_default().into();
    match name {
        "setup" => NetavarkCommand::Setup(netns()),
        "teardown" => NetavarkCommand::Teardown(netns()),
        "update" => NetavarkCommand::Update {
            network: sub.get_one::<String>("network").cloned().unwrap_or_default(),
            servers: sub.get_many::<String>("servers").into_iter().flatten().cloned().collect(),
        },
        "create" => NetavarkCommand::Create,
        "firewall-reload" => NetavarkCommand::FirewallReload,
        _ => NetavarkCommand::Version,
    }
}

fn request(matches: &ArgMatches, command: NetavarkCommand) -> Netavark {
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let environment = |name| std::env::var_os(name);
    let text = |name| environment(name).map(|value| value.to_string_lossy().into_owned());
    Netavark {
        file: path("file"),
        firewall_driver: matches.get_one::<String>("firewall-driver").cloned().or_else(|| text("NETAVARK_FW")),
        config: path("config"),
        rootless: matches.get_one("rootless").copied().unwrap_or(false),
        aardvark_binary: path("aardvark-binary").unwrap_or_default(),
        plugin_directories: matches.get_many::<PathBuf>("plugin-directory").into_iter().flatten().cloned().collect(),
        dns_port: environment("NETAVARK_DNS_PORT"),
        log: text("RUST_LOG"),
        command,
    }
}
