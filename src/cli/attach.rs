//! `rnet attach`: a network for namespaces that an engine made.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::{ArgMatches, Command};

use crate::config::{Attach, Control, Manner, Presence, Target};
use crate::sys;

use super::faults::Faults;
use super::low::Low;
use super::options::{ATTACH, CONFIG, NETWORK, Opt};
use super::{Request, network, value};

const EXAMPLES: &str = "\
Examples:
  rnet attach --pid 4711                                     ready when it returns
  rnet attach --netns /run/netns/blue --foreground
  rnet attach --netns /proc/4711/ns/net --userns /proc/4711/ns/user --pid-file /run/user/1000/blue.pid
  rnet attach --pid 4711 -p 8080:80 -p 127.0.0.1:5353:53/udp
  rnet attach --pid 4711 --ready-fd 3 --exit-fd 4 --foreground 3>ready 4<alive

The container's /etc/resolv.conf is not touched: point it at the DNS addresses (10.0.2.3 and fd00::3 unless said otherwise).
It ends by itself when the namespace is gone, and upon SIGTERM, SIGINT or SIGHUP.

Exit codes: 0 when ready (with --foreground: at the end); 2 for wrong flags or configuration; 1 when something cannot be done,
in which case nothing is left behind.";

/// The subcommand as clap knows it.
pub(super) fn command() -> Command {
    let mut command = Command::new("attach")
        .about("Give a network to namespaces that exist")
        .long_about(
            "Makes a tap device in a network namespace that exists, and serves it from the background. The namespace and the \
             user namespace that owns it must be the caller's to enter.",
        )
        .override_usage("rnet attach [OPTIONS] (--pid PID | --netns PATH [--userns PATH])")
        .after_help(EXAMPLES)
        .args_override_self(true);
    for option in ATTACH.iter().chain(NETWORK).chain([&CONFIG]) {
        command = command.arg(option.to_arg());
    }
    command
}

/// Judges what was typed.
pub(super) fn request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    const TABLES: &[&[Opt]] = &[NETWORK, ATTACH];
    let faults_here = &mut faults;
    let low = Low::gather(matches, TABLES, faults_here);
    let log = network::log(&low, faults_here);
    let target = target(&low, faults_here);
    let presence = if low.switch("foreground", faults_here) { Presence::Foreground } else { Presence::Background };
    let ready_number = descriptor("ready-fd", &low, faults_here);
    let exit_number = descriptor("exit-fd", &low, faults_here);
    if ready_number.is_some() && ready_number == exit_number {
        faults_here.push("--ready-fd, --exit-fd", "must differ");
    }
    let pid_file = low.get("pid-file").map(|given| given.path());
    let control = network::control(&low, Control::Off, faults_here);
    let network = network::network(&low, faults_here);
    let (network, target) = faults.into_result(network.zip(target))?;
    let mut faults = Faults::default();
    let mut claim = |name: &str, number: Option<i32>| -> Option<OwnedFd> {
        let claimed = sys::claim_descriptor(number?);
        claimed.map_err(|error| faults.push(format!("--{name}"), format!("cannot be used: {error}"))).ok()
    };
    let ready_fd = claim("ready-fd", ready_number);
    let exit_fd = claim("exit-fd", exit_number);
    faults.into_result(Some(Request::Attach(Box::new(Attach {
        network,
        log,
        target,
        presence,
        ready_fd,
        exit_fd,
        pid_file: pid_file.map(|path| std::path::absolute(&path).unwrap_or(path)),
        leaves_pid_file: false,
        ends_with_path: false,
        control,
        manner: Manner::default(),
    }))))
}

fn target(low: &Low, faults: &mut Faults) -> Option<Target> {
    let netns = low.get("netns").map(|given| given.path());
    let userns = low.get("userns").map(|given| given.path());
    if let (Some(given), None) = (low.get("userns"), &netns) {
        faults.push(given.place(), "goes with --netns");
    }
    match (low.get("pid").is_some(), netns) {
        (true, Some(_)) => {
            faults.push("--pid, --netns", "exclude each other");
            None
        }
        (true, None) => {
            let pid = low.parse("pid", faults, |text| value::number(text, 1, i32::MAX as u64))?;
            Some(Target::Process(pid as i32))
        }
        (false, Some(netns)) => Some(Target::Files { netns: absolute(netns), userns: userns.map(absolute) }),
        (false, None) => {
            faults.push("attach", "--pid or --netns is needed: which namespace?");
            None
        }
    }
}

/// The process goes to `/` later on.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The number of a descriptor that is open.
fn descriptor(name: &str, low: &Low, faults: &mut Faults) -> Option<i32> {
    low.parse(name, faults, |text| {
        let number = value::number(text, 0, i32::MAX as u64)? as i32;
        if number <= 2 {
            return Err("must be 3 or more: standard streams are not for this".into());
        }
        if sys::is_open(number) { Ok(number) } else { Err("no such descriptor is open".into()) }
    })
}
