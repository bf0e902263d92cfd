//! Every option once: its name, its short form, what it takes, its help. Flags, configuration-file keys, completions and
//! manual pages are made from this table.

use std::ffi::{OsStr, OsString};

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, ArgAction, Command, ValueHint};

/// An option of a front end.
pub(super) struct Opt {
    /// The long flag without its dashes, and the key in a configuration file.
    pub name: &'static str,
    /// The short flag.
    pub short: Option<char>,
    /// What it takes.
    pub takes: Takes,
    /// One line of help.
    pub help: &'static str,
    /// The heading that it stands under in `--help`.
    pub heading: &'static str,
}

/// What an option takes.
pub(super) enum Takes {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// One value.
    Value(&'static str),
    /// One value, and the option may be given again.
    Values(&'static str),
    /// A path.
    Path(&'static str, ValueHint),
    /// A path, and the option may be given again.
    Paths(&'static str, ValueHint),
    /// One of these words.
    Word(&'static [&'static str]),
}

const ADDRESSES: &str = "Addresses";
const DEVICE: &str = "Device";
const OUTBOUND: &str = "Outbound";
const INBOUND: &str = "Inbound";
const NAMES: &str = "Names";
const LIMITS: &str = "Limits";
const GENERAL: &str = "General";
const NAMESPACES: &str = "Namespaces";
const LIFE: &str = "Life";

const fn value(name: &'static str, word: &'static str, heading: &'static str, help: &'static str) -> Opt {
    Opt { name, short: None, takes: Takes::Value(word), help, heading }
}

const fn values(name: &'static str, word: &'static str, heading: &'static str, help: &'static str) -> Opt {
    Opt { name, short: None, takes: Takes::Values(word), help, heading }
}

const fn switch(name: &'static str, short: Option<char>, heading: &'static str, help: &'static str) -> Opt {
    Opt { name, short, takes: Takes::Switch, help, heading }
}

const fn path(name: &'static str, word: &'static str, heading: &'static str, help: &'static str) -> Opt {
    Opt { name, short: None, takes: Takes::Path(word, ValueHint::FilePath), help, heading }
}

/// The option that names the configuration file; it cannot stand in one.
pub(super) const CONFIG: Opt =
    path("config", "FILE", GENERAL, "Read options from a TOML file; keys are the long flags' names, flags win");

/// The options of every front end that makes a network.
pub(super) const NETWORK: &[Opt] = &[
    value("cidr", "SUBNET", ADDRESSES, "IPv4 subnet [default: 10.0.2.0/24]"),
    value("address", "IP", ADDRESSES, "The container's IPv4 address [default: the subnet's .100]"),
    value("gateway", "IP", ADDRESSES, "The IPv4 gateway: rnet itself [default: the subnet's .2]"),
    value("dns-address", "IP", ADDRESSES, "Where DNS is answered over IPv4 [default: the subnet's .3]"),
    value("cidr6", "SUBNET", ADDRESSES, "IPv6 subnet [default: fd00::/64]"),
    value("address6", "IP", ADDRESSES, "The container's IPv6 address [default: the subnet's ::100]"),
    value("gateway6", "IP", ADDRESSES, "The IPv6 gateway: rnet itself [default: the subnet's ::2]"),
    value("dns-address6", "IP", ADDRESSES, "Where DNS is answered over IPv6 [default: the subnet's ::3]"),
    switch("ipv4-only", Some('4'), ADDRESSES, "No IPv6"),
    switch("ipv6-only", Some('6'), ADDRESSES, "No IPv4"),
    value("ifname", "NAME", DEVICE, "Name of the tap device [default: tap0]"),
    value("mtu", "BYTES", DEVICE, "MTU, 1280 to 65520, or from 576 with --ipv4-only [default: 65520]"),
    value("mac", "ADDRESS", DEVICE, "Ethernet address of the tap device [default: chosen by the kernel]"),
    value(
        "busy-poll",
        "TIME",
        DEVICE,
        "Microseconds for which packets are looked for after the last one before sleeping, up to 100000, or auto: some 50 \
         while short messages go to and fro, and only with time that nobody else needs [default: auto]",
    ),
    value("threads", "N", DEVICE, "Threads that carry packets, 1 to 16, with a queue of the device each [default: 1]"),
    switch("host-loopback", None, OUTBOUND, "Let the gateway's address stand for the host's loopback"),
    value("outbound-addr", "IP", OUTBOUND, "Source address of the host's IPv4 sockets"),
    value("outbound-addr6", "IP", OUTBOUND, "Source address of the host's IPv6 sockets"),
    value("outbound-if", "NAME", OUTBOUND, "Host interface that sockets are bound to"),
    Opt {
        name: "publish",
        short: Some('p'),
        takes: Takes::Values("[ADDR:]PORT[-END][:CPORT[-END]][@CADDR][/PROTO]"),
        help: "Let the host's PORT lead to the container's CPORT [default: the same], for tcp or udp [default: tcp]; at ADDR \
               only, IPv6 in brackets [default: all addresses]; to CADDR of the container's [default: its first address]; may be given \
               again. `[ADDR:]auto[/PROTO]` opens what listens in \
               the container while it does, `~PORT[-END][/PROTO]` excludes ports from that",
        heading: INBOUND,
    },
    Opt {
        name: "loopback-source",
        short: None,
        takes: Takes::Word(&["gateway", "container"]),
        help: "Whom clients of published TCP ports on the host's loopback appear as [default: gateway]",
        heading: INBOUND,
    },
    Opt {
        name: "expose",
        short: None,
        takes: Takes::Values("[HOSTPORT:]PORT[-END][/PROTO]"),
        help: "Let PORT of the container's loopback lead to HOSTPORT of the host's [default: the same], for tcp or udp \
               [default: tcp]; may be given again",
        heading: OUTBOUND,
    },
    values(
        "dns",
        "SERVER",
        NAMES,
        "Name server that is asked: ADDR[#PORT], tls://HOST[:PORT][#NAME-or-ADDR], https://HOST[:PORT][/PATH][#NAME-or-ADDR]; may be \
         given again; `off` answers no queries at all [default: those of the host's resolv.conf, followed as it changes]",
    ),
    values("dns-for", "DOMAIN=SERVER", NAMES, "Ask SERVER about DOMAIN and what is below it; may be given again"),
    values(
        "dns-search",
        "DOMAIN",
        NAMES,
        "Domain in which short names are looked for, `.` for none; may be given again [default: those of the host's resolv.conf]",
    ),
    values(
        "dns-option",
        "OPTION",
        NAMES,
        "Option of resolv.conf(5), beside those of the host's; timeout, attempts, rotate and use-vc say how servers are asked too; \
         may be given again",
    ),
    values(
        "add-host",
        "NAME:ADDR",
        NAMES,
        "Name that leads to ADDR, or with `host-gateway` to the gateway; may be given again, also for one NAME",
    ),
    switch(
        "dns-rebind-protection",
        None,
        NAMES,
        "Hold answers back that lead to private addresses; those of servers of --dns-for may",
    ),
    value("dns-cache", "SIZE", NAMES, "Bytes of answers that are kept for their time; 0 for none [default: 1M]"),
    value(
        "dns-stale",
        "SECONDS",
        NAMES,
        "When no server answers, give an answer that has been out of date for no longer than this [default: 0]",
    ),
    value("max-dns-queries", "N", LIMITS, "DNS queries at once that wait for a server [default: 1024]"),
    value("max-tcp-flows", "N", LIMITS, "TCP flows at once [default: 16384]"),
    value("max-half-open", "N", LIMITS, "TCP flows still connecting at once [default: 1024]"),
    value("max-buffer", "SIZE", LIMITS, "Bytes of TCP buffers in all; K, M and G are understood [default: 768M]"),
    value("max-udp-mappings", "N", LIMITS, "UDP mappings at once [default: 4096]"),
    value("max-icmp-mappings", "N", LIMITS, "ICMP echo mappings at once [default: 256]"),
    Opt {
        name: "log-level",
        short: None,
        takes: Takes::Word(&["off", "error", "warn", "info", "debug", "trace"]),
        help: "What is logged [default: warn]",
        heading: GENERAL,
    },
    Opt {
        name: "log-format",
        short: None,
        takes: Takes::Word(&["text", "json"]),
        help: "The form of log lines [default: text]",
        heading: GENERAL,
    },
    path(
        "control",
        "PATH",
        GENERAL,
        "Listen at this Unix socket for changes while it runs (see rnet ports), or `none` [default: for `run` one that `rnet \
         list` finds, for `attach` none]",
    ),
    path("log-file", "FILE", GENERAL, "Append log lines to FILE instead of standard error"),
];

/// The further options of `rnet run`.
pub(super) const RUN: &[Opt] = &[
    Opt {
        name: "map-user",
        short: None,
        takes: Takes::Word(&["root", "keep"]),
        help: "Be uid 0 inside, or keep your own uid [default: root]",
        heading: NAMESPACES,
    },
    Opt {
        name: "map-ids",
        short: None,
        takes: Takes::Word(&["auto", "all", "one"]),
        help: "Which ids exist inside: all of /etc/subuid and /etc/subgid where possible (auto), all or fail, or only yours \
               [default: auto]",
        heading: NAMESPACES,
    },
    Opt {
        name: "copy-up",
        short: None,
        takes: Takes::Paths("DIR", ValueHint::DirPath),
        help: "Make DIR writable inside, the host's is not touched; may be given again",
        heading: NAMESPACES,
    },
];

/// The further options of `rnet attach`.
pub(super) const ATTACH: &[Opt] = &[
    value("pid", "PID", NAMESPACES, "Join the namespaces of this process"),
    path("netns", "PATH", NAMESPACES, "Join this network namespace"),
    path(
        "userns",
        "PATH",
        NAMESPACES,
        "With --netns: join this user namespace [default: the one that owns the network namespace]",
    ),
    switch("foreground", None, LIFE, "Stay in the foreground"),
    value("ready-fd", "N", LIFE, "Write `1` to this descriptor and close it when the network is ready"),
    value("exit-fd", "N", LIFE, "End on any event on this descriptor, such as the other end being closed"),
    path("pid-file", "FILE", LIFE, "Write the process id to FILE before readiness; removed at the end"),
];

impl Opt {
    /// The option as the command-line parser knows it.
    pub(super) fn to_arg(&self) -> Arg {
        let arg = Arg::new(self.name).long(self.name).help(self.help).help_heading(self.heading);
        let arg = match self.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        match self.takes {
            Takes::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL")
                .hide_possible_values(true)
                .value_parser(OsStringValueParser::new())
                .action(ArgAction::Set),
            Takes::Value(word) => arg.value_name(word).value_parser(OsStringValueParser::new()).action(ArgAction::Set),
            Takes::Values(word) => {
                arg.value_name(word).value_parser(OsStringValueParser::new()).action(ArgAction::Append)
            }
            Takes::Path(word, hint) => {
                arg.value_name(word).value_hint(hint).value_parser(OsStringValueParser::new()).action(ArgAction::Set)
            }
            Takes::Paths(word, hint) => {
                arg.value_name(word).value_hint(hint).value_parser(OsStringValueParser::new()).action(ArgAction::Append)
            }
            Takes::Word(words) => arg.value_name("WORD").value_parser(Words(words)).action(ArgAction::Set),
        }
    }
}

/// Lists the words for help and completions, but lets any pass: they are judged later, with everything else.
#[derive(Clone)]
struct Words(&'static [&'static str]);

impl TypedValueParser for Words {
    type Value = OsString;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|word| PossibleValue::new(*word))))
    }
}
