//! Starting processes in other namespaces.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::{Account, Side};

/// The namespaces that a process is started in.
pub struct Namespaces {
    pid: File,
    mnt: Option<File>,
    ipc: File,
    uts: File,
    pub net: File,
}

impl Namespaces {
    /// Those of a running process.
    pub fn of(pid: u32) -> Namespaces {
        let open = |kind| File::open(format!("/proc/{pid}/ns/{kind}")).unwrap();
        Namespaces { pid: open("pid"), mnt: Some(open("mnt")), ipc: open("ipc"), uts: open("uts"), net: open("net") }
    }

    /// The same network, the bed's processes, and the files of the test itself.
    pub fn only_network(&self) -> Namespaces {
        Namespaces { mnt: None, ..self.with_network(&self.net) }
    }

    /// The same but for the network.
    pub fn with_network(&self, net: &File) -> Namespaces {
        let copy = |file: &File| file.try_clone().unwrap();
        Namespaces {
            pid: copy(&self.pid),
            mnt: self.mnt.as_ref().map(copy),
            ipc: copy(&self.ipc),
            uts: copy(&self.uts),
            net: copy(net),
        }
    }

    /// Starts a command in here, in a session of its own, with the rights of `account`.
    /// If its standard input is a terminal, that becomes the session's.
    pub fn spawn(&self, mut command: Command, account: Option<&Account>) -> Child {
        let mut joins: Vec<BorrowedFd<'_>> = vec![self.ipc.as_fd(), self.uts.as_fd(), self.net.as_fd()];
        joins.extend(self.mnt.as_ref().map(AsFd::as_fd));
        let joins: Vec<i32> = joins.iter().map(AsRawFd::as_raw_fd).collect();
        let ids = account.map(|a| (a.uid, a.gid, a.home.clone()));
        let prepare = move || {
            nix::unistd::setsid()?;
            // cargo's job server and the like are not for the bed.
            // SAFETY: changes flags of descriptors of the new process only.
            unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
            // SAFETY: fails harmlessly where descriptor 0 is no terminal.
            unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
            for &fd in &joins {
                // SAFETY: the descriptors belong to `self`, which outlives the call of `spawn`.
                setns(unsafe { BorrowedFd::borrow_raw(fd) }, CloneFlags::empty())?;
            }
            if let Some((uid, gid, home)) = &ids {
                nix::unistd::chdir(home.as_str())?;
                setgroups(&[])?;
                setgid(Gid::from_raw(*gid))?;
                setuid(Uid::from_raw(*uid))?;
            }
            Ok(())
        };
        // SAFETY: `prepare` makes system calls only; what it captured was allocated before the fork.
        unsafe { command.pre_exec(prepare) };
        // The PID namespace of children belongs to a thread: one for this purpose, thrown away.
        thread::scope(|scope| {
            let spawner = scope.spawn(|| -> io::Result<Child> {
                setns(&self.pid, CloneFlags::CLONE_NEWPID)?;
                command.spawn()
            });
            spawner.join().unwrap()
        })
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"))
    }
}

/// Starts the first process of a bed in new namespaces.
pub fn spawn_init(command: &mut Command) -> Child {
    let flags =
        CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    // SAFETY: the closure makes one system call.
    unsafe { command.pre_exec(move || Ok(unshare(flags)?)) };
    thread::scope(|scope| {
        let spawner = scope.spawn(|| -> io::Result<Child> {
            unshare(CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        });
        spawner.join().unwrap().unwrap_or_else(|e| panic!("make the bed's namespaces: {e}"))
    })
}

/// A new network namespace that nobody lives in.
pub fn new_network() -> File {
    thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap()
    })
    .join()
    .unwrap()
}

/// A path by which another process of this machine can open one of the test's descriptors.
pub fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Both sides of a bed.
pub struct Ground {
    pub host: Namespaces,
    pub world: File,
}

impl Ground {
    /// Starts a command on one side, with the rights of `account`.
    pub fn spawn(&self, side: Side, command: Command, account: &Account) -> Child {
        match side {
            Side::Host => self.host.spawn(command, Some(account)),
            Side::World => self.host.with_network(&self.world).spawn(command, Some(account)),
        }
    }

    /// What runs and what is connected, for the report of a failure.
    pub fn diagnostics(&self) -> String {
        let look = |side, script: &str| {
            let mut command = Command::new("timeout");
            command.args(["5", "sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::null());
            let child = self.spawn(side, command, &super::account("root"));
            child.wait_with_output().map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default()
        };
        let processes = look(Side::Host, "ps -eo pid,ppid,user,stat,wchan:24,args --forest -ww | cut -c1-180");
        let host = look(Side::Host, "ss -tuanpH | head -n 30");
        let world = look(Side::World, "ss -tuanpH | head -n 40");
        format!("--- processes\n{processes}\n--- sockets of the host\n{host}\n--- sockets of the world\n{world}")
    }
}
