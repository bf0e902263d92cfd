//! `pasta`, or `rnet pasta`: a drop-in for pasta, with its command line, its words for what is wrong, and its exit codes.
//!
//! What was typed becomes the configuration that `rnet run` and `rnet attach` make too.

mod addresses;
mod forwards;
mod help;
mod low;
mod names;
mod options;
mod owner;
mod ports;
mod reference;
mod report;
mod target;
mod template;

use std::ffi::OsString;

use tracing::level_filters::LevelFilter;

use super::getopt::{self, Argument, Found, Order, Spec};
use super::{Refusal, Request};
use crate::config::{
    BusyPoll, Dns, Limits, Link, Log, LogFile, LogFormat, LoopbackSource, Network, Offers, Outbound, Setup, Splice,
    Transports,
};

use low::Low;
use options::{OPTIONS, Opt};
pub(super) use reference::command;

/// What the name that it is called by contains.
pub(super) const NAME: &str = "pasta";

/// A network by pasta's command line.
#[derive(Debug)]
pub(crate) struct Pasta {
    /// What is made.
    pub action: Action,
    /// The user and the group that the program becomes first of all.
    pub become_user: Option<(u32, u32)>,
    /// What is told before anything is done.
    pub notes: Vec<String>,
}

/// What is made.
#[derive(Debug)]
pub(crate) enum Action {
    /// Namespaces of its own with a command in them.
    Spawn(Box<crate::config::Run>),
    /// A network for namespaces that exist.
    Attach(Box<crate::config::Attach>),
}

/// Turns the arguments, the program's name first, into a request.
pub(super) fn parse(arguments: &[OsString]) -> Request {
    let program = arguments.first().map_or_else(|| NAME.into(), |name| name.display().to_string());
    let mut given = Vec::new();
    let mut rest = Vec::new();
    let specs: Vec<Spec> = OPTIONS.iter().map(spec).collect();
    // One after the other, as the peer reads them: who asks for help before a mistake gets it.
    for found in getopt::read(arguments.get(1..).unwrap_or_default(), &specs, Order::First) {
        match found {
            Found::Option("help", _) => return Request::Print(help::usage(&program)),
            Found::Option("version", _) => return Request::Print(help::version()),
            Found::Option(name, value) => given.push((name, value.unwrap_or_default())),
            Found::Operand(operand) => rest.push(operand),
            Found::Fault(fault) => return refuse(format!("{program}: {fault}\n{}", help::usage(&program))),
        }
    }
    match pasta(&Low(given), rest) {
        Ok(pasta) => Request::Pasta(Box::new(pasta)),
        Err(text) => refuse(format!("{text}\n")),
    }
}

fn spec(option: &Opt) -> Spec {
    let argument = if option.value.is_some() { Argument::Required } else { Argument::None };
    Spec { long: option.name, short: option.short, argument }
}

fn refuse(error: String) -> Request {
    Request::Refuse(Refusal { output: String::new(), error, code: 1 })
}

fn pasta(low: &Low, rest: Vec<OsString>) -> Result<Pasta, String> {
    refuse_foreign(low)?;
    let mut notes = Vec::new();
    let target = target::target(low, rest)?;
    let owner = owner::owner(low, &target, &mut notes)?;
    let is_up = low.has("config-net");
    for name in ["no-copy-routes", "no-copy-addrs"] {
        if low.has(name) {
            notes.push(format!("--{name} will be dropped soon"));
            if !is_up {
                return Err(format!("--{name} will be dropped soon\n--{name} needs --config-net"));
            }
        }
    }
    let addresses = addresses::addresses(low, &mut notes)?;
    let names = names::names(low, &addresses, &mut notes)?;
    let forwards = forwards::forwards(low, addresses.v4.is_some(), addresses.v6.is_some())?;
    let offers = Offers {
        dhcpv4: !low.has("no-dhcp"),
        dhcpv6: !low.has("no-dhcpv6"),
        ndp: !low.has("no-ndp"),
        // Who is configured needs no router to tell where it is.
        advertisements: !low.has("no-ra") && !is_up,
        mtu: addresses.mtu.is_some(),
    };
    let transports = Transports { tcp: !low.has("no-tcp"), udp: !low.has("no-udp"), icmp: !low.has("no-icmp") };
    let setup = if is_up { Setup::Copied(addresses.copied(low)) } else { Setup::Bare };
    let loopback_source =
        if low.has("host-lo-to-ns-lo") { LoopbackSource::Loopback } else { LoopbackSource::Container };
    if low.has("host-lo-to-ns-lo") && low.has("no-splice") {
        return Err("--host-lo-to-ns-lo is incompatible with --no-splice".into());
    }
    let log = log(low, &target, report::lines(low, &addresses, &names, &forwards))?;
    let network = Network {
        ifname: addresses.ifname.clone(),
        // What the device has when nobody sets it.
        mtu: addresses.mtu.unwrap_or(if is_up { 1500 } else { addresses::MTU_MAX }),
        mac: addresses.guest_mac,
        ipv4: addresses.v4.as_ref().map(|v4| v4.subnet(names.forward4)),
        ipv6: addresses.v6.as_ref().map(|v6| v6.subnet(names.forward6)),
        link: Link {
            mac: Some(addresses.mac),
            link_local: Some(addresses.link_local()),
            setup,
            mapping: Some(addresses.mapping(&names)),
            transports,
            offers,
            resolvers: names.resolvers.clone(),
            client_name: names.client_name.clone(),
            capture: low.path("pcap").map(|path| std::path::absolute(&path).unwrap_or(path)),
            splice: if low.has("no-splice") { Splice::Off } else { Splice::On },
            // rootlesskit makes it itself.
            found: true,
            ..Link::default()
        },
        host_loopback: false,
        outbound: outbound(low)?,
        dns: Dns { search: names.search.clone(), ..names.dns.clone() },
        publish: forwards.publish,
        auto: forwards.auto,
        expose: forwards.expose,
        auto_expose: forwards.auto_expose,
        loopback_source,
        limits: Limits::default(),
        threads: 1,
        busy_poll: BusyPoll::default(),
    };
    Ok(Pasta {
        action: target.action(low, network, log)?,
        become_user: owner,
        notes: if low.has("quiet") { Vec::new() } else { notes },
    })
}

