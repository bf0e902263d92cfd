//! `netavark`, or `rnet netavark`: the privileged backend's front end, with netavark's own command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use super::Request;
use crate::bridge::VERSION;
use crate::config::{DhcpProxy, Netavark, NetavarkCommand};

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

const PROXY: &str = "\
Examples:
  netavark dhcp-proxy --activity-timeout 0                         by hand
  systemctl enable --now netavark-dhcp-proxy.socket                by systemd, when it is needed

Leases are kept in DIR/nv-proxy.lease, and gone on with when the proxy is started again.
Environment: NETAVARK_PROXY_RUN_DIR_ENV (wins over --dir; also for setup and teardown), LISTEN_FDS.";

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
    let seconds = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("SECONDS")
            .help(help)
            .value_parser(value_parser!(u64))
            .default_value(default)
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
                "nftables, iptables, firewalld or none [default: nftables where the kernel has it; environment: NETAVARK_FW]",
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
        .subcommand(
            Command::new("firewalld-reload").about("Put the rules back each time that firewalld has been reloaded"),
        )
        .subcommand(
            Command::new("dhcp-proxy")
                .about("Get addresses of DHCP servers for containers, and keep them")
                .after_help(PROXY)
                .arg(path("dir", "DIR", "Keep the socket and the leases here [default: /run/podman]").short('d'))
                .arg(path("uds", "SOCKET", "Listen here, or in this directory [default: DIR/nv-proxy.sock]").short('u'))
                .arg(seconds("timeout", "8", "How long a server may take to grant an address").short('t'))
                .arg(
                    seconds("activity-timeout", "300", "End when there is nothing to do for so long; 0 for never")
                        .short('a'),
                ),
        )
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
        "dhcp-proxy" => {
            let path = |name| sub.get_one::<PathBuf>(name).cloned();
            let seconds = |name| Duration::from_secs(sub.get_one(name).copied().unwrap_or_default());
            NetavarkCommand::DhcpProxy(DhcpProxy {
                directory: path("dir"),
                socket: path("uds"),
                passed: passed(),
                patience: seconds("timeout"),
                idle: Some(seconds("activity-timeout")).filter(|time| !time.is_zero()),
            })
        }
        "firewalld-reload" => NetavarkCommand::FirewalldReload,
        _ => NetavarkCommand::Version,
    }
}

/// The sockets that a service manager has passed to this process (sd_listen_fds(3)).
fn passed() -> u32 {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let ours = number("LISTEN_PID").is_none_or(|pid| pid == std::process::id());
    number("LISTEN_FDS").filter(|_| ours).unwrap_or(0)
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
