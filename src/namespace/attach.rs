//! `rnet attach`: a network for namespaces that an engine made, from readiness to their end.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use nix::unistd::{chdir, getpid, setsid};

use crate::agent;
use crate::config::{Attach, Presence, Target};
use crate::control::process::About;
use crate::log::{self, LogFile};
use crate::rootless::Lines;
use crate::sys::{self, Fork, packets};

use super::agent::Agent;
use super::channel::{Channel, Message};
use super::control::Control;
use super::dns::NameServer;
use super::error::{Error, Step};
use super::hints;
use super::join::{Joiner, Namespaces, Watch};
use super::pid_file::PidFile;
use super::signals::Signals;
use super::stack::Stack;
use super::supervise::wait;

/// How often a target is looked at whose end cannot be noticed otherwise.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// And how often when an agent is in it.
const AGENT_WATCH_PERIOD: Duration = Duration::from_millis(200);

/// Joins the namespaces. In the background it returns when the network is ready, otherwise at its end.
pub fn attach(attach: Attach) -> Result<u8, Error> {
    let log_file = log::init(&attach.log)?;
    let (namespaces, watch) = Namespaces::open(&attach.target)?;
    if attach.presence == Presence::Foreground {
        return serve(attach, &log_file, namespaces, watch, None).map(|()| 0);
    }
    let (ours, theirs) = Channel::pair().step("make a socket pair")?;
    match sys::fork_into(CloneFlags::empty()).step("go to the background")? {
        Fork::Parent(_) => {
            drop(theirs);
            match ours.receive().step("hear the background process")? {
                Some(Message::Ready) => Ok(0),
                Some(Message::Failed(text)) => Err(Error::Reported(hints::explain(text))),
                _ => Err(Error::Lost("the background process")),
            }
        }
        Fork::Child => {
            drop(ours);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let caller = theirs.try_clone().step("make a socket pair")?;
                // Whoever waits for the end of another descriptor of the caller's does not wait for us.
                let mut keep = vec![theirs.as_fd(), caller.as_fd()];
                keep.extend([&attach.ready_fd, &attach.exit_fd].into_iter().flatten().map(AsFd::as_fd));
                keep.extend(log_file.iter().map(|file| file.as_fd()));
                keep.extend(namespaces.descriptors());
                sys::close_others(&keep).step("close what the caller left open")?;
                let served = setsid().step("leave the session").and_then(|_| chdir("/").step("leave the directory"));
                let served = served.and_then(|()| serve(attach, &log_file, namespaces, watch, Some(caller)));
                if let Err(error) = &served
                    && theirs.send(&Message::Failed(error.to_string())).is_err()
                {
                    // The caller has gone on its way, with a network that worked then.
                    tracing::error!("{error}");
                }
                served
            }));
            sys::exit_now(0)
        }
    }
}

/// Sets the network up and stays until it ends. Whatever way it returns, nothing is left.
fn serve(
    attach: Attach,
    log_file: &LogFile,
    namespaces: Namespaces,
    watch: Watch,
    caller: Option<Channel>,
) -> Result<(), Error> {
    let signals = Signals::take()?;
    // The joiner takes the namespaces along: no descriptor here may keep them alive. It goes first, since what it asks of
    // the kernel takes longer than all the rest, which is done meanwhile.
    let (for_stack, for_agent) = agent::is_wanted(&attach.network, &attach.control)
        .then(packets::pair)
        .transpose()
        .step("make a socket pair")?
        .unzip();
    let agent = for_agent
        .map(|link| Agent::start(&namespaces, &attach.network, link, log_file, attach.presence))
        .transpose()?;
    let joiner = Joiner::start(namespaces, &attach.network)?;
    let about = about(&attach, &watch);
    let control = Control::start(&attach.control, about, &attach.network, log_file, attach.presence)?;
    let (control, orders) = control.unzip();
    let (lines, mut names) = NameServer::prepare(&attach.network, log_file, attach.presence)?;
    let mut stack = Stack::start(
        &attach.network,
        log_file,
        attach.presence,
        Lines { orders, agent: for_stack, names: lines, capture: None },
    )?;
    let mut control = control.map(Control::bound).transpose()?.flatten();
    let Some(needs_watch) = set_up(&signals, &stack, joiner, agent.as_ref(), attach.exit_fd.as_ref())? else {
        return Err(Error::Reported("told to end by the descriptor of --exit-fd before the network was ready".into()));
    };
    let pid_file = attach.pid_file.clone().map(|path| PidFile::write(path, attach.leaves_pid_file)).transpose()?;
    if let Some(caller) = caller {
        let null = File::options().read(true).write(true).open("/dev/null").step("open /dev/null")?;
        for stream in 0..=2 {
            sys::redirect(&null, stream).step("leave the terminal")?;
        }
        tell_ready(attach.ready_fd);
        caller.send(&Message::Ready).step("tell the caller")?;
    } else {
        tell_ready(attach.ready_fd);
    }
    let mut watches = Watches { watch, keeps_alive: needs_watch, ends_with_path: attach.ends_with_path, agent };
    let ended = until_end(&signals, &mut stack, &mut control, &mut names, attach.exit_fd.as_ref(), &mut watches);
    drop(control);
    drop(stack);
    drop(pid_file);
    ended
}

