//! What gets the network: a command in namespaces of its own, or namespaces that exist.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::{
    Attach, Control, Log, Manner, MapIds, MapUser, Network, Presence, Run, Surroundings, Target as Namespaces,
};
use crate::sys;

use super::Action;
use super::low::Low;

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// What gets the network.
#[derive(Debug)]
pub(super) enum Target {
    /// A command; an empty one is a shell.
    Spawn(Vec<OsString>),
    /// Namespaces.
    Attach(Namespaces),
}

/// Tells a command from a process id, and both from `--netns`.
pub(super) fn target(low: &Low, rest: Vec<OsString>) -> Result<Target, String> {
    let userns = low.path("userns").map(absolute);
    let pid = match rest.as_slice() {
        [word] => word.to_str().filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())),
        _ => None,
    };
    if let Some(netns) = low.value("netns") {
        if !rest.is_empty() {
            return Err("Both --netns and PID or command given".into());
        }
        let has_slash = netns.as_encoded_bytes().contains(&b'/');
        let path = if has_slash { PathBuf::from(netns) } else { PathBuf::from(NAMES).join(netns) };
        let userns = userns.filter(|_| !low.has("netns-only"));
        return Ok(Target::Attach(Namespaces::Files { netns: absolute(path), userns }));
    }
    match pid {
        Some(pid) => {
            let pid: i32 = pid.parse().ok().filter(|pid| *pid > 0).ok_or_else(|| format!("Invalid PID {pid}"))?;
            Ok(Target::Attach(match userns {
                Some(userns) if !low.has("netns-only") => {
                    Namespaces::Files { netns: format!("/proc/{pid}/ns/net").into(), userns: Some(userns) }
                }
                _ => Namespaces::Process(pid),
            }))
        }
        None if userns.is_some() => Err("--userns requires --netns or PID".into()),
        None if low.has("no-pidns") || !low.has("netns-only") => Ok(Target::Spawn(rest)),
        None => Err("--netns-only requires --netns or PID".into()),
    }
}

impl Target {
    /// The whole order.
    pub(super) fn action(self, low: &Low, network: Network, log: Log) -> Result<Action, String> {
        let pid_file = low.path("pid").map(absolute);
        if let Some(path) = &pid_file {
            // It is written when all is ready; that it can be is found out before anything is done.
            std::fs::File::options().write(true).create(true).truncate(true).open(path).map_err(|error| {
                let cause = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
                format!("Couldn't open PID file {}: {}", path.display(), cause.desc())
            })?;
        }
        let control = low.path("conf-path").map_or(Control::Off, |path| Control::At(absolute(path)));
        let exit_fd = exit_descriptor(low)?;
        Ok(match self {
            Target::Spawn(command) => {
                let login_shell = command.is_empty();
                let shell =
                    || std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
                Action::Spawn(Box::new(Run {
                    log,
                    map_user: MapUser::Root,
                    map_ids: MapIds::One,
                    control,
                    copy_up: Vec::new(),
                    command: if login_shell { vec![shell()] } else { command },
                    surroundings: Surroundings {
                        own_processes: !low.has("no-pidns"),
                        host_name: Some(network.link.client_name.host.clone().unwrap_or_else(host_name)),
                        is_bare: true,
                        login_shell,
                        pid_file,
                    },
                    network,
                }))
            }
            Target::Attach(target) => Action::Attach(Box::new(Attach {
                network,
                log,
                target,
                presence: if low.has("foreground") { Presence::Foreground } else { Presence::Background },
                ready_fd: None,
                exit_fd,
                pid_file,
                leaves_pid_file: true,
                ends_with_path: !low.has("no-netns-quit"),
                control,
                manner: Manner::default(),
            })),
        })
    }
}

/// The descriptor whose end is the network's.
fn exit_descriptor(low: &Low) -> Result<Option<std::os::fd::OwnedFd>, String> {
    let wrong = |text: &str| format!("Invalid --fd: {text}");
    let number = low.read("fd", wrong, |text| text.parse::<i32>().ok().filter(|number| *number > 2))?;
    let claim = |number| {
        sys::claim_descriptor(number).map_err(|errno| format!("Could not move --fd descriptor: {}", errno.desc()))
    };
    number.map(claim).transpose()
}

/// What a host that pasta makes is called.
fn host_name() -> String {
    /// HOST_NAME_MAX of Linux.
    const LONGEST: usize = 64;
    let own = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let mut name = format!("pasta-{own}");
    name.truncate(LONGEST);
    name
}

/// The process goes to `/` later on.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
