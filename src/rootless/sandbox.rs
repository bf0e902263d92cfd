//! Locks the stack's process up: no capabilities, an empty root, no other process in sight. Only the network stays the host's.

use std::fs;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{chdir, chroot, getegid, geteuid, pivot_root};

/// Any directory does to mount the empty root on: nobody else sees it.
const MOUNT_POINT: &str = "/proc";

/// A layer that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("lock up the network stack: {layer}: {}", cause.desc())]
pub struct Error {
    layer: &'static str,
    cause: Errno,
}

trait Layer<T> {
    fn layer(self, layer: &'static str) -> Result<T, Error>;
}

impl<T> Layer<T> for nix::Result<T> {
    fn layer(self, layer: &'static str) -> Result<T, Error> {
        self.map_err(|cause| Error { layer, cause })
    }
}

impl<T> Layer<T> for std::io::Result<T> {
    fn layer(self, layer: &'static str) -> Result<T, Error> {
        self.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))).layer(layer)
    }
}

impl<T> Layer<T> for Result<T, caps::errors::CapsError> {
    fn layer(self, layer: &'static str) -> Result<T, Error> {
        self.map_err(|_| Error { layer, cause: Errno::last() })
    }
}

/// The namespaces that the stack's process is to be made in. A root without CAP_SETFCAP cannot give a user namespace its
/// own id, and needs none to make the others.
pub fn namespaces() -> CloneFlags {
    let others =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWPID;
    let holds = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if geteuid().is_root() && !holds(Capability::CAP_SETFCAP) && holds(Capability::CAP_SYS_ADMIN) {
        others
    } else {
        others | CloneFlags::CLONE_NEWUSER
    }
}

/// Takes the caller's real ids along into the user namespace; the first thing that a process there does. `uid` and `gid`
/// are the effective ids before.
pub fn keep_ids(uid: u32, gid: u32) -> Result<(), Error> {
    if fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !map.trim().is_empty()) {
        return Ok(());
    }
    fs::write("/proc/self/setgroups", "deny").layer("deny setgroups")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).layer("map the own group")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).layer("map the own user")?;
    // A further user namespace would give every capability back. Where /proc/sys is read-only the door stays open.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    Ok(())
}

/// The effective ids of this process, to be kept.
pub fn own_ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Gives up everything but `kept`: the capabilities that are needed afterwards. Descriptors stay open; files can no longer be
/// opened. The mount namespace must be this process's own.
pub fn enter(kept: &[Capability]) -> Result<(), Error> {
    limits()?;
    empty_root()?;
    drop_capabilities(kept)?;
    prctl::set_no_new_privs().layer("no new privileges")?;
    prctl::set_dumpable(false).layer("not dumpable")
}

/// No core dumps, and as many descriptors as the caller may have.
fn limits() -> Result<(), Error> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).layer("read the descriptor limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).layer("raise the descriptor limit")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).layer("no core dumps")
}

/// An empty, read-only tmpfs in place of the host's files.
fn empty_root() -> Result<(), Error> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).layer("make mounts private")?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), MOUNT_POINT, Some("tmpfs"), flags, Some("size=4k,nr_inodes=1,mode=555"))
        .layer("mount an empty root")?;
    chdir(MOUNT_POINT).layer("enter the empty root")?;
    match pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH).layer("detach the host's root")?,
        // The root is an initramfs, or no mount point (chroot): cover it instead.
        Err(Errno::EINVAL) => {
            mount(Some("."), "/", none, MsFlags::MS_MOVE, none).layer("move the empty root")?;
            chroot(".").layer("change to the empty root")?;
        }
        Err(cause) => return Err(Error { layer: "change the root", cause }),
    }
    chdir("/").layer("enter the empty root")
}

fn drop_capabilities(kept: &[Capability]) -> Result<(), Error> {
    // Bounding first: dropping from it takes CAP_SETPCAP. Nothing is executed, so what is kept need not be in it.
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set).layer("drop capabilities")?;
    }
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept.iter().copied().collect()).layer("drop capabilities")?;
    }
    Ok(())
}
