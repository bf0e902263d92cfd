//! All leases, and what clients of the proxy do with them.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{interval, timeout};

use super::file::{self, Held, told};
use super::holder::Holder;
use crate::bridge::dhcp::client::{Event, Lease};
use crate::bridge::dhcp::rpc::{self, Code, Handler, NetworkConfig, OperationResponse, Status};
use crate::bridge::driver::options::parse_mac;

/// More leases than this are refused: a container's interface has one or two.
const LEASES_MAX: usize = 16384;
/// How often it is looked whether a container is still there.
const LOOK: Duration = Duration::from_secs(10);
/// A lease is given back within this time, or left to end by itself.
const RELEASE: Duration = Duration::from_secs(5);

/// All leases of the proxy.
pub struct Registry {
    file: PathBuf,
    patience: Duration,
    next: Cell<u64>,
    leases: RefCell<Vec<Kept>>,
    used: Cell<Instant>,
    busy: Cell<usize>,
}

/// A client waits for an answer.
struct Busy<'r>(&'r Registry);

impl<'r> Busy<'r> {
    fn new(registry: &'r Registry) -> Busy<'r> {
        registry.busy.set(registry.busy.get() + 1);
        Busy(registry)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.used.set(Instant::now());
    }
}

struct Kept {
    number: u64,
    held: Held,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Registry {
    /// None yet. They are kept in `file`; a server has `patience` long to grant one.
    pub fn new(file: PathBuf, patience: Duration) -> Rc<Registry> {
        let used = Cell::new(Instant::now());
        Rc::new(Registry { file, patience, next: Cell::new(0), leases: RefCell::default(), used, busy: Cell::new(0) })
    }

    /// Goes on with the leases of an earlier proxy.
    pub fn resume(self: &Rc<Registry>) {
        for held in file::read(&self.file).into_iter().take(LEASES_MAX) {
            let registry = Rc::clone(self);
            self.keep(held.clone(), async move |number, stop| {
                match Holder::open(&held.config, Some(held.lease)).await {
                    Ok(holder) => registry.hold(number, holder, stop).await,
                    Err(error) => {
                        tracing::info!("the lease of {} is over: {error}", held.config.container_mac_addr);
                        registry.forget(number);
                    }
                }
            });
        }
    }

    /// For how long nothing has been asked and there has been no lease.
    pub fn idle(&self) -> Duration {
        let is_idle = self.leases.borrow().is_empty() && self.busy.get() == 0;
        if is_idle { self.used.get().elapsed() } else { Duration::ZERO }
    }

    fn keep(&self, held: Held, work: impl AsyncFnOnce(u64, oneshot::Receiver<()>) + 'static) {
        let number = self.next.replace(self.next.get() + 1);
        let (stop, stopped) = oneshot::channel();
        let task = spawn_local(async move { work(number, stopped).await });
        self.leases.borrow_mut().push(Kept { number, held, stop, task });
        self.save();
    }

    /// Keeps a lease until it is given back, or the container is gone.
    async fn hold(&self, number: u64, mut holder: Holder, mut stop: oneshot::Receiver<()>) {
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                event = holder.next() => self.changed(number, &mut holder, event),
                _ = look.tick() => if !holder.is_there() { break },
            }
        }
        holder.release();
        if let Err(error) = holder.remove() {
            tracing::debug!("take the lease's address away: {error}");
        }
        self.forget(number);
    }

    fn changed(&self, number: u64, holder: &mut Holder, event: Event) {
        let mac = self.find(number, |kept| kept.held.config.container_mac_addr.clone()).unwrap_or_default();
        match event {
            Event::Bound(lease) => {
                // Also one that was lost meanwhile: whoever knew the container by its address must be able to find this out.
                let moved = self.find(number, |kept| is_moved(&kept.held.lease, &lease)).unwrap_or(false);
                match holder.apply(&lease) {
                    Ok(()) if moved => tracing::info!("ip or gateway for mac {mac} changed, update address"),
                    Ok(()) => tracing::debug!("the lease of {} for mac {mac} is renewed", lease.address),
                    Err(error) => tracing::error!("cannot give {mac} what it has leased: {error}"),
                }
                self.find(number, |kept| kept.held.lease = *lease);
            }
            Event::Lost => {
                tracing::warn!("the lease for mac {mac} is lost; another one is looked for");
                if let Err(error) = holder.remove() {
                    tracing::error!("cannot take from {mac} what it has no longer leased: {error}");
                }
                // For a later proxy: this address is only to be asked for.
                self.find(number, |kept| kept.held.lease.lifetime = 0);
            }
        }
        self.save();
    }

