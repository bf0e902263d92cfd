//! The options of slirp4netns, and what it says of itself. Callers look for words in both.

use clap::{Arg, ArgAction, Command};

use crate::cli::getopt::{Argument, Spec};

const fn switch(long: &'static str, short: Option<char>) -> Spec {
    Spec { long, short, argument: Argument::None }
}

const fn value(long: &'static str, short: Option<char>) -> Spec {
    Spec { long, short, argument: Argument::Required }
}

/// All options, the two old names of others included.
pub(super) const OPTIONS: &[Spec] = &[
    switch("configure", Some('c')),
    value("exit-fd", Some('e')),
    value("ready-fd", Some('r')),
    value("mtu", Some('m')),
    value("cidr", None),
    switch("disable-host-loopback", None),
    switch("no-host-loopback", None),
    value("netns-type", None),
    value("userns-path", None),
    value("api-socket", Some('a')),
    switch("enable-ipv6", Some('6')),
    switch("enable-sandbox", None),
    switch("create-sandbox", None),
    switch("enable-seccomp", None),
    value("outbound-addr", None),
    value("outbound-addr6", None),
    switch("disable-dns", None),
    value("macaddress", None),
    value("target-type", None),
    switch("help", Some('h')),
    switch("version", Some('v')),
];

/// `--help`.
pub(super) const HELP: &str = "\
Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]
User-mode networking for unprivileged network namespaces, by rnet.

-c, --configure          bring up the interface
-e, --exit-fd=FD         specify the FD for terminating slirp4netns
-r, --ready-fd=FD        specify the FD to write to when the network is configured
-m, --mtu=MTU            specify MTU (default=1500, max=65521)
-6, --enable-ipv6        enable IPv6
-a, --api-socket=PATH    specify API socket path
--cidr=CIDR              specify network address CIDR (default=10.0.2.0/24)
--disable-host-loopback  prohibit connecting to 127.0.0.1:* on the host namespace
--netns-type=TYPE        specify network namespace type ([path|pid|tapfd], default=pid)
--userns-path=PATH       specify user namespace path
--enable-sandbox         keep nothing but /etc and /run, and no capability but CAP_NET_BIND_SERVICE
--enable-seccomp         forbid system calls that are not needed
--outbound-addr=IPv4     sets outbound ipv4 address (or interface) to bind to
--outbound-addr6=IPv6    sets outbound ipv6 address (or interface) to bind to
--disable-dns            disables 10.0.2.3 (or configured internal ip) to host dns redirect
--macaddress=MAC         specify the MAC address of the TAP (only valid with -c)
--target-type=TYPE       specify the target type ([netns|bess], default=netns)
-h, --help               show this help and exit
-v, --version            show version and exit

The process that talks to the container is always locked up, whatever is said.
";

/// The release of slirp4netns whose command line this is. Callers compare it with releases that they know.
const RELEASE: &str = "1.3.2";

/// `--version`, in lines that callers parse.
pub(super) fn version() -> String {
    format!(
        "slirp4netns version {RELEASE}\ncommit: rnet {}\nlibslirp: none\nSLIRP_CONFIG_VERSION_MAX: 5\nlibseccomp: none\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The command line as clap knows it, for completions and the manual.
pub(in crate::cli) fn command() -> Command {
    let about = "Give namespaces a network, with slirp4netns's command line";
    let command = Command::new(super::NAME).about(about).after_help(EXAMPLES).arg(
        Arg::new("target").value_name("PID|PATH|FD").help("The namespace, or what --netns-type and --target-type say"),
    );
    let command = command.arg(Arg::new("tapname").value_name("TAPNAME").help("The device's name"));
    // clap brings help and version along; the old names of others are for old callers.
    let own = |spec: &&Spec| !["help", "version", "no-host-loopback", "create-sandbox"].contains(&spec.long);
    command.args(OPTIONS.iter().filter(own).map(|spec| {
        let arg = Arg::new(spec.long).long(spec.long).short(spec.short).help(help_of(spec.long));
        match spec.argument {
            Argument::None => arg.action(ArgAction::SetTrue),
            Argument::Required => arg.value_name("VALUE"),
        }
    }))
}

/// What stands behind an option in `--help`.
fn help_of(long: &str) -> &'static str {
    let named = |line: &&str| line.split([' ', ',', '=']).any(|word| word.strip_prefix("--") == Some(long));
    HELP.lines().find(named).and_then(|line| line.get(25..)).unwrap_or_default().trim()
}

const EXAMPLES: &str = "\
Examples:
  ln -s $(command -v rnet) ~/bin/slirp4netns             then engines find it by that name
  rnet slirp4netns --configure --mtu=65520 --disable-host-loopback 4711 tap0
  rnet slirp4netns -c -r 3 -e 4 --api-socket /run/user/1000/s.sock --netns-type=path /run/user/1000/netns/blue tap0

It stays in the foreground until it is ended, its exit descriptor has an event, or the namespace is gone.
Exit codes: 0 at the end, 1 when something is wrong.";
