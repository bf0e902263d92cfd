//! The system calls that no safe crate wraps, each behind a safe function.

pub mod datagrams;
pub mod link_layer;
pub mod messages;
pub mod netlink;
pub mod packets;
pub mod watched;

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::Pid;

/// On which side of a fork the caller finds itself.
#[derive(Debug)]
pub enum Fork {
    /// The old process; the new one has this id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks, with the child in new namespaces. Refused with EBUSY in a process that has several threads.
pub fn fork_into(namespaces: CloneFlags) -> nix::Result<Fork> {
    let tasks = std::fs::read_dir("/proc/self/task");
    let threads = tasks.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?.count();
    if threads != 1 {
        return Err(Errno::EBUSY);
    }
    let flags = namespaces.bits() | libc::SIGCHLD;
    // SAFETY: a clone without CLONE_VM and with a null stack is a fork; with a single thread no lock can be held by a
    // thread that the child does not have.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(if pid == 0 { Fork::Child } else { Fork::Parent(Pid::from_raw(pid as i32)) })
}

/// Whether a descriptor of this number is open.
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: the descriptor is only asked about; a closed number gives EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    number >= 0 && fcntl(fd, FcntlArg::F_GETFD).is_ok()
}

/// Takes over a descriptor that the caller of this program passed on: a close-on-exec copy, the original is closed.
pub fn claim_descriptor(number: RawFd) -> nix::Result<OwnedFd> {
    if !is_open(number) {
        return Err(Errno::EBADF);
    }
    // SAFETY: it was inherited, so nothing in this program owns it; the caller claims each number once, at start-up.
    let original = unsafe { OwnedFd::from_raw_fd(number) };
    let copy = fcntl(&original, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: fcntl has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Closes every descriptor from 3 on but `keep`. For a freshly forked process, which ends by [`exit_now`].
pub fn close_others(keep: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if first < fd {
            close_range(first, fd - 1)?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

fn close_range(first: u32, last: u32) -> nix::Result<()> {
    // SAFETY: called in a freshly forked process that goes on with the kept descriptors only and never drops another.
    match Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }) {
        Err(Errno::ENOSYS) => {
            let most = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?.1.min(1 << 20);
            for fd in u64::from(first)..=u64::from(last).min(most) {
                // SAFETY: as above.
                unsafe { libc::close(fd as i32) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Takes this process's lock on a whole file, or lets it go (fcntl(2), F_SETLKW). Other processes wait, forks included.
pub fn lock_record(file: impl AsFd, takes: bool) -> nix::Result<()> {
    // SAFETY: flock is plain data, for which zeroes are valid: from the beginning to the end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = if takes { libc::F_WRLCK } else { libc::F_UNLCK } as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    fcntl(file, FcntlArg::F_SETLKW(&lock)).map(drop)
}

/// Makes a standard stream (0, 1 or 2) a copy of `fd`.
pub fn redirect(fd: impl AsFd, stream: RawFd) -> nix::Result<()> {
    // SAFETY: both descriptors are open; the standard streams are owned by nobody.
    Errno::result(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), stream) }).map(drop)
}

/// Takes a copy of a mount and what is mounted below it, attached nowhere (open_tree(2)).
pub fn clone_mount(path: &Path) -> nix::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    // SAFETY: the path is a terminated string that outlives the call.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: the call has just made the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Attaches a copy made by [`clone_mount`] (move_mount(2)).
pub fn attach_mount(mount: impl AsFd, path: &Path) -> nix::Result<()> {
    /// linux/mount.h
    const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
    let path = c_path(path)?;
    let (from, empty) = (mount.as_fd().as_raw_fd(), c"");
    // SAFETY: both paths are terminated strings that outlive the call.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            empty.as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Makes one mount read-only, not those below it (mount_setattr(2)).
pub fn make_read_only(path: &Path) -> nix::Result<()> {
    let path = c_path(path)?;
    let attributes = libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a terminated string and the attributes a structure of the size given; both outlive the call.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// The user namespace that owns a namespace (ioctl_ns(2)).
pub fn owning_user_namespace(namespace: impl AsFd) -> nix::Result<OwnedFd> {
    // SAFETY: NS_GET_USERNS takes no argument.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), libc::NS_GET_USERNS) })?;
    // SAFETY: the ioctl has just made the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The kind of a namespace, as the flag that makes one (ioctl_ns(2)); ENOTTY for any other file.
pub fn namespace_type(namespace: impl AsFd) -> nix::Result<CloneFlags> {
    // SAFETY: NS_GET_NSTYPE takes no argument.
    let flag = Errno::result(unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), libc::NS_GET_NSTYPE) })?;
    Ok(CloneFlags::from_bits_retain(flag))
}

/// A descriptor that stands for a process and is readable when it has ended (pidfd_open(2)).
pub fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the call has just made the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Gives a signal its default action in this process.
pub fn default_action(signal: Signal) -> nix::Result<()> {
    // SAFETY: no handler of ours is installed.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }.map(drop)
}

/// Whether this process ignores a signal.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: sigaction is plain data, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; the call writes the present action to a structure that outlives it.
    let asked = unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Ends this process at once, without running anything of the parent's that a fork has copied.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

fn c_path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)
}
