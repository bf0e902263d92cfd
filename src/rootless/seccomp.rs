//! The system calls that a stack makes once it serves, and no others (seccomp(2)).
//!
//! Whoever takes the process over by a packet can open, execute, trace and mount nothing even where the kernel has a hole
//! behind one of those calls. A forbidden call answers ENOSYS, as on a kernel that does not have it.

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};
use tracing::warn;

/// Calls that are allowed whatever their arguments.
#[rustfmt::skip]
const ANY: &[libc::c_long] = &[
    // The tap device, sockets, pipes.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_close, libc::SYS_fcntl, libc::SYS_dup,
    libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_recvmmsg, libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg,
    libc::SYS_connect, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept4, libc::SYS_shutdown,
    libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_getsockname, libc::SYS_getpeername,
    libc::SYS_pipe2, libc::SYS_splice, libc::SYS_eventfd2,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    // The log file and a capture: open already.
    libc::SYS_lseek, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_ftruncate,
    // Memory.
    libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    // Threads and time.
    libc::SYS_futex, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_set_robust_list, libc::SYS_rseq,
    libc::SYS_exit, libc::SYS_exit_group, libc::SYS_restart_syscall, libc::SYS_gettid, libc::SYS_getpid,
    libc::SYS_rt_sigreturn, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigaction, libc::SYS_sigaltstack, libc::SYS_tgkill,
    libc::SYS_clock_gettime, libc::SYS_clock_nanosleep, libc::SYS_nanosleep, libc::SYS_getrandom, libc::SYS_getrlimit,
];

/// The older forms that this architecture has too.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time, libc::SYS_gettimeofday];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// A thread of this process in the namespaces of this process: with these flags, and without those.
const THREAD: u64 = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Forbids all threads of this process, and those that they will make, every other call. Where the kernel has no seccomp
/// filters the log says so.
pub fn confine() {
    let applied =
        filter().map_err(seccompiler::Error::from).and_then(|filter| seccompiler::apply_filter_all_threads(&filter));
    if let Err(error) = applied {
        warn!(%error, "system calls that the network stack does not need cannot be forbidden");
    }
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        ANY.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    let mut allow = |call, conditions| -> Result<(), seccompiler::BackendError> {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    };
    for domain in [libc::AF_INET, libc::AF_INET6] {
        allow(libc::SYS_socket, vec![SeccompCondition::new(0, Dword, Eq, domain as u64)?])?;
    }
    allow(libc::SYS_socketpair, vec![SeccompCondition::new(0, Dword, Eq, libc::AF_UNIX as u64)?])?;
    // What a socket or the device holds; never what would type at a terminal.
    for request in [libc::TIOCOUTQ, libc::FIONREAD, libc::FIONBIO] {
        allow(libc::SYS_ioctl, vec![SeccompCondition::new(1, Dword, Eq, request)?])?;
    }
    // No code but what was there at the start.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        allow(call, vec![SeccompCondition::new(2, Dword, MaskedEq(libc::PROT_EXEC as u64), 0)?])?;
    }
    let clone = SeccompCondition::new(0, Qword, MaskedEq(THREAD | NAMESPACES), THREAD)?;
    allow(libc::SYS_clone, vec![clone])?;
    // The C library reads its own limits to size the stacks of threads, and sets none.
    allow(libc::SYS_prlimit64, vec![SeccompCondition::new(2, Qword, Eq, 0)?])?;
    allow(libc::SYS_prctl, vec![SeccompCondition::new(0, Dword, Eq, libc::PR_SET_NAME as u64)?])?;
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::thread;

    use nix::errno::Errno;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::signal::kill;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use nix::unistd::{Pid, getpid};

    use super::*;

    /// Runs in a thread of its own that is confined; the test's others are not.
    fn confined(test: fn()) {
        let run = move || {
            seccompiler::apply_filter(&filter().unwrap()).unwrap();
            test();
        };
        thread::spawn(run).join().unwrap();
    }

    #[test]
    fn what_attacks_is_forbidden() {
        confined(|| {
            assert_eq!(File::open("/dev/null").unwrap_err().raw_os_error(), Some(libc::ENOSYS));
            assert_eq!(kill(getpid(), None), Err(Errno::ENOSYS));
            assert_eq!(kill(Pid::from_raw(1), None), Err(Errno::ENOSYS));
            assert_eq!(unshare(CloneFlags::CLONE_NEWUSER), Err(Errno::ENOSYS));
            for family in [AddressFamily::Unix, AddressFamily::Netlink, AddressFamily::Packet, AddressFamily::Alg] {
                let made = socket(family, SockType::Datagram, SockFlag::empty(), None);
                assert_eq!(made.map(|fd| fd.as_raw_fd()), Err(Errno::ENOSYS), "{family:?}");
            }
            // SAFETY: calls without pointers, which the filter refuses before they do anything.
            let typed = unsafe { libc::syscall(libc::SYS_ioctl, 0, libc::TIOCSTI, 0) };
            assert_eq!((typed, Errno::last()), (-1, Errno::ENOSYS));
            // SAFETY: as above.
            let code = unsafe {
                libc::syscall(
                    libc::SYS_mmap,
                    0,
                    4096,
                    libc::PROT_READ | libc::PROT_EXEC,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            assert_eq!((code, Errno::last()), (-1, Errno::ENOSYS));
            // SAFETY: as above.
            let forked = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
            assert_eq!((forked, Errno::last()), (-1, Errno::ENOSYS));
        });
    }

    #[test]
    fn what_serves_is_allowed() {
        confined(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let client = thread::Builder::new().name("client".into()).spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.write_all(&vec![1; 1 << 20]).unwrap();
            });
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            assert_eq!(stream.read_to_end(&mut all).unwrap(), 1 << 20);
            client.unwrap().join().unwrap();
            let udp = UdpSocket::bind("[::1]:0").unwrap();
            udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
            assert_eq!(udp.recv(&mut [0; 9]).unwrap(), 1);
            let mut events = mio::Events::with_capacity(1);
            mio::Poll::new().unwrap().poll(&mut events, Some(std::time::Duration::ZERO)).unwrap();
        });
    }
}
