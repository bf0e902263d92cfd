//! The name server of container networks: `aardvark-dns`, with its own command line, and `rnet dns serve` for people.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use tracing::level_filters::LevelFilter;

use super::faults::Faults;
use super::{Request, value};
use crate::config::dns::Name;
use crate::config::{ContainerNames, Forwarding, Presence, Services};

/// The name that it is called by.
pub(super) const AARDVARK: &str = "aardvark-dns";

/// The version of aardvark-dns that it does the work of.
const VERSION: &str = "2.0.0";

const SEARCH: &str = "dns.podman";
const PORT: u16 = 53;

const AARDVARK_EXAMPLES: &str = "\
Example:
  aardvark-dns --config /run/containers/networks/aardvark-dns -p 53 run

Environment: RUST_LOG (error, warn, info, debug or trace; to syslog), AARDVARK_NO_PROXY (forward nothing),
RNET_DNS_SERVICES (SRV records of published ports).
Signals: SIGHUP reads what has changed, SIGTERM ends. It ends by itself when no network is left.";

const SERVE_EXAMPLES: &str = "\
Examples:
  rnet dns serve --config /run/containers/networks/aardvark-dns
  rnet dns serve --config ./names --port 5533 --log-level debug
  rnet dns serve --config ./names --background && kill -HUP $(cat ./names/aardvark.pid)

DIR has a file for each network, named after it, or NAME%int where nothing is forwarded:
  10.89.0.1,fd00:89::1 1.1.1.1                            where it listens; whom it asks, or else the host's servers
  4f5e 10.89.0.2 fd00:89::2 web,www                       a container: id, addresses, names
  9a31 10.89.0.3  db 9.9.9.9                              with servers of its own
SIGHUP makes it read what has changed. It ends when no network is left.

Exit codes: 2 for wrong flags, 1 when it cannot start.";

