//! `rnet run`: a command with a network of its own, from the caller's side: set-up, job control, the end.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::agent;
use crate::config::{Presence, Run};
use crate::control::process::About;
use crate::log;
use crate::rootless::Lines;
use crate::sys::packets;

use super::agent::Agent;
use super::channel::Message;
use super::command::Command;
use super::control::Control;
use super::dns::NameServer;
use super::error::{Error, Step};
use super::first;
use super::hints;
use super::join::Namespaces;
use super::mapping;
use super::orphans::{self, Strangers};
use super::pid_file::PidFile;
use super::signals::Signals;
use super::stack::Stack;
use super::supervise::wait;

/// How long the command may take to end when its network is gone.
const GRACE: Duration = Duration::from_secs(5);

/// Characters of the command that are told of it.
const TARGET_MAX: usize = 1000;

/// Runs the command; returns the exit code that a shell would show.
pub fn run(run: &Run) -> Result<u8, Error> {
    let log_file = log::init(&run.log)?;
    let maps = mapping::plan(run.map_user, run.map_ids)?;
    let signals = Signals::take()?;
    let strangers = orphans::adopt().step("adopt the command's orphans")?;
    let command = Command::start(run)?;
    let (for_stack, for_agent) = agent::is_wanted(&run.network, &run.control)
        .then(packets::pair)
        .transpose()
        .step("make a socket pair")?
        .unzip();
    let about = about(run, command.pid);
    let control = Control::start(&run.control, about, &run.network, &log_file, Presence::Foreground)?;
    let (control, orders) = control.unzip();
    let (lines, names) = NameServer::prepare(&run.network, &log_file, Presence::Foreground)?;
    let stack = Stack::start(
        &run.network,
        &log_file,
        Presence::Foreground,
        Lines { orders, agent: for_stack, names: lines, capture: None },
    )?;
    let control = control.map(Control::bound).transpose()?.flatten();
    maps.write(command.pid)?;
    let agent = match for_agent {
        Some(link) => {
            let (namespaces, _) = Namespaces::of_process(command.pid.as_raw())?;
            Some(Agent::start(&namespaces, &run.network, link, &log_file, Presence::Foreground)?)
        }
        None => None,
    };
    let mut session = Session {
        signals,
        command,
        stack,
        control,
        agent,
        names,
        strangers,
        network: Fate::Serving,
        is_first: run.surroundings.own_processes,
        ended_by: None,
    };
    session.set_up()?;
    let pid_file = &run.surroundings.pid_file;
    let _pid_file = pid_file.clone().map(|path| PidFile::write(path, true)).transpose()?;
    session.supervise()
}

/// What is told of the command's network at its control socket.
fn about(run: &Run, command: Pid) -> About {
    let words = run.command.iter().map(|word| word.to_string_lossy());
    About {
        pid: getpid().as_raw(),
        kind: "run",
        target: words.collect::<Vec<_>>().join(" ").chars().take(TARGET_MAX).collect(),
        command_pid: Some(command.as_raw()),
        netns: std::fs::metadata(format!("/proc/{command}/ns/net")).ok().map(|namespace| namespace.ino()),
        socket: String::new(),
    }
}

/// A command, its network, and the caller's terminal.
struct Session<'a> {
    signals: Signals,
    command: Command,
    stack: Stack,
    control: Option<Control>,
    agent: Option<Agent>,
    names: NameServer<'a>,
    strangers: Strangers,
    network: Fate,
    /// Whether the command is the first process of a PID namespace.
    is_first: bool,
    /// The signal in whose place it was killed.
    ended_by: Option<Signal>,
}

/// What has become of the network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is there.
    Serving,
    /// The command has removed its device.
    Removed,
    /// It broke; the command has until then to end.
    Broken(Instant),
    /// It broke, and the command has been killed.
    Killed,
}

