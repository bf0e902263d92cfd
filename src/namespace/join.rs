//! Puts a tap device into namespaces that somebody else made, without keeping them alive.
//!
//! An open tap descriptor holds the network namespace in which /dev/net/tun was opened. So the device is made in a scratch
//! namespace and moved: when the target ends the kernel removes the device and the descriptor reports an error.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::config::{Network, Target};
use crate::sys::{self, Fork};
use crate::tap;

use super::channel::{Channel, Message};
use super::error::{Error, Step};
use super::link;

/// The namespaces, opened once: what their names mean later does not matter.
pub(super) struct Namespaces {
    netns: OwnedFd,
    /// `None` when it is the caller's own.
    userns: Option<OwnedFd>,
}

/// How the end of the target is noticed when the tap device has to keep it alive.
pub(super) struct Watch {
    path: PathBuf,
    /// Where paths mean nothing any more.
    held: Option<Held>,
    identity: (u64, u64),
}

/// What the target is looked for in: the directory that has its name, and /proc.
struct Held {
    directory: File,
    proc: File,
}

impl Namespaces {
    /// Opens what the target names; `None` where that is no namespace.
    pub(super) fn of(target: &Target) -> Result<Option<(Namespaces, Watch)>, Error> {
        match target {
            Target::Process(pid) => Namespaces::of_process(*pid).map(Some),
            Target::Files { netns, userns } => Namespaces::open(netns.clone(), userns.clone()).map(Some),
            Target::Device(_) | Target::Frames(_) => Ok(None),
        }
    }

    /// Opens those of a process.
    pub(super) fn of_process(pid: i32) -> Result<(Namespaces, Watch), Error> {
        Namespaces::open(format!("/proc/{pid}/ns/net").into(), None)
    }

    fn open(path: PathBuf, userns_path: Option<PathBuf>) -> Result<(Namespaces, Watch), Error> {
        let netns = open(&path, CloneFlags::CLONE_NEWNET)?;
        let metadata = netns.metadata().step(format!("look at {}", path.display()))?;
        let userns: OwnedFd = match &userns_path {
            Some(path) => open(path, CloneFlags::CLONE_NEWUSER)?.into(),
            None => sys::owning_user_namespace(&netns)
                .step_or(format!("find the user namespace that owns {}", path.display()), |errno| {
                    (errno == Errno::EPERM).then(|| "it belongs to an outer user namespace: run rnet there".into())
                })?,
        };
        if identity(&netns)? == identity(&open(Path::new("/proc/self/ns/net"), CloneFlags::CLONE_NEWNET)?)? {
            let path = path.display();
            return Err(Error::Reported(format!(
                "{path} is the network namespace that rnet itself is in: run it outside"
            )));
        }
        let own = identity(&open(Path::new("/proc/self/ns/user"), CloneFlags::CLONE_NEWUSER)?)?;
        let userns = Some(userns).filter(|userns| {
            let file = userns.try_clone().map(File::from);
            file.map_err(|_| ()).and_then(|file| identity(&file).map_err(|_| ())) != Ok(own)
        });
        let watch = Watch { path, held: None, identity: (metadata.dev(), metadata.ino()) };
        Ok((Namespaces { netns: netns.into(), userns }, watch))
    }

    /// The descriptors that it consists of.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(&self.netns).chain(&self.userns).map(AsFd::as_fd)
    }

    /// Makes them those of this process.
    pub(super) fn enter(&self) -> Result<(), Error> {
        self.enter_userns()?;
        self.enter_netns()
    }

    fn enter_userns(&self) -> Result<(), Error> {
        let Some(userns) = &self.userns else { return Ok(()) };
        setns(userns, CloneFlags::CLONE_NEWUSER).step_or("join the user namespace", |errno| match errno {
            Errno::EPERM => {
                Some("it must be made by the same user, or be inside the caller's; or run rnet as root".into())
            }
            Errno::EINVAL => Some("is it a user namespace?".into()),
            _ => None,
        })
    }

    fn enter_netns(&self) -> Result<(), Error> {
        setns(&self.netns, CloneFlags::CLONE_NEWNET).step_or("join the network namespace", |errno| match errno {
            Errno::EPERM => {
                Some("CAP_SYS_ADMIN is needed in the user namespace that owns it: is --userns the right one?".into())
            }
            Errno::EINVAL => Some("is it a network namespace?".into()),
            _ => None,
        })
    }
}

impl Watch {
    /// What names the target.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The inode of the network namespace.
    pub(super) fn inode(&self) -> u64 {
        self.identity.1
    }

