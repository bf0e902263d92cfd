//! The process that answers queries for names: started by the supervisor when the first query comes, locked up, and started anew
//! should it ever end. A network that resolves no names never has it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::socket::MsgFlags;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};

use crate::config::{DnsService, Network, Presence, ResolvConf};
use crate::dns::{self, host_file};
use crate::log::LogFile;
use crate::rootless::{landlock, sandbox, seccomp};
use crate::sys::{self, Fork, packets};

use super::error::{Error, Step};
use super::hints;

/// A process that has lived for less has done nothing yet; after so many of those in a row there is none any more.
const SHORT_LIFE: Duration = Duration::from_secs(1);
const SHORT_LIVES_MAX: u32 = 5;

/// The name server, running or not. Dropping it ends the process.
pub(super) struct NameServer<'a> {
    network: &'a Network,
    log_file: &'a LogFile,
    presence: Presence,
    /// What a process needs; `None` when there is to be none.
    post: Option<Post>,
    process: Option<Process>,
    short_lives: u32,
}

/// The name server's ends of the lines on which queries come.
struct Post {
    lines: Vec<OwnedFd>,
    /// Readable as soon as one of them is.
    any: Epoll,
}

struct Process {
    pid: Pid,
    /// On it the process asks for the host's resolv.conf; it hangs up when the process ends.
    channel: OwnedFd,
    started: Instant,
}

impl<'a> NameServer<'a> {
    /// Lays a line for each queue of the network's device; gives the packet loops' ends.
    pub(super) fn prepare(
        network: &'a Network,
        log_file: &'a LogFile,
        presence: Presence,
    ) -> Result<(Vec<OwnedFd>, NameServer<'a>), Error> {
        let mut theirs = Vec::new();
        let mut post = None;
        if network.dns.service == DnsService::On {
            let any = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).step("make an epoll instance")?;
            let mut lines = Vec::new();
            for _ in 0..network.threads {
                let (ours, other) = packets::pair().step("make a socket pair")?;
                any.add(&ours, EpollEvent::new(EpollFlags::EPOLLIN, 0)).step("watch a socket pair")?;
                lines.push(ours);
                theirs.push(other);
            }
            post = Some(Post { lines, any });
        }
        Ok((theirs, NameServer { network, log_file, presence, post, process: None, short_lives: 0 }))
    }

    /// What is to be waited for: [`NameServer::act`] is called when it is readable.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.process {
            Some(process) => Some(process.channel.as_fd()),
            None => self.post.as_ref().map(|post| post.any.0.as_fd()),
        }
    }

    /// The process, while there is one.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Starts the process before there is a query: where it cannot be started later.
    pub(super) fn start_early(&mut self) {
        if self.process.is_none() && self.post.is_some() {
            self.start();
        }
    }

    /// Does what is due: starts the process, tells it what it asks for, notes its end.
    pub(super) fn act(&mut self) {
        let Some(process) = &self.process else { return self.start() };
        let mut request = [0; 16];
        match packets::receive(process.channel.as_fd(), &mut request, MsgFlags::MSG_DONTWAIT) {
            Ok((1.., _)) => {
                let reply = host_file::reply(ResolvConf::read_host());
                // It asks again when this is lost.
                let _ = packets::send(process.channel.as_fd(), &reply, &[], MsgFlags::MSG_DONTWAIT);
            }
            Err(Errno::EAGAIN) => {}
            _ => self.ended(),
        }
    }

    fn ended(&mut self) {
        let Some(process) = self.process.take() else { return };
        let was_short = process.started.elapsed() < SHORT_LIFE;
        let status = end(&process);
        self.short_lives = if was_short { self.short_lives + 1 } else { 0 };
        if self.short_lives < SHORT_LIVES_MAX {
            tracing::warn!("the name server has ended ({status}); the next query starts it anew");
        } else {
            tracing::error!("the name server ends as soon as it is started ({status}); there is none any more");
            self.post = None;
        }
    }

    fn start(&mut self) {
        match self.fork() {
            Ok(process) => self.process = process,
            Err(error) => {
                tracing::error!("{error}; there is no name server");
                self.post = None;
            }
        }
    }

    fn fork(&self) -> Result<Option<Process>, Error> {
        let Some(post) = &self.post else { return Ok(None) };
        let (ours, theirs) = packets::pair().step("make a socket pair")?;
        let ids = sandbox::own_ids();
        let fork = sys::fork_into(sandbox::namespaces());
        match fork.step_or("make the name server's namespaces", hints::user_namespace)? {
            Fork::Parent(pid) => Ok(Some(Process { pid, channel: ours, started: Instant::now() })),
            Fork::Child => {
                let served = catch_unwind(AssertUnwindSafe(|| self.serve(&post.lines, &theirs, ids)));
                let code = match served {
                    Ok(Ok(())) => 0,
                    Ok(Err(text)) => {
                        tracing::error!("{text}");
                        1
                    }
                    Err(_) => 101,
                };
                sys::exit_now(code)
            }
        }
    }

    /// The process's life.
    fn serve(&self, lines: &[OwnedFd], supervisor: &OwnedFd, (uid, gid): (u32, u32)) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| format!("start the name server: {error}");
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| format!("open /dev/null: {error}"))?;
        let mut keep = vec![supervisor.as_fd(), null.as_fd()];
        keep.extend(self.log_file.iter().map(|file| file.as_fd()));
        keep.extend(lines.iter().map(AsFd::as_fd));
        sys::close_others(&keep).map_err(|error| words(&error))?;
        setsid().map_err(|error| words(&error))?;
        SigSet::empty().thread_set_mask().map_err(|error| words(&error))?;
        let _ = prctl::set_name(c"rnet-dns");
        for stream in [0, 1] {
            sys::redirect(&null, stream).map_err(|error| words(&error))?;
        }
        if self.presence == Presence::Background {
            sys::redirect(&null, 2).map_err(|error| words(&error))?;
        }
        drop(null);
        // The last chance to read files.
        let prepared = dns::Prepared::new(self.network)?;
        sandbox::keep_ids(uid, gid).and_then(|()| sandbox::enter(&[])).map_err(|error| error.to_string())?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|error| words(&error));
        let lines = lines.iter().map(copy).collect::<Result<_, _>>()?;
        let supervisor = copy(supervisor)?;
        landlock::confine();
        seccomp::confine();
        dns::serve(prepared, lines, supervisor).map_err(|error| format!("the name server failed: {error}"))
    }
}

impl Drop for NameServer<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            end(&process);
        }
    }
}

/// Ends the process and says how it ended. It has nothing to bring to an end itself.
fn end(process: &Process) -> String {
    let _ = kill(process.pid, Signal::SIGKILL);
    loop {
        match waitpid(process.pid, None) {
            Err(Errno::EINTR) => {}
            Ok(status) => return format!("{status:?}"),
            Err(errno) => return errno.desc().into(),
        }
    }
}