/// Waits for readiness. `None` when it was told to end meanwhile; inside, whether the tap device keeps the target alive.
fn set_up(
    signals: &Signals,
    stack: &Stack,
    joiner: Joiner,
    agent: Option<&Agent>,
    exit_fd: Option<&OwnedFd>,
) -> Result<Option<bool>, Error> {
    let mut needs_watch = false;
    let mut is_served = false;
    let mut preparing = agent;
    let mut joiner = Some(joiner);
    loop {
        let joining = joiner.as_ref().map(|joiner| joiner.channel.as_fd());
        let stack_fd = stack.channel().map(AsFd::as_fd);
        let agent_fd = preparing.and_then(Agent::channel).map(AsFd::as_fd);
        let [signal, exit, joined, served, prepared] =
            wait([Some(signals.as_fd()), exit_fd.map(AsFd::as_fd), joining, stack_fd, agent_fd], None)?;
        if let Some(agent) = preparing.filter(|_| prepared) {
            agent.is_ready()?;
            preparing = None;
        }
        if exit {
            return Ok(None);
        }
        if signal {
            while let Some(received) = signals.next()? {
                if received.is_fatal() {
                    return Err(Error::Interrupted(received.signal));
                }
            }
        }
        if served {
            match stack.channel().map(|channel| channel.receive()).transpose().step("hear the network stack")?.flatten()
            {
                Some(Message::Ready) => is_served = true,
                Some(Message::Failed(text)) => return Err(Error::Reported(hints::explain(text))),
                _ => return Err(Error::Lost("the network stack")),
            }
        }
        if let Some(process) = joiner.as_ref().filter(|_| joined) {
            match process.channel.receive().step("hear the joining process")? {
                Some(Message::Go) => needs_watch = true,
                Some(Message::Tap(tap)) => {
                    let channel = stack.channel().ok_or(Error::Lost("the network stack"))?;
                    channel.send(&Message::Tap(tap)).step("hand over the tap device")?;
                    joiner = None;
                }
                Some(Message::Failed(text)) => return Err(Error::Reported(hints::explain(text))),
                _ => return Err(Error::Lost("the joining process")),
            }
        }
        if is_served && preparing.is_none() {
            return Ok(Some(needs_watch));
        }
    }
}

/// Waits for a reason to end.
fn until_end(
    signals: &Signals,
    stack: &mut Stack,
    control: &mut Option<Control>,
    names: &mut NameServer<'_>,
    exit_fd: Option<&OwnedFd>,
    watches: &mut Watches,
) -> Result<(), Error> {
    loop {
        let deadline = watches.period().map(|period| Instant::now() + period);
        let orders = control.as_ref().and_then(Control::fd);
        let stack_fd = stack.channel().map(AsFd::as_fd);
        let fds = [Some(signals.as_fd()), exit_fd.map(AsFd::as_fd), stack_fd, orders, names.as_fd()];
        let [signal, exit, served, ordered, asked] = wait(fds, deadline)?;
        if asked {
            names.act();
        }
        if exit || watches.look() {
            return Ok(());
        }
        if ordered {
            if control.as_mut().is_some_and(Control::wants_the_end) {
                tracing::info!("told to end at the control socket");
                return Ok(());
            }
            *control = None;
        }
        if signal {
            while let Some(received) = signals.next()? {
                if received.is_fatal() {
                    tracing::info!("ended by {}", received.signal);
                    return Ok(());
                }
            }
        }
        if served {
            let said = stack.channel().and_then(|channel| channel.receive().ok().flatten());
            return match said {
                Some(Message::Failed(text)) => Err(Error::Reported(hints::explain(text))),
                // The namespace has ended, and the device with it.
                _ if stack.wait() => Ok(()),
                _ => Err(Error::Lost("the network stack")),
            };
        }
    }
}

/// What keeps the target alive, and how its end is noticed nevertheless.
struct Watches {
    watch: Watch,
    /// Whether the tap device does.
    keeps_alive: bool,
    /// Whether the end of what names the target is the end.
    ends_with_path: bool,
    /// It does too, and so do the sockets that it has made.
    agent: Option<Agent>,
}

impl Watches {
    /// How long until the next look, if one is needed.
    fn period(&self) -> Option<Duration> {
        match (&self.agent, self.keeps_alive || self.ends_with_path) {
            (Some(_), _) => Some(AGENT_WATCH_PERIOD),
            (None, true) => Some(WATCH_PERIOD),
            (None, false) => None,
        }
    }

    /// Looks; says whether the network is to end at once. Otherwise the kernel removes the device when nothing holds the
    /// namespace any more.
    fn look(&mut self) -> bool {
        if self.period().is_none() || !self.watch.is_gone() {
            return false;
        }
        if self.ends_with_path {
            tracing::info!("Namespace {} is gone, exiting", self.watch.path().display());
            return true;
        }
        if let Some(agent) = &self.agent {
            if self.watch.has_processes(agent.pid()) {
                return false;
            }
            agent.container_has_ended();
        }
        self.agent = None;
        self.keeps_alive
    }
}

/// What is told of the network at its control socket.
fn about(attach: &Attach, watch: &Watch) -> About {
    let target = match &attach.target {
        Target::Process(pid) => format!("pid {pid}"),
        Target::Files { netns, .. } => netns.display().to_string(),
    };
    let netns = Some(watch.inode());
    About { pid: getpid().as_raw(), kind: "attach", target, command_pid: None, netns, socket: String::new() }
}

/// Writes exactly `1`, and closes.
fn tell_ready(ready_fd: Option<OwnedFd>) {
    if let Some(fd) = ready_fd
        && let Err(error) = File::from(fd).write_all(b"1")
    {
        tracing::warn!("the ready descriptor cannot be written: {error}");
    }
}
