//! One worker for each queue of the tap device, and a thread for each worker.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Instant;

use mio::{Poll, Waker};
use rnet_stack::TimestampClock;
use tracing::info;

use super::Error;
use super::capture::Capture;
use super::listen::PublishedPorts;
use super::orders::Handle;
use super::report::Report;
use super::splice::Splicer;
use super::team::{End, Member, assemble};
use super::token::Source;
use super::worker::{Common, Seat, Worker};
use crate::config::Network;

/// The packet loops, ready to run.
pub struct Service {
    workers: Vec<Worker>,
    handle: Handle,
    splicer: Option<Splicer>,
}

impl Service {
    /// Prepares to serve the queues `tap` of a tap device and the published ports until `stop` is readable or hung up; `dns`
    /// has a line to the name server for each queue, or none.
    ///
    /// # Errors
    /// When the device is no tap device with vnet headers, or descriptors or memory are short.
    pub fn new(
        tap: Vec<OwnedFd>,
        network: &Network,
        ports: PublishedPorts,
        stop: OwnedFd,
        dns: Vec<OwnedFd>,
        agent: Option<OwnedFd>,
        capture: Option<Capture>,
    ) -> Result<Service, Error> {
        let wrap = |operation: &'static str| move |source: io::Error| Error::SetUp { operation, source };
        let mut seats = match tap.len() {
            0 => return Err(wrap("take the tap device over")(io::ErrorKind::InvalidInput.into())),
            1 => vec![(Poll::new().map_err(wrap("create an epoll instance"))?, None)],
            queues => {
                let team = assemble(queues as u32).map_err(wrap("create epoll instances"))?;
                team.into_iter().map(|(poll, member)| (poll, Some(member))).collect()
            }
        };
        let further = |_| ports.for_another_worker().map_err(wrap("copy the sockets of published ports"));
        let mut further = (1..tap.len()).map(further).collect::<Result<Vec<_>, Error>>()?;
        further.insert(0, ports);
        let waker = |(poll, team): &(Poll, Option<Member>)| match team {
            Some(member) => Ok(member.waker()),
            None => Waker::new(poll.registry(), Source::Team.token()).map(Arc::new),
        };
        let wakers = seats.iter().map(waker).collect::<io::Result<_>>().map_err(wrap("create a waker"))?;
        let (handle, inboxes) = Handle::new(wakers, network);
        let splicer = agent.map(|agent| Splicer::new(agent, network, handle.clone())).transpose();
        let splicer = splicer.map_err(wrap("prepare to splice"))?;
        let entrance = splicer.as_ref().map(|(_, entrance)| Arc::clone(entrance));
        let common = Common { network, timestamps: TimestampClock::default(), epoch: Instant::now(), entrance };
        let mut workers = Vec::with_capacity(tap.len());
        let mut dns = dns.into_iter();
        for (((tap, ports), (poll, team)), orders) in tap.into_iter().zip(further).zip(seats.drain(..)).zip(inboxes) {
            let stop = stop.try_clone().map_err(wrap("copy a descriptor"))?;
            let capture = capture.as_ref().map(Capture::try_clone).transpose().map_err(wrap("copy a descriptor"))?;
            let seat = Seat { tap, ports, dns: dns.next(), stop, poll, team, orders, capture };
            workers.push(Worker::new(seat, &common)?);
        }
        Ok(Service { workers, handle, splicer: splicer.map(|(splicer, _)| splicer) })
    }

    /// What gives orders to the loops while they run.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `stop` says so or the device is gone, which is the end of its namespace.
    ///
    /// # Errors
    /// When a loop can no longer wait for events, or there is no thread for it.
    pub fn run(self) -> Result<(), Error> {
        if let Some(splicer) = self.splicer {
            splicer.start().map_err(Error::Thread)?;
        }
        let mut others = self.workers;
        let Some(first) = others.drain(..1).next() else { return Ok(()) };
        // Whoever returns from here with an error takes its worker along, and that all others.
        let (end, report) = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(others.len());
            for (worker, number) in others.into_iter().zip(1..) {
                let thread = Builder::new().name(format!("rnet-stack-{number}"));
                threads.push(thread.spawn_scoped(scope, move || serve(worker)).map_err(Error::Thread)?);
            }
            let (mut end, mut report) = serve(first)?;
            for thread in threads {
                let (its_end, its_report) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                report.add(&its_report);
                if end == End::Failed {
                    end = its_end;
                }
            }
            Ok((end, report))
        })?;
        match end {
            End::Stopped => info!("told to stop"),
            End::DeviceGone => info!("the container's namespace is gone"),
            End::Failed => {}
        }
        report.log();
        Ok(())
    }
}

/// One worker's life.
fn serve(mut worker: Worker) -> Result<(End, Report), Error> {
    let end = worker.run()?;
    worker.end_others(end);
    Ok((end, worker.report()))
}
