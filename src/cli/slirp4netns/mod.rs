//! The command line of slirp4netns: rnet by that name, or `rnet slirp4netns …`, does what its callers expect of that program.

mod judge;
mod options;
mod value;

use std::ffi::OsString;

use super::{Refusal, Request, getopt};

use judge::Wishes;
pub(super) use options::command;
use options::{HELP, OPTIONS, version};

/// The program's name.
pub(super) const NAME: &str = "slirp4netns";

/// What is wrong, as this program tells it.
#[derive(Debug, Default)]
struct Complaints {
    /// One line each, for standard error.
    lines: Vec<String>,
    /// Whether the usage is told as well.
    usage: bool,
}

impl Complaints {
    /// Somebody does not know how this is used.
    fn usage(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
        self.usage = true;
    }

    /// A value is wrong.
    fn value(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && !self.usage
    }

    /// Code 1, whatever it is; the usage goes to standard output.
    fn into_refusal(self) -> Refusal {
        let text = self.lines.iter().map(|line| format!("{line}\n")).collect();
        Refusal { output: if self.usage { HELP.into() } else { String::new() }, error: text, code: 1 }
    }
}

/// Turns the arguments, program name first, into a request.
pub(super) fn parse(args: &[OsString]) -> Request {
    let mut wishes = Wishes::default();
    let mut complaints = Complaints::default();
    for found in getopt::read(args.get(1..).unwrap_or_default(), OPTIONS, getopt::Order::Any) {
        match found {
            getopt::Found::Option("help", _) => return Request::Print(HELP.into()),
            getopt::Found::Option("version", _) => return Request::Print(version()),
            getopt::Found::Option(name, value) => wishes.option(name, value.unwrap_or_default(), &mut complaints),
            getopt::Found::Operand(operand) => wishes.operands.push(operand),
            getopt::Found::Fault(fault) => complaints.usage(format!("{NAME}: {fault}")),
        }
    }
    match wishes.request(&mut complaints) {
        Some(attach) if complaints.is_empty() => Request::Attach(Box::new(attach)),
        _ => Request::Refuse(complaints.into_refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Attach, Control, DnsService, Setup, Target};

    fn parsed(line: &str) -> Request {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&args)
    }

    fn attach(line: &str) -> Attach {
        match parsed(line) {
            Request::Attach(attach) => *attach,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refused(line: &str) -> Refusal {
        match parsed(line) {
            Request::Refuse(refusal) => refusal,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_podman_says_is_understood() {
        let attach = attach(
            "slirp4netns --disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp --cidr=10.9.0.0/24 \
             --enable-ipv6 -c --api-socket /tmp/x.net --netns-type=path /proc/self/ns/net tap0",
        );
        let network = &attach.network;
        assert_eq!((network.ifname.as_str(), network.mtu, network.host_loopback), ("tap0", 65520, false));
        assert_eq!(network.ipv4.unwrap().address.to_string(), "10.9.0.100");
        assert_eq!(network.ipv6.unwrap().address.to_string(), "fd00::100");
        assert_eq!((&network.link.setup, network.dns.service), (&Setup::Subnets, DnsService::On));
        assert_eq!(attach.control, Control::HostForwards("/tmp/x.net".into()));
        assert!(attach.manner.sandbox && attach.manner.seccomp);
        assert!(matches!(&attach.target, Target::Files { userns: None, .. }));
    }

    #[test]
    fn what_rootlesskit_says_is_understood() {
        let attach = attach("slirp4netns --mtu 1500 4711 tap0");
        assert_eq!((&attach.network.link.setup, attach.network.mtu), (&Setup::Bare, 1500));
        assert!(attach.network.host_loopback && attach.network.ipv6.is_none());
        assert!(matches!(attach.target, Target::Process(4711)));
        assert_eq!(attach.network.link.lease.unwrap().to_string(), "10.0.2.15");
    }

    #[test]
    fn callers_find_their_words() {
        let Request::Print(help) = parsed("slirp4netns --help") else { panic!() };
        for word in [
            "disable-host-loopback",
            "mtu",
            "enable-sandbox",
            "enable-seccomp",
            "cidr",
            "outbound-addr",
            "enable-ipv6",
            "api-socket",
            "netns-type",
        ] {
            let is_there = |line: &str| {
                line.split(|c: char| !c.is_alphanumeric() && c != '-').any(|found| found == format!("--{word}"))
            };
            assert!(help.lines().any(is_there), "{word}");
        }
        let Request::Print(version) = parsed("slirp4netns -v") else { panic!() };
        assert!(version.starts_with("slirp4netns version 1.") && version.contains("\nSLIRP_CONFIG_VERSION_MAX: 5\n"));
    }

    #[test]
    fn refusals_are_as_the_original_has_them() {
        for (line, error, has_usage) in [
            ("slirp4netns", "", true),
            ("slirp4netns 1", "", true),
            ("slirp4netns --foo 1 t", "slirp4netns: unrecognized option '--foo'\n", true),
            ("slirp4netns -m 0 1 t", "MTU must be a positive integer (< 65522)\n", true),
            ("slirp4netns --cidr x 1 t", "invalid CIDR: x\n", false),
            ("slirp4netns -c abc tap0", "PID must be a positive integer\n", true),
            ("slirp4netns -e x 1 t", "exit-fd must be a non-negative integer\n", true),
            (
                "slirp4netns --macaddress 02:11:22:33:44:55 1 t",
                "--macaddr cannot be specified when --configure or -c is not specified\n",
                true,
            ),
            ("slirp4netns --target-type=foo 1 t", "--target-type must be either \"netns\" or \"bess\"\n", true),
            ("slirp4netns --target-type=bess -c /tmp/x", "--configure conflicts with --target-type=bess\n", true),
            ("slirp4netns --userns-path /nope 1 t", "userns path doesn't exist: /nope\n", true),
        ] {
            let refusal = refused(line);
            assert_eq!(
                (refusal.error.as_str(), !refusal.output.is_empty(), refusal.code),
                (error, has_usage, 1),
                "{line}"
            );
        }
        let all = refused("slirp4netns -m 0 --cidr x --bar 1 t").error;
        assert!(all.contains("MTU") && all.contains("CIDR") && all.contains("--bar"), "every fault is told: {all}");
    }
}
