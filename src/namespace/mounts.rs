//! What the command sees of the host's files: all, but for its own resolv.conf and the directories that it may write.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::config::{DnsService, Network, ResolvConf, Run};
use crate::sys;

use super::copy_up::copy_up;
use super::error::{Error, Step};

const ETC: &str = "/etc";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Arranges the caller's mount namespace, which must be its own. Nothing of it is seen outside or left behind.
pub(super) fn arrange(run: &Run) -> Result<(), Error> {
    let network = &run.network;
    let none = None::<&str>;
    // Mounts that the host makes later still arrive; ours do not leave.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).step("keep mounts from leaving the namespace")?;
    let existing = fs::canonicalize(RESOLV_CONF).ok().filter(|path| path.is_file());
    let mut etc_is_ours = false;
    if run.surroundings.own_processes {
        own_proc();
    }
    for directory in &run.copy_up {
        copy_up(directory)?;
        etc_is_ours |= directory == Path::new(ETC);
    }
    if network.dns.service == DnsService::Off || run.surroundings.is_bare {
        // Whoever is asked then is asked by the container itself.
        return Ok(());
    }
    let text = resolv_conf(network);
    match existing {
        Some(_) if etc_is_ours => replace(&text),
        Some(_) => {
            fs::canonicalize(RESOLV_CONF).step(format!("find {RESOLV_CONF}")).and_then(|path| cover(&path, &text))
        }
        None => {
            if !etc_is_ours {
                copy_up(Path::new(ETC))?;
            }
            replace(&text)
        }
    }
}

/// Shows the command its own processes. Where a part of /proc is hidden, as in containers, the kernel lets nobody mount another;
/// the command then sees the processes outside.
fn own_proc() {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if let Err(errno) = mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>) {
        tracing::warn!("the command sees the processes of the host: mount /proc: {}", errno.desc());
    }
}

fn resolv_conf(network: &Network) -> String {
    let servers = [
        network.ipv4.and_then(|subnet| subnet.dns).map(IpAddr::V4),
        network.ipv6.and_then(|subnet| subnet.dns).map(IpAddr::V6),
    ];
    ResolvConf::of_host().adapted(&network.dns).with_nameservers(&servers.into_iter().flatten().collect::<Vec<_>>())
}

/// Writes the file anew, in a directory that is ours.
fn replace(text: &str) -> Result<(), Error> {
    if fs::symlink_metadata(RESOLV_CONF).is_ok() {
        fs::remove_file(RESOLV_CONF).step(format!("replace {RESOLV_CONF}"))?;
    }
    fs::write(RESOLV_CONF, text).step(format!("write {RESOLV_CONF}"))
}

/// Mounts a file with this text over the file at `path`. It lives on a tmpfs that is mounted nowhere else.
fn cover(path: &Path, text: &str) -> Result<(), Error> {
    let operation = || format!("cover {} with the container's", path.display());
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some("mode=755,size=1m")).step(operation())?;
    let file = fs::write(path, text).step(operation()).and_then(|()| sys::clone_mount(path).step(operation()));
    umount2(directory, MntFlags::MNT_DETACH).step(operation())?;
    sys::attach_mount(file?, path).step(operation())
}
