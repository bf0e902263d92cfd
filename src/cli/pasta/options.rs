//! Every option of pasta's: its names, what it takes, one or more lines of help.

/// An option.
#[derive(Debug)]
pub(super) struct Opt {
    /// The long name.
    pub name: &'static str,
    /// The letter.
    pub short: Option<char>,
    /// What it takes, if anything.
    pub value: Option<&'static str>,
    /// Help; none for those that are only known to be told where they belong.
    pub help: &'static str,
}

const fn switch(name: &'static str, help: &'static str) -> Opt {
    Opt { name, short: None, value: None, help }
}

const fn short(name: &'static str, letter: char, help: &'static str) -> Opt {
    Opt { name, short: Some(letter), value: None, help }
}

const fn value(name: &'static str, word: &'static str, help: &'static str) -> Opt {
    Opt { name, short: None, value: Some(word), help }
}

const fn short_value(name: &'static str, letter: char, word: &'static str, help: &'static str) -> Opt {
    Opt { name, short: Some(letter), value: Some(word), help }
}

/// All of them, in the order in which help tells them.
pub(super) const OPTIONS: &[Opt] = &[
    short("debug", 'd', "Tell everything, on standard error"),
    switch("trace", "Tell still more; implies --debug"),
    value("stats", "SECONDS", "Accepted; `rnet stats` tells more at any time"),
    short("quiet", 'q', "Tell only what is wrong"),
    short("foreground", 'f', "Stay in the foreground"),
    short("stderr", 'e', "Accepted and without effect"),
    short_value("log-file", 'l', "PATH", "Log to this file"),
    value("log-size", "BYTES", "Most that the log file may hold; the oldest lines go\n[default: 1048576]"),
    value("runas", "UID|UID:GID|LOGIN|LOGIN:GROUP", "When started as root, be this user\n[default: nobody]"),
    short_value(
        "conf-path",
        'c',
        "PATH",
        "Listen at this socket for changes while it runs;\n`rnet ports` and the like speak to it",
    ),
    short("help", 'h', "Print this help"),
    switch("version", "Print the version"),
    short_value("ns-ifname", 'I', "NAME", "Name of the device in the namespace\n[default: that of the template]"),
    short_value("fd", 'F', "FD", "Refused: a guest's connected socket is for passt"),
    short_value("pcap", 'p', "FILE", "Write the frames of the device to FILE (pcap)"),
    short_value("pid", 'P', "FILE", "Write the process id to FILE when ready"),
    short_value("mtu", 'm', "MTU", "MTU of the device; 0 leaves it as it is\n[default: 65520]"),
    short_value(
        "address",
        'a',
        "ADDR[/PREFIXLEN]",
        "Address in the namespace, one for each family\n[default: those of the template]",
    ),
    short_value("netmask", 'n', "MASK", "IPv4 netmask, dotted or in bits\n[default: that of the host's address]"),
    short_value("mac-addr", 'M', "ADDR", "Ethernet address of everything outside\n[default: 9a:55:9a:55:9a:55]"),
    short_value(
        "gateway",
        'g',
        "ADDR",
        "Default gateway, one for each family\n[default: that of the template's default route]",
    ),
    short_value(
        "interface",
        'i',
        "NAME",
        "Template: the interface whose addresses and routes are copied\n[default: that of --outbound-if4 and --outbound-if6, else the one\nof the first default route]",
    ),
    short_value("outbound", 'o', "ADDR", "Source address of the host's sockets, one for each family"),
    value("outbound-if4", "NAME", "Interface that IPv4 sockets are bound to"),
    value("outbound-if6", "NAME", "Interface that IPv6 sockets are bound to"),
    short_value(
        "dns",
        'D',
        "ADDR",
        "Name server for --dhcp-dns; may be given again, `none` for none\n[default: those of the host's resolv.conf]",
    ),
    short_value(
        "search",
        'S',
        "LIST",
        "Search list for --dhcp-search, `none` for none\n[default: that of the host's resolv.conf]",
    ),
    short_value("hostname", 'H', "NAME", "Host name for DHCP clients"),
    value("fqdn", "NAME", "Fully qualified domain name for DHCP clients"),
    switch("dhcp-dns", "Hand name servers out by DHCP, DHCPv6 and NDP"),
    switch("dhcp-search", "Hand the search list out by DHCP, DHCPv6 and NDP"),
    switch("no-dhcp-dns", ""),
    switch("no-dhcp-search", ""),
    value(
        "map-host-loopback",
        "ADDR",
        "Let ADDR stand for the host's loopback, one for each family,\n`none` for none [default: the gateway]",
    ),
    value(
        "map-guest-addr",
        "ADDR",
        "Let ADDR stand for the host's address that the namespace has\ntoo, one for each family, `none` for none [default: none]",
    ),
    value("dns-forward", "ADDR", "Answer queries to ADDR, one for each family"),
    value(
        "dns-host",
        "ADDR",
        "Who is asked for --dns-forward, one for each family\n[default: the name servers of the host's resolv.conf]",
    ),
    switch("no-tcp", "No TCP"),
    switch("no-udp", "No UDP"),
    switch("no-icmp", "No ICMP and ICMPv6 echo"),
    switch("no-dhcp", "No DHCP server"),
    switch("no-ndp", "No neighbour discovery"),
    switch("no-dhcpv6", "No DHCPv6 server"),
    switch("no-ra", "No router advertisements"),
    switch("freebind", "Bind -t and -u to addresses that the host does not have (yet)"),
    switch("no-map-gw", "The gateway's address does not stand for the host"),
    switch("chroot-fallback", "Accepted: rnet does so by itself"),
    short("ipv4-only", '4', "No IPv6"),
    short("ipv6-only", '6', "No IPv4"),
    short_value(
        "tcp-ports",
        't',
        "SPEC",
        "Host TCP ports that lead into the namespace; may be given again.\n\
         SPEC is `none`, or [ADDR][%IFACE]/PORTS, or PORTS: a list of\n\
         P, P-P, P:Q, P-P:Q-Q, ~P, ~P-P (not these), `all` (all that are\n\
         not ephemeral), `auto` (those that something listens at inside)\n\
         [default: auto]",
    ),
    short_value("udp-ports", 'u', "SPEC", "The same for UDP [default: auto]"),
    short_value(
        "tcp-ns",
        'T',
        "SPEC",
        "TCP ports of the namespace's loopback that lead to the host's\n[default: auto]",
    ),
    short_value("udp-ns", 'U', "SPEC", "The same for UDP [default: auto]"),
    switch("host-lo-to-ns-lo", "Clients on the host's loopback arrive at the namespace's loopback"),
    value("userns", "PATH", "User namespace to join"),
    value("netns", "PATH|NAME", "Network namespace to join"),
    switch("netns-only", "Join no user namespace; implied by --netns without --userns"),
    switch("no-netns-quit", "Do not end when the path of the namespace goes"),
    switch("no-pidns", "Start the command in no PID namespace of its own"),
    switch("config-net", "Configure the device in the namespace"),
    switch("no-copy-routes", "Deprecated: with --config-net, only a default route"),
    switch("no-copy-addrs", "Deprecated: with --config-net, only one address"),
    value("ns-mac-addr", "ADDR", "Ethernet address of the device in the namespace"),
    switch("no-splice", "Connections from the host's loopback take the device too"),
    switch("splice-only", "No device: forward between the loopbacks alone"),
    // These are passt's, and its callers are told so.
    short("one-off", '1', ""),
    short_value("socket", 's', "PATH", ""),
    value("socket-path", "PATH", ""),
    switch("vhost-user", ""),
    switch("print-capabilities", ""),
    value("repair-path", "PATH", ""),
    switch("migrate-exit", ""),
    switch("migrate-no-linger", ""),
];