/// `aardvark-dns` as clap knows it.
pub(super) fn aardvark_command() -> Command {
    Command::new(AARDVARK)
        .version(VERSION)
        .about("Answer with the names of containers, as podman's aardvark-dns does")
        .after_help(AARDVARK_EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(directory().short('c').help("Path to configuration directory").default_value("/dev/stdin"))
        .arg(
            Arg::new("port")
                .short('p')
                .long("port")
                .value_name("PORT")
                .value_parser(value_parser!(u16))
                .default_value("5533")
                .help("Host port for aardvark servers"),
        )
        .arg(
            Arg::new("filter-search-domain")
                .short('f')
                .long("filter-search-domain")
                .value_name("SUFFIX")
                .help("The domain that all names are also in [default: .dns.podman]"),
        )
        .subcommand(Command::new("run").about("Run the server with the given configuration directory"))
        .subcommand(Command::new("version").about("Tell the version as JSON"))
}

/// `rnet dns` as clap knows it.
pub(super) fn dns_command() -> Command {
    let serve = Command::new("serve")
        .about("Answer with the names of containers on bridge networks")
        .after_help(SERVE_EXAMPLES)
        .arg(directory().short('c').required(true).help("Where the networks' files are"))
        .arg(Arg::new("port").short('p').long("port").value_name("PORT").help("Listen at this port [default: 53]"))
        .arg(
            Arg::new("search-domain")
                .long("search-domain")
                .value_name("DOMAIN")
                .help("The domain that all names are also in [default: dns.podman]"),
        )
        .arg(switch("no-forward", "There are no other names: nothing is forwarded"))
        .arg(switch("services", "Tell published ports as services: SRV records such as _http._tcp.web"))
        .arg(switch("background", "Return when it serves; log to syslog"))
        .arg(
            Arg::new("log-level")
                .long("log-level")
                .value_name("LEVEL")
                .help("off, error, warn, info, debug or trace [default: info]"),
        );
    Command::new("dns").about("Serve names").subcommand_required(true).arg_required_else_help(true).subcommand(serve)
}

fn directory() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Turns aardvark-dns' arguments, of which the first is the name, into a request. Wrong ones are told on standard error, and the
/// process ends with code 2, as aardvark-dns' does.
pub(super) fn parse_aardvark(args: &[OsString]) -> Request {
    let matches = aardvark_command().try_get_matches_from(args).unwrap_or_else(|error| error.exit());
    if matches.subcommand_name() == Some("version") {
        return Request::Print(version());
    }
    let suffix = matches.get_one::<String>("filter-search-domain").map_or(SEARCH, String::as_str);
    let search = domain(suffix).unwrap_or_else(|text| {
        let text = format!("--filter-search-domain {suffix}: {text}");
        aardvark_command().error(clap::error::ErrorKind::ValueValidation, text).exit()
    });
    let is_set = |name: &str| std::env::var_os(name).is_some();
    Request::Names(Box::new(ContainerNames {
        directory: absolute(&matches),
        port: matches.get_one("port").copied().unwrap_or(PORT),
        search,
        forwarding: if is_set("AARDVARK_NO_PROXY") { Forwarding::Off } else { Forwarding::On },
        services: if is_set("RNET_DNS_SERVICES") { Services::On } else { Services::Off },
        presence: Presence::Background,
        level: level_of_environment(),
    }))
}

/// Turns what was typed behind `rnet dns` into a request.
pub(super) fn request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    let Some(("serve", matches)) = matches.subcommand() else {
        faults.push("dns", "what is to be done? serve; see rnet dns serve --help");
        return Err(faults);
    };
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let mut judge = |name: &str, judged: Result<(), String>| {
        if let Err(message) = judged {
            faults.push(format!("--{name} {}", text(name).unwrap_or_default()), message);
        }
    };
    let mut port = PORT;
    if let Some(given) = text("port") {
        judge("port", value::number(given, 1, u64::from(u16::MAX)).map(|number: u64| port = number as u16));
    }
    let mut search = None;
    judge("search-domain", domain(text("search-domain").unwrap_or(SEARCH)).map(|name| search = Some(name)));
    let mut level = LevelFilter::INFO;
    if let Some(given) = text("log-level") {
        let parsed = given.parse().map_err(|_| "must be off, error, warn, info, debug or trace".to_owned());
        judge("log-level", parsed.map(|parsed| level = parsed));
    }
    let is_set = |name| matches.get_flag(name);
    let names = search.map(|search| {
        Request::Names(Box::new(ContainerNames {
            directory: absolute(matches),
            port,
            search,
            forwarding: if is_set("no-forward") { Forwarding::Off } else { Forwarding::On },
            services: if is_set("services") { Services::On } else { Services::Off },
            presence: if is_set("background") { Presence::Background } else { Presence::Foreground },
            level,
        }))
    });
    faults.into_result(names)
}

/// The directory as it is called from anywhere: the server does not stay where it was started.
fn absolute(matches: &ArgMatches) -> PathBuf {
    let given = matches.get_one::<PathBuf>("config").cloned().unwrap_or_default();
    std::path::absolute(&given).unwrap_or(given)
}

/// A search domain as it is written, with or without the dot before it.
fn domain(text: &str) -> Result<Name, String> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    if bare.is_empty() {
        return Err("is no domain".into());
    }
    Name::parse(bare).map_err(|error| error.to_string())
}

fn version() -> String {
    let version = serde_json::json!({
        "version": VERSION,
        "commit": option_env!("RNET_COMMIT").unwrap_or_default(),
        "build_time": option_env!("RNET_BUILD_TIME").unwrap_or_default(),
        "target": option_env!("RNET_TARGET").unwrap_or_default(),
    });
    serde_json::to_string_pretty(&version).unwrap_or_default() + "\n"
}

fn level_of_environment() -> LevelFilter {
    let Some(text) = std::env::var_os("RUST_LOG") else { return LevelFilter::INFO };
    text.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "RUST_LOG={}: not a level; info is used", text.display());
        LevelFilter::INFO
    })
}
