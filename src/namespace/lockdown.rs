//! The supervisor gives up what it needs no more, where the caller asks for that: files, capabilities, system calls.
//!
//! It reads nothing of the container's; the processes that do are locked up harder, and always (`rootless/sandbox.rs`). This is
//! what slirp4netns calls `--enable-sandbox` and `--enable-seccomp`: engines ask for it, and some look for its traces.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use caps::{CapSet, Capability};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{chdir, pivot_root};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::config::Manner;
use crate::rootless::sandbox;
use crate::sys;

use super::error::{Error, Step};

/// Any directory does to mount the new root on: nobody else sees it.
const ROOT: &str = "/tmp";

/// What stays of the host's files: where /etc/resolv.conf is, or leads to.
const KEPT: [&str; 2] = ["etc", "run"];

/// Gives up what `manner` says. Processes that are forked later cannot make namespaces of their own.
pub(super) fn confine(manner: &Manner) -> Result<(), Error> {
    if manner.sandbox {
        own_mounts()?;
        small_root()?;
        drop_capabilities().step("drop capabilities")?;
    }
    if manner.sandbox || manner.seccomp {
        prctl::set_no_new_privs().step("no new privileges")?;
    }
    if manner.seccomp {
        let forbidden = || Error::Reported("forbid system calls: the kernel has no seccomp filters".into());
        let filter = filter().map_err(|_| forbidden())?;
        seccompiler::apply_filter(&filter).map_err(|_| forbidden())?;
    }
    Ok(())
}

/// A mount namespace, with a user namespace around it where that is needed to have one.
fn own_mounts() -> Result<(), Error> {
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false);
    let user = if may { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    let (uid, gid) = sandbox::own_ids();
    unshare(CloneFlags::CLONE_NEWNS | user).step("make a mount namespace")?;
    if !may {
        sandbox::keep_ids(uid, gid).map_err(|error| Error::Reported(error.to_string()))?;
    }
    Ok(())
}

/// Nothing but /etc and /run, read-only.
fn small_root() -> Result<(), Error> {
    let none = None::<&str>;
    // What the host mounts later is to be seen, and nothing of this by the host.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).step("make mounts one-way")?;
    let outside = outside_resolv_conf();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let source = outside.as_deref().map(File::open).and_then(Result::ok);
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), flags, Some("size=64k,nr_inodes=32,mode=755"))
        .step("mount a small root")?;
    for name in KEPT {
        let place = Path::new(ROOT).join(name);
        fs::create_dir(&place).step("fill the small root")?;
        let original = Path::new("/").join(name);
        mount(Some(&original), &place, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .step(format!("bind {}", original.display()))?;
        // Before Linux 5.12 it stays writable, which it is to nobody but root anyway.
        let _ = sys::make_read_only(&place);
    }
    if let (Some(path), Some(source)) = (&outside, source) {
        let place = Path::new(ROOT).join(path.strip_prefix("/").unwrap_or(path));
        let made = place.parent().map(fs::create_dir_all).transpose().and_then(|_| File::create(&place));
        made.step("fill the small root")?;
        let original = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&source));
        mount(Some(original.as_str()), &place, none, MsFlags::MS_BIND, none)
            .step(format!("bind {}", path.display()))?;
        let _ = sys::make_read_only(&place);
    }
    chdir(ROOT).step("enter the small root")?;
    pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("detach the host's root")?;
    chdir("/").step("enter the small root")?;
    let _ = sys::make_read_only(Path::new("/"));
    Ok(())
}

/// The file that /etc/resolv.conf is, where that is outside of what stays.
fn outside_resolv_conf() -> Option<std::path::PathBuf> {
    let path = fs::canonicalize("/etc/resolv.conf").ok()?;
    let stays = KEPT.iter().any(|name| path.starts_with(Path::new("/").join(name)));
    Some(path).filter(|_| !stays)
}

/// All but the one by which ports below 1024 are had.
fn drop_capabilities() -> std::io::Result<()> {
    let failed = |error: caps::errors::CapsError| std::io::Error::other(error.to_string());
    let kept: caps::CapsHashSet = caps::read(None, CapSet::Permitted)
        .map_err(failed)?
        .into_iter()
        .filter(|capability| *capability == Capability::CAP_NET_BIND_SERVICE)
        .collect();
    for capability in caps::runtime::thread_all_supported() {
        if capability != Capability::CAP_NET_BIND_SERVICE {
            caps::drop(None, CapSet::Bounding, capability).map_err(failed)?;
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::set(None, CapSet::Inheritable, &kept).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(failed)?;
    }
    Ok(())
}

/// What changes namespaces, mounts, the kernel or other processes: a supervisor that waits needs none of it.
#[rustfmt::skip]
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev,
    libc::SYS_process_madvise, libc::SYS_pidfd_getfd,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_open_tree, libc::SYS_move_mount,
    libc::SYS_mount_setattr, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_setns, libc::SYS_unshare, libc::SYS_prctl,
    libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load, libc::SYS_reboot, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
];

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules: BTreeMap<i64, _> = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, arch)?.try_into()
}