/// Refuses the options that are passt's.
fn refuse_foreign(low: &Low) -> Result<(), String> {
    for name in ["no-dhcp-dns", "no-dhcp-search", "one-off", "repair-path", "migrate-exit", "migrate-no-linger"] {
        if low.has(name) {
            return Err(format!("--{name} is for passt mode only"));
        }
    }
    for (name, typed) in [
        ("socket", "-s"),
        ("socket-path", "--socket-path"),
        ("vhost-user", "--vhost-user"),
        ("print-capabilities", "--print-capabilities"),
    ] {
        if low.has(name) {
            return Err(format!("{typed} is for passt / vhost-user mode only"));
        }
    }
    if low.has("splice-only") {
        return Err("--splice-only is not supported by rnet: it needs its device".into());
    }
    Ok(())
}

fn outbound(low: &Low) -> Result<Outbound, String> {
    let wrong = |text: &str| format!("Invalid or redundant outbound address: {text}");
    let addresses = low.addresses("outbound", wrong)?;
    let interface = |name| -> Result<Option<String>, String> {
        let given = low.text(name, |text| format!("Invalid interface name: {text}"))?;
        given.map(|name| template::index_of(name).map(|_| name.to_owned())).transpose()
    };
    Ok(Outbound {
        ipv4: addresses.v4,
        ipv6: addresses.v6,
        interface: None,
        interface4: interface("outbound-if4")?,
        interface6: interface("outbound-if6")?,
        ..Outbound::default()
    })
}

/// What is told, and where.
fn log(low: &Low, target: &target::Target, report: Vec<String>) -> Result<Log, String> {
    /// Twice BUFSIZ of the C library.
    const LEAST: u64 = 16384;
    let wrong = |text: &str| format!("Invalid --log-size: {text}");
    let size = low.read("log-size", wrong, |text| text.parse::<u64>().ok().filter(|size| *size >= LEAST))?;
    let file = low.path("log-file");
    if let Some(path) = &file
        && let Err(error) = std::fs::File::options().append(true).create(true).open(path)
    {
        let cause = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        return Err(format!("Couldn't open log file {}: {}", path.display(), cause.desc()));
    }
    let is_spawned = matches!(target, target::Target::Spawn(_));
    let level = match low.last_of(["quiet", "debug"]) {
        _ if low.has("trace") => LevelFilter::TRACE,
        Some("debug") => LevelFilter::DEBUG,
        Some(_) => LevelFilter::WARN,
        None if is_spawned && file.is_none() => LevelFilter::WARN,
        None => LevelFilter::INFO,
    };
    let path = file.clone();
    Ok(Log {
        level,
        format: if file.is_some() { LogFormat::Timed } else { LogFormat::Bare },
        file: file.map(|path| std::path::absolute(&path).unwrap_or(path)),
        bounded: path.map(|_| LogFile {
            bytes: size.unwrap_or(1 << 20),
            header: format!(
                "pasta {}: {} ({})",
                help::short_version(),
                std::env::current_exe().unwrap_or_default().display(),
                std::process::id()
            ),
        }),
        preface: report,
    })
}