    fn find<T>(&self, number: u64, work: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.leases.borrow_mut().iter_mut().find(|kept| kept.number == number).map(work)
    }

    fn forget(&self, number: u64) {
        self.leases.borrow_mut().retain(|kept| kept.number != number);
        self.used.set(Instant::now());
        self.save();
    }

    fn save(&self) {
        if let Err(error) = file::write(&self.file, self.leases.borrow().iter().map(|kept| &kept.held)) {
            tracing::error!("{error}");
        }
    }

    /// The leases that a test is true of, no longer kept.
    fn take(&self, test: impl Fn(&NetworkConfig) -> bool) -> Vec<Kept> {
        self.leases.borrow_mut().extract_if(.., |kept| test(&kept.held.config)).collect()
    }

    /// Ends one, and waits until the server has been told.
    async fn end(&self, kept: Kept) -> Lease {
        let _ = kept.stop.send(());
        let _ = timeout(RELEASE, kept.task).await;
        kept.held.lease
    }
}

impl Handler for Rc<Registry> {
    async fn setup(&self, config: NetworkConfig) -> Result<rpc::Lease, Status> {
        let _busy = Busy::new(self);
        parse_mac(&config.container_mac_addr).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        if self.leases.borrow().len() >= LEASES_MAX {
            return Err(Status::new(Code::ResourceExhausted, format!("there are {LEASES_MAX} leases already")));
        }
        let internal = |error: crate::bridge::error::Error| Status::new(Code::Internal, error.to_string());
        let get = async {
            let mut holder = Holder::open(&config, None).await.map_err(internal)?;
            let lease = holder.first().await;
            Ok((holder, lease))
        };
        let late = |_| {
            let (interface, time) = (&config.container_iface, self.patience.as_secs());
            Status::new(
                Code::DeadlineExceeded,
                format!("no DHCP server granted {interface} an address within {time} s"),
            )
        };
        let (mut holder, lease) = timeout(self.patience, get).await.map_err(late)??;
        // A container that was never torn down: the server knows it by the same name and has given it the same address.
        for old in self.take(|other| is_same(other, &config)) {
            old.task.abort();
        }
        if let Err(error) = holder.apply(&lease) {
            holder.release();
            let _ = holder.remove();
            return Err(internal(error));
        }
        let held = Held { config, lease };
        let told = told(&held);
        let registry = Rc::clone(self);
        self.keep(held, async move |number, stop| registry.hold(number, holder, stop).await);
        Ok(told)
    }

    async fn teardown(&self, config: NetworkConfig) -> Result<rpc::Lease, Status> {
        let _busy = Busy::new(self);
        let mut last = rpc::Lease::default();
        for kept in self.take(|other| is_same(other, &config)) {
            last = told(&kept.held);
            self.end(kept).await;
        }
        self.save();
        Ok(last)
    }

    async fn clean(&self) -> Result<OperationResponse, Status> {
        let _busy = Busy::new(self);
        for kept in self.take(|_| true) {
            self.end(kept).await;
        }
        self.save();
        Ok(OperationResponse { success: true })
    }
}

/// Whether the container is somewhere else, or goes another way.
fn is_moved(before: &Lease, after: &Lease) -> bool {
    before.address != after.address || before.gateways.first() != after.gateways.first()
}

/// Whether they are about the same interface. One that is gone already is known by its container.
fn is_same(a: &NetworkConfig, b: &NetworkConfig) -> bool {
    let container = a.container_id == b.container_id && a.container_iface == b.container_iface;
    let mac = |config: &NetworkConfig| parse_mac(&config.container_mac_addr).ok();
    let same = match (mac(a), mac(b)) {
        (Some(a), Some(b)) if a != b => false,
        (Some(_), Some(_)) => container || a.container_id.is_empty() || b.container_id.is_empty(),
        _ => container && !a.container_id.is_empty(),
    };
    same && a.is_v6() == b.is_v6()
}
