//! `rnet run`: a command with a network of its own, from the caller's side: set-up, job control, the end.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::agent;
use crate::config::{Presence, Run, Target};
use crate::log;
use crate::sys::packets;

use super::agent::Agent;
use super::channel::Message;
use super::command::Command;
use super::error::{Error, Step};
use super::hints;
use super::join::Namespaces;
use super::mapping;
use super::orphans::{self, Strangers};
use super::signals::Signals;
use super::stack::Stack;
use super::supervise::wait;

/// How long the command may take to end when its network is gone.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command; returns the exit code that a shell would show.
pub fn run(run: &Run) -> Result<u8, Error> {
    let log_file = log::init(&run.log)?;
    let maps = mapping::plan(run.map_user, run.map_ids)?;
    let signals = Signals::take()?;
    let strangers = orphans::adopt().step("adopt the command's orphans")?;
    let command = Command::start(run)?;
    let (for_stack, for_agent) =
        agent::is_wanted(&run.network).then(packets::pair).transpose().step("make a socket pair")?.unzip();
    let stack = Stack::start(&run.network, &log_file, Presence::Foreground, None, for_stack)?;
    maps.write(command.pid)?;
    let agent = match for_agent {
        Some(link) => {
            let (namespaces, _) = Namespaces::open(&Target::Process(command.pid.as_raw()))?;
            Some(Agent::start(&namespaces, &run.network, link)?)
        }
        None => None,
    };
    let mut session = Session { signals, command, stack, agent, strangers, network: Fate::Serving };
    session.set_up()?;
    session.supervise()
}

/// A command, its network, and the caller's terminal.
struct Session {
    signals: Signals,
    command: Command,
    stack: Stack,
    agent: Option<Agent>,
    strangers: Strangers,
    network: Fate,
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

impl Session {
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
        orphans::end_all(&self.own(), &self.strangers);
        code
    }

    /// The processes that serve the network.
    fn own(&self) -> Vec<Pid> {
        std::iter::once(self.stack.pid()).chain(self.agent.as_ref().map(Agent::pid)).collect()
    }

    fn wait_for_command(&mut self) -> Result<u8, Error> {
        // The news of a very short life may have come while the set-up was still waiting for its own.
        if let Some(code) = self.reap()? {
            return Ok(code);
        }
        loop {
            let deadline = if let Fate::Broken(deadline) = self.network { Some(deadline) } else { None };
            let [signal, stack] = wait([Some(self.signals.as_fd()), self.stack.channel().map(AsFd::as_fd)], deadline)?;
            if stack {
                self.network_ended();
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
            }
            if let Some(code) = self.reap()? {
                let is_broken = matches!(self.network, Fate::Broken(_) | Fate::Killed);
                return Ok(if is_broken { 1 } else { code });
            }
        }
    }

    /// Looks whether the command has ended, and stops with it when it has stopped.
    fn reap(&mut self) -> Result<Option<u8>, Error> {
        let mut known = self.own();
        known.push(self.command.pid);
        orphans::reap(&known);
        loop {
            match waitpid(self.command.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => {
                    self.command.has_ended();
                    return Ok(Some(code as u8));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    self.command.has_ended();
                    return Ok(Some(128 + signal as u8));
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
                let _ = kill(self.command.pid, Signal::SIGTERM);
                let _ = kill(self.command.pid, Signal::SIGCONT);
                Fate::Broken(Instant::now() + GRACE)
            }
        };
    }
}