    /// Whether the target has another meaning by now, or none.
    pub(super) fn is_gone(&self) -> bool {
        let now = match &self.held {
            None => std::fs::metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino())).ok(),
            Some(held) => self.path.file_name().and_then(|name| found(&held.directory, name)),
        };
        now != Some(self.identity)
    }

    /// Goes on looking when this process has another root.
    pub(super) fn hold(&mut self) -> Result<(), Error> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        // The directory of a process's namespaces may be passed through, but not read.
        let directory = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(parent);
        let directory = directory.step(format!("open {}", parent.display()))?;
        let proc = File::open("/proc").step("open /proc")?;
        self.held = Some(Held { directory, proc });
        Ok(())
    }
}

/// What a name in a directory stands for.
fn found(directory: &File, name: impl AsRef<Path>) -> Option<(u64, u64)> {
    let stat = fstatat(directory, name.as_ref(), AtFlags::empty()).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

impl Watch {
    /// Whether the target's network is still that of a process other than `agent`, as far as /proc lets that be seen.
    pub(super) fn has_processes(&self, agent: Option<Pid>) -> bool {
        let opened;
        let proc = match &self.held {
            Some(held) => &held.proc,
            None => match File::open("/proc") {
                Ok(proc) => {
                    opened = proc;
                    &opened
                }
                Err(_) => return false,
            },
        };
        let Ok(mut entries) = Dir::openat(proc, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else {
            return false;
        };
        let pids = entries.iter().flatten().filter_map(|entry| entry.file_name().to_str().ok()?.parse::<i32>().ok());
        pids.filter(|pid| agent != Some(Pid::from_raw(*pid)))
            .any(|pid| found(proc, format!("{pid}/ns/net")) == Some(self.identity))
    }
}

fn open(path: &Path, kind: CloneFlags) -> Result<File, Error> {
    let file = File::open(path).step_or(format!("open the namespace {}", path.display()), |errno| match errno {
        Errno::ENOENT => Some("does the process still exist?".into()),
        Errno::EACCES | Errno::EPERM => Some("it belongs to another user: run rnet as that user, or as root".into()),
        _ => None,
    })?;
    if sys::namespace_type(&file) == Ok(kind) {
        return Ok(file);
    }
    let kind = if kind == CloneFlags::CLONE_NEWNET { "network" } else { "user" };
    Err(Error::Reported(format!("{} is not a {kind} namespace", path.display())))
}

fn identity(file: &File) -> Result<(u64, u64), Error> {
    let metadata = file.metadata().step("look at a namespace")?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The process that enters the namespaces. Dropping it kills it.
pub(super) struct Joiner {
    pid: Pid,
    /// It tells `Tap`, with `Go` before it when the device keeps the namespace alive; or `Failed`.
    pub channel: Channel,
}

impl Joiner {
    /// Starts the process.
    pub(super) fn start(namespaces: Namespaces, network: &Network) -> Result<Joiner, Error> {
        let (ours, theirs) = Channel::pair().step("make a socket pair")?;
        match sys::fork_into(CloneFlags::empty()).step("start a process")? {
            Fork::Parent(pid) => Ok(Joiner { pid, channel: ours }),
            Fork::Child => {
                drop(ours);
                let joined = catch_unwind(AssertUnwindSafe(|| join(&theirs, &namespaces, network)));
                if let Ok(Err(error)) = joined {
                    let _ = theirs.send(&Message::Failed(error.to_string()));
                }
                sys::exit_now(0)
            }
        }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
    }
}

fn join(channel: &Channel, namespaces: &Namespaces, network: &Network) -> Result<(), Error> {
    let ifname = &network.ifname;
    // Root of the container's user namespace may trace what is in it, and from here on this process is, with the host's
    // files before it.
    prctl::set_dumpable(false).step("hide from the container")?;
    namespaces.enter_userns()?;
    if network.link.found {
        namespaces.enter_netns()?;
        if if_nametoindex(ifname.as_str()).is_ok() {
            channel.send(&Message::Go).step("report to the supervisor")?;
            let device = tap::find_or_make(ifname)?;
            link::configure(network)?;
            return channel.send(&Message::Tap(device)).step("hand over the tap device");
        }
    }
    let device = match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            let device = tap::open(ifname, network.threads)?;
            link::move_to(ifname, namespaces.netns.as_fd())?;
            namespaces.enter_netns()?;
            device
        }
        Err(errno @ (Errno::ENOSPC | Errno::EUSERS)) => {
            tracing::debug!(
                "no scratch network namespace ({}): the path of the target is watched instead",
                errno.desc()
            );
            namespaces.enter_netns()?;
            channel.send(&Message::Go).step("report to the supervisor")?;
            tap::open(ifname, network.threads)?
        }
        Err(errno) => {
            return Err(errno).step_or("make a scratch network namespace", |_| {
                Some("CAP_SYS_ADMIN is needed: run rnet as root of the container's user namespace, or outside it as its user".into())
            });
        }
    };
    link::configure(network)?;
    channel.send(&Message::Tap(device)).step("hand over the tap device")
}