impl Session<'_> {
    /// Passes the tap device on, waits for readiness, and lets the command go; returns when it has become the command.
    fn set_up(&mut self) -> Result<(), Error> {
        self.command.channel.send(&Message::Go).step("start the set-up")?;
        let mut is_released = false;
        let mut is_served = false;
        let mut preparing = self.agent.is_some();
        loop {
            let agent = self.agent.as_ref().filter(|_| preparing);
            let fds = [
                Some(self.signals.as_fd()),
                Some(self.command.channel.as_fd()),
                self.stack.channel().map(AsFd::as_fd),
                agent.and_then(Agent::channel).map(AsFd::as_fd),
            ];
            let [signal, command, stack, prepared] = wait(fds, None)?;
            if let Some(agent) = agent.filter(|_| prepared) {
                agent.is_ready()?;
                preparing = false;
            }
            if signal {
                while let Some(received) = self.signals.next()? {
                    if is_released {
                        received.forward(self.command.pid);
                    } else if received.is_fatal() {
                        return Err(Error::Interrupted(received.signal));
                    }
                }
            }
            if stack {
                match self
                    .stack
                    .channel()
                    .map(|channel| channel.receive())
                    .transpose()
                    .step("hear the network stack")?
                    .flatten()
                {
                    Some(Message::Ready) => is_served = true,
                    Some(Message::Failed(text)) => return Err(Error::Reported(hints::explain(text))),
                    _ => return Err(Error::Lost("the network stack")),
                }
            } else if command {
                match self.command.channel.receive().step("hear the command's process")? {
                    Some(Message::Tap(tap)) => self.give(tap)?,
                    Some(Message::Failed(text)) => return Err(Error::Reported(hints::explain(text))),
                    Some(Message::NotRun(code, message)) => return Err(Error::Exec { message, code }),
                    None if is_released => return Ok(()),
                    _ => return Err(Error::Lost("the command's process")),
                }
            }
            if is_served && !preparing && !is_released {
                self.command.channel.send(&Message::Go).step("start the command")?;
                is_released = true;
            }
        }
    }

    fn give(&self, tap: Vec<std::os::fd::OwnedFd>) -> Result<(), Error> {
        let channel = self.stack.channel().ok_or(Error::Lost("the network stack"))?;
        channel.send(&Message::Tap(tap)).step("hand over the tap device")
    }

    /// Waits for the command's end, and ends what it leaves behind.
    fn supervise(&mut self) -> Result<u8, Error> {
        let code = self.wait_for_command();
        let ours: Vec<Pid> = self.processes().collect();
        orphans::end_all(&ours, &self.strangers);
        code
    }

    /// The processes that are not the command's.
    fn processes(&self) -> impl Iterator<Item = Pid> {
        let further = [self.control.as_ref().map(Control::pid), self.agent.as_ref().map(Agent::pid)];
        std::iter::once(self.stack.pid()).chain(further.into_iter().flatten()).chain(self.names.pid())
    }

    fn wait_for_command(&mut self) -> Result<u8, Error> {
        // The news of a very short life may have come while the set-up was still waiting for its own.
        if let Some(code) = self.reap()? {
            return Ok(code);
        }
        loop {
            let deadline = if let Fate::Broken(deadline) = self.network { Some(deadline) } else { None };
            let control = self.control.as_ref().and_then(Control::fd);
            let fds = [Some(self.signals.as_fd()), self.stack.channel().map(AsFd::as_fd), control, self.names.as_fd()];
            let [signal, stack, control, names] = wait(fds, deadline)?;
            if names {
                self.names.act();
            }
            if stack {
                self.network_ended();
            }
            if control {
                self.hear_control();
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let _ = kill(self.command.pid, Signal::SIGKILL);
                self.network = Fate::Killed;
            }
            if !signal {
                continue;
            }
            while let Some(received) = self.signals.next()? {
                received.forward(self.command.pid);
                if self.is_first && !received.is_ignored() && first::act(self.command.pid, received.signal) {
                    self.ended_by = Some(received.signal);
                }
            }
            if let Some(code) = self.reap()? {
                let is_broken = matches!(self.network, Fate::Broken(_) | Fate::Killed);
                return Ok(if is_broken { 1 } else { code });
            }
        }
    }

    /// Looks whether the command has ended, and stops with it when it has stopped.
    fn reap(&mut self) -> Result<Option<u8>, Error> {
        let known: Vec<Pid> = self.processes().chain([self.command.pid]).collect();
        orphans::reap(&known);
        loop {
            match waitpid(self.command.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => {
                    self.command.has_ended();
                    return Ok(Some(code as u8));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    self.command.has_ended();
                    return Ok(Some(128 + self.ended_by.unwrap_or(signal) as u8));
                }
                Ok(WaitStatus::Stopped(..)) => {
                    // The caller's shell takes the terminal back, until `fg` or `bg` wakes us.
                    raise(Signal::SIGSTOP).step("stop with the command")?;
                    let _ = kill(self.command.pid, Signal::SIGCONT);
                }
                Ok(_) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).step("wait for the command"),
            }
        }
    }

    fn tell_to_end(&mut self) {
        let _ = kill(self.command.pid, Signal::SIGTERM);
        if self.is_first && first::act(self.command.pid, Signal::SIGTERM) {
            self.ended_by = Some(Signal::SIGTERM);
        }
    }

    /// Somebody at the control socket may want the end: the command is told, as it is when we are.
    fn hear_control(&mut self) {
        let Some(control) = &mut self.control else { return };
        if control.wants_the_end() {
            tracing::info!("told to end at the control socket");
            self.tell_to_end();
        } else {
            self.control = None;
        }
    }

    fn network_ended(&mut self) {
        let said = self.stack.channel().and_then(|channel| channel.receive().ok().flatten());
        let in_order = self.stack.wait();
        self.network = match said {
            None if in_order => {
                tracing::warn!("the tap device is gone; the command goes on without a network");
                Fate::Removed
            }
            said => {
                let reason = match said {
                    Some(Message::Failed(text)) => text,
                    _ => Error::Lost("the network stack").to_string(),
                };
                tracing::error!("{reason}; the command is told to end");
                self.tell_to_end();
                let _ = kill(self.command.pid, Signal::SIGCONT);
                Fate::Broken(Instant::now() + GRACE)
            }
        };
    }
}
