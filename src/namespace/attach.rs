//! `rnet attach`: a network for namespaces that an engine made, from readiness to their end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::{chdir, getpid, setsid};

use crate::agent;
use crate::config::{Attach, Manner, Presence, Target};
use crate::control::process::About;
use crate::log::{self, LogFile};
use crate::rootless::Lines;
use crate::sys::{self, Fork, packets};

use super::agent::Agent;
use super::channel::{Channel, Message};
use super::control::Control;
use super::dns::NameServer;
use super::error::{Error, Step};
use super::frames::Frames;
use super::hints;
use super::join::{Joiner, Namespaces, Watch};
use super::lockdown;
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
    let joined = Namespaces::of(&attach.target)?;
    if attach.presence == Presence::Foreground {
        let dies = attach.manner.dies_of_signals;
        if let Some(signal) = serve(attach, &log_file, joined, None)?.filter(|_| dies) {
            die_of(signal);
        }
        return Ok(0);
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
                if let Target::Device(device) = &attach.target {
                    keep.push(device.as_fd());
                }
                keep.extend(joined.iter().flat_map(|(namespaces, _)| namespaces.descriptors()));
                sys::close_others(&keep).step("close what the caller left open")?;
                let served = setsid().step("leave the session").and_then(|_| chdir("/").step("leave the directory"));
                let served = served.and_then(|()| serve(attach, &log_file, joined, Some(caller)).map(drop));
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

/// Ends this process as the signal would have done by itself.
fn die_of(signal: Signal) {
    let only = SigSet::from_iter([signal]);
    // Where one of these fails the exit code has to do.
    let _ = sys::default_action(signal).and_then(|()| only.thread_unblock()).and_then(|()| raise(signal));
}

/// Sets the network up and stays until it ends, perhaps by a signal. Whatever way it returns, nothing is left.
fn serve(
    mut attach: Attach,
    log_file: &LogFile,
    joined: Option<(Namespaces, Watch)>,
    caller: Option<Channel>,
) -> Result<Option<Signal>, Error> {
    let signals = Signals::take()?;
    let exit_fd = attach.exit_fd.take();
    let device = match device(&mut attach.target, &signals, exit_fd.as_ref())? {
        Device::Given(device) => Some(device),
        Device::Made => None,
        Device::Never => return Ok(None),
    };
    let (namespaces, mut watch) = joined.unzip();
    // The joiner takes the namespaces along: no descriptor here may keep them alive. It goes first, since what it asks of
    // the kernel takes longer than all the rest, which is done meanwhile.
    let (for_stack, for_agent) = (namespaces.is_some() && agent::is_wanted(&attach.network, &attach.control))
        .then(packets::pair)
        .transpose()
        .step("make a socket pair")?
        .unzip();
    let agent = namespaces
        .as_ref()
        .zip(for_agent)
        .map(|(namespaces, link)| Agent::start(namespaces, &attach.network, link, log_file, attach.presence))
        .transpose()?;
    let joiner = namespaces.map(|namespaces| Joiner::start(namespaces, &attach.network)).transpose()?;
    let about = about(&attach, watch.as_ref());
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
    if let (Some(device), Some(channel)) = (device, stack.channel()) {
        channel.send(&Message::Tap(vec![device])).step("hand over the device")?;
    }
    let exits_early = exit_fd.as_ref().filter(|_| !attach.manner.exit_fd_waits);
    let Some(needs_watch) = set_up(&signals, &stack, joiner, agent.as_ref(), exits_early)? else {
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
        lock_down(&attach.manner, watch.as_mut(), &mut names)?;
        say(&mut io::stdout(), &attach.manner.greeting);
        tell_ready(attach.ready_fd);
    }
    let mut watches = Watches { watch, keeps_alive: needs_watch, ends_with_path: attach.ends_with_path, agent };
    let ended = until_end(&signals, &mut stack, &mut control, &mut names, exit_fd.as_ref(), &mut watches);
    if let Ok(End::Told) = &ended {
        say(&mut io::stderr(), attach.manner.farewell);
    }
    let ended = ended.map(|end| if let End::Signal(signal) = end { Some(signal) } else { None });
    drop(control);
    drop(stack);
    drop(pid_file);
    ended
}

/// Where the device comes from.
enum Device {
    /// The caller has it.
    Given(OwnedFd),
    /// It is made in a namespace.
    Made,
    /// The caller needs none any more.
    Never,
}

fn device(target: &mut Target, signals: &Signals, exit_fd: Option<&OwnedFd>) -> Result<Device, Error> {
    match target {
        Target::Process(_) | Target::Files { .. } => Ok(Device::Made),
        Target::Device(device) => device.try_clone().map(Device::Given).step("copy the device's descriptor"),
        Target::Frames(path) => {
            Ok(Frames::listen(path)?.client(signals, exit_fd)?.map_or(Device::Never, Device::Given))
        }
    }
}

/// Gives up what is needed no more, where the caller wants that.
fn lock_down(manner: &Manner, watch: Option<&mut Watch>, names: &mut NameServer<'_>) -> Result<(), Error> {
    if !manner.sandbox && !manner.seccomp {
        return Ok(());
    }
    // Afterwards no process can be made that is locked up as that one is.
    names.start_early();
    watch.map(Watch::hold).transpose()?;
    lockdown::confine(manner)
}

/// Says something; whoever does not hear it does not need it.
fn say(stream: &mut dyn Write, words: &str) {
    let _ = stream.write_all(words.as_bytes()).and_then(|()| stream.flush());
}

/// Waits for readiness. `None` when it was told to end meanwhile; inside, whether the tap device keeps the target alive.
fn set_up(
    signals: &Signals,
    stack: &Stack,
    mut joiner: Option<Joiner>,
    agent: Option<&Agent>,
    exit_fd: Option<&OwnedFd>,
) -> Result<Option<bool>, Error> {
    let mut needs_watch = false;
    let mut is_served = false;
    let mut preparing = agent;
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

/// Why the network ends.
enum End {
    /// By the exit descriptor.
    Told,
    /// By a signal.
    Signal(Signal),
    /// The namespace is gone, or a client wanted it.
    Other,
}

/// Waits for a reason to end.
fn until_end(
    signals: &Signals,
    stack: &mut Stack,
    control: &mut Option<Control>,
    names: &mut NameServer<'_>,
    exit_fd: Option<&OwnedFd>,
    watches: &mut Watches,
) -> Result<End, Error> {
    loop {
        let deadline = watches.period().map(|period| Instant::now() + period);
        let orders = control.as_ref().and_then(Control::fd);
        let stack_fd = stack.channel().map(AsFd::as_fd);
        let fds = [Some(signals.as_fd()), exit_fd.map(AsFd::as_fd), stack_fd, orders, names.as_fd()];
        let [signal, exit, served, ordered, asked] = wait(fds, deadline)?;
        if asked {
            names.act();
        }
        if exit {
            return Ok(End::Told);
        }
        if watches.look() {
            return Ok(End::Other);
        }
        if ordered {
            if control.as_mut().is_some_and(Control::wants_the_end) {
                tracing::info!("told to end at the control socket");
                return Ok(End::Other);
            }
            *control = None;
        }
        if signal {
            while let Some(received) = signals.next()? {
                if received.is_fatal() {
                    tracing::info!("ended by {}", received.signal);
                    return Ok(End::Signal(received.signal));
                }
            }
        }
        if served {
            let said = stack.channel().and_then(|channel| channel.receive().ok().flatten());
            return match said {
                Some(Message::Failed(text)) => Err(Error::Reported(hints::explain(text))),
                // The namespace has ended, and the device with it.
                _ if stack.wait() => Ok(End::Other),
                _ => Err(Error::Lost("the network stack")),
            };
        }
    }
}

/// What keeps the target alive, and how its end is noticed nevertheless.
struct Watches {
    /// `None` where there is no namespace.
    watch: Option<Watch>,
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
        let Some(watch) = self.watch.as_ref().filter(|_| self.period().is_some()) else { return false };
        if !watch.is_gone() {
            return false;
        }
        if self.ends_with_path {
            tracing::info!("Namespace {} is gone, exiting", watch.path().display());
            return true;
        }
        // Others may live in the namespace when the process that it was named by is gone.
        if watch.has_processes(self.agent.as_ref().map(Agent::pid)) {
            return false;
        }
        if let Some(agent) = &self.agent {
            agent.container_has_ended();
        }
        self.agent = None;
        self.keeps_alive
    }
}

/// What is told of the network at its control socket.
fn about(attach: &Attach, watch: Option<&Watch>) -> About {
    let target = match &attach.target {
        Target::Process(pid) => format!("pid {pid}"),
        Target::Files { netns, .. } => netns.display().to_string(),
        Target::Device(_) => "a device".into(),
        Target::Frames(path) => path.display().to_string(),
    };
    let netns = watch.map(Watch::inode);
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
