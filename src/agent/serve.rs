//! The agent's life: it makes sockets when the stack asks for them, and looks at the ports again and again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use tracing::debug;

use super::ports::{Port, Ports};
use super::sockets;
use super::source::Source;
use super::survey::Survey;
use super::translation::Translation;
use super::wire::{News, Order, in_families, send};
use crate::config::{Network, Protocol};

/// How often the ports are looked at: at first and while they change, and when they have been the same for long.
const PERIOD_MIN: Duration = Duration::from_millis(5);
const PERIOD_MAX: Duration = Duration::from_millis(30);

/// A look is taken so many times as rarely as it takes time: where there are many sockets it is a burden.
const BURDEN: u32 = 200;

/// How often it is looked whether addresses are translated.
const TRANSLATION_PERIOD: Duration = Duration::from_millis(200);

/// An exposed port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("expose {address}/{protocol} in the container: {source}")]
pub struct Error {
    address: SocketAddr,
    protocol: Protocol,
    source: io::Error,
}

/// What the agent works with, set up inside.
pub struct Inside {
    link: OwnedFd,
    source: Source,
    /// `None` when nobody wants to know, or the kernel cannot tell.
    survey: Option<Survey>,
    translation: Translation,
    told: Ports,
    found: Ports,
    /// What was said of translation last, and until when that holds.
    translated: Option<(bool, Instant)>,
}

impl Inside {
    /// Prepares all that needs files and rights, in the network namespace of the caller. `link` leads to the stack, which is given
    /// the sockets of exposed ports at once.
    ///
    /// # Errors
    /// When an exposed port cannot be had.
    pub fn set_up(network: &Network, link: OwnedFd) -> Result<Inside, Error> {
        for expose in &network.expose {
            for number in expose.container_ports() {
                expose_port(&link, expose.protocol, number)?;
            }
        }
        let exposes = !network.expose.is_empty() || network.auto_expose.follows_any();
        let is_for_exposed = exposes && network.publish.is_empty() && !network.auto.mirrors_tcp;
        let tcp = network.auto.follows(Protocol::Tcp) || !is_for_exposed;
        let wanted: Vec<Protocol> = [(Protocol::Tcp, tcp), (Protocol::Udp, network.auto.follows(Protocol::Udp))]
            .into_iter()
            .filter_map(|(protocol, wanted)| wanted.then_some(protocol))
            .collect();
        let survey = if wanted.is_empty() { None } else { Survey::open(network, wanted).ok() };
        Ok(Inside {
            link,
            source: Source::set_up(network),
            survey,
            translation: Translation::open(),
            told: Ports::default(),
            found: Ports::default(),
            translated: None,
        })
    }

    /// Serves until the stack or the supervisor hangs up, or the latter says that the container has ended.
    pub fn serve(mut self, supervisor: BorrowedFd<'_>) {
        let mut period = PERIOD_MIN;
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            if self.survey.is_some() && now >= next {
                let before = processor_time();
                match self.look(now) {
                    Ok(changed) => {
                        period = if changed { PERIOD_MIN } else { (period * 51 / 50).min(PERIOD_MAX) };
                        next = now + period.max(processor_time().saturating_sub(before) * BURDEN);
                    }
                    Err(errno) => {
                        debug!("ports inside cannot be looked at: {}", errno.desc());
                        self.survey = None;
                    }
                }
            }
            let timeout = match &self.survey {
                // A millisecond is the finest that poll(2) knows; it is not to spin for the last part of one.
                Some(_) => PollTimeout::try_from(next.saturating_duration_since(now) + Duration::from_millis(1)),
                None => Ok(PollTimeout::NONE),
            };
            let mut polled =
                [PollFd::new(supervisor, PollFlags::POLLIN), PollFd::new(self.link.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let [told, ordered] = polled.map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
            if told {
                // It says one thing only; else it is gone.
                let _ = send(self.link.as_fd(), &News::Over);
                return;
            }
            if ordered && self.obey().is_err() {
                return;
            }
        }
    }

    /// Carries one order out; an error is the end.
    fn obey(&self) -> nix::Result<()> {
        let (family, count) = match Order::receive(self.link.as_fd()) {
            Ok(Some(Order::Sockets(family, count))) => (family, count),
            Ok(Some(Order::Expose(port))) => {
                return match sockets::exposed(port) {
                    Ok(socket) => send(self.link.as_fd(), &News::Exposed(port, socket)),
                    Err(error) => {
                        debug!(%error, "port {}/{} of the host is not exposed", port.number, port.protocol);
                        Ok(())
                    }
                };
            }
            Ok(None) => return Err(Errno::EPIPE),
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        let mut made = Vec::with_capacity(count.into());
        if self.source.has(family) {
            let name = self.source.name();
            for _ in 0..count {
                match sockets::ready(family, name) {
                    Ok(socket) => made.push(socket),
                    Err(error) => {
                        debug!(%error, "a socket for clients on the host's loopback cannot be had");
                        break;
                    }
                }
            }
        }
        send(self.link.as_fd(), &News::Sockets(family, made.len() as u8, made))
    }

    /// Looks at the ports and tells what has changed; says whether anything has.
    fn look(&mut self, now: Instant) -> nix::Result<bool> {
        let Some(survey) = &mut self.survey else { return Ok(false) };
        let changes: Vec<(Port, bool)> = match survey.take(&mut self.found)? {
            true => self.told.changes(&self.found).collect(),
            false => Vec::new(),
        };
        let translated = match self.translated {
            Some((translated, until)) if until > now => translated,
            _ => self.translation.is_there(now),
        };
        let changed = !changes.is_empty();
        if changed {
            send(self.link.as_fd(), &News::Ports(changes))?;
            self.told.clone_from(&self.found);
        }
        let before = self.translated.map(|(before, _)| before);
        if self.translated.is_none_or(|(_, until)| until <= now) {
            self.translated = Some((translated, now + TRANSLATION_PERIOD));
        }
        if !changed && before == Some(translated) {
            return Ok(false);
        }
        send(self.link.as_fd(), &News::Surveyed { translated })?;
        Ok(true)
    }
}

/// What this thread has used of the processor.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Opens an exposed port in the families that the container has at its loopback, in one at least.
fn expose_port(link: &OwnedFd, protocol: Protocol, number: u16) -> Result<(), Error> {
    let mut lacking = None;
    let mut opened = false;
    for port in in_families(protocol, number) {
        let address = SocketAddr::new(sockets::loopback(port.family), number);
        match sockets::exposed(port).and_then(|socket| Ok(send(link.as_fd(), &News::Exposed(port, socket))?)) {
            Ok(()) => opened = true,
            Err(source) if matches!(source.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) => {
                lacking = Some(Error { address, protocol, source });
            }
            Err(source) => return Err(Error { address, protocol, source }),
        }
    }
    match lacking {
        Some(error) if !opened => Err(error),
        _ => Ok(()),
    }
}
