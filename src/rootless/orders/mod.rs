//! Orders to the workers of a running network: to open and close published ports, and to tell what goes on.
//!
//! Whoever has a [`Handle`] may give them, from any thread but a worker's own. Each is carried out by the worker itself, between
//! two batches of events, and waited for: nothing of a worker's is shared, and no packet waits for a lock.

pub mod clerk;
mod list;
mod ports;
mod rules;
pub mod wire;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use super::worker::Worker;
use crate::config::Network;

pub use list::{Flow, FlowPage, FlowPlace, FlowState};
pub use rules::{Commit, Established, Refused};

use rules::Rules;

/// Something to be done by a worker.
pub type Order = Box<dyn FnOnce(&mut Worker) + Send>;

/// The workers have ended, or are about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network has ended")]
pub struct Gone;

/// Gives orders to the workers of one container.
#[derive(Clone)]
pub struct Handle(Arc<Office>);

struct Office {
    desks: Vec<Arc<Desk>>,
    network: Network,
    rules: Mutex<Rules>,
}

/// Where orders for one worker lie.
struct Desk {
    /// `None` when the worker is gone.
    orders: Mutex<Option<Vec<Order>>>,
    waker: Arc<Waker>,
}

/// A worker's end of its desk. When it is dropped whoever waits for an answer hears that there will be none.
pub struct Inbox(Arc<Desk>);

/// A desk's state is whole after each call, whatever panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// A handle to workers that are woken by `wakers`, with what each of them needs to get its orders. The rules of `network` are
    /// numbered from 0 on.
    pub fn new(wakers: Vec<Arc<Waker>>, network: &Network) -> (Handle, Vec<Inbox>) {
        let desk = |waker| Arc::new(Desk { orders: Mutex::new(Some(Vec::new())), waker });
        let desks: Vec<Arc<Desk>> = wakers.into_iter().map(desk).collect();
        let inboxes = desks.iter().map(|desk| Inbox(Arc::clone(desk))).collect();
        let rules = Mutex::new(Rules::new(&network.publish));
        (Handle(Arc::new(Office { desks, network: network.clone(), rules })), inboxes)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.0.desks.len()
    }

    /// Has each worker do something with its own of `inputs`, all at once, and waits for their answers.
    ///
    /// # Errors
    /// When one of them is gone; others may have done it.
    pub fn ask_each<I: Send + 'static, T: Send + 'static>(
        &self,
        inputs: impl IntoIterator<Item = I>,
        what: fn(&mut Worker, I) -> T,
    ) -> Result<Vec<T>, Gone> {
        let answers: Vec<Receiver<T>> =
            self.0.desks.iter().zip(inputs).map(|(desk, input)| desk.put(input, what)).collect::<Result<_, _>>()?;
        answers.into_iter().map(|answer| answer.recv().map_err(|_| Gone)).collect()
    }

    /// Has one worker do something.
    ///
    /// # Errors
    /// When it is gone, or there is none of that number.
    pub fn ask<I: Send + 'static, T: Send + 'static>(
        &self,
        worker: usize,
        input: I,
        what: fn(&mut Worker, I) -> T,
    ) -> Result<T, Gone> {
        self.0.desks.get(worker).ok_or(Gone)?.put(input, what)?.recv().map_err(|_| Gone)
    }
}

impl Desk {
    fn put<I: Send + 'static, T: Send + 'static>(
        &self,
        input: I,
        what: fn(&mut Worker, I) -> T,
    ) -> Result<Receiver<T>, Gone> {
        let (answer, receiver) = sync_channel(1);
        let order: Order = Box::new(move |worker| {
            // Nobody may be left to hear it.
            let _ = answer.send(what(worker, input));
        });
        lock(&self.orders).as_mut().ok_or(Gone)?.push(order);
        self.waker.wake().map_err(|_| Gone)?;
        Ok(receiver)
    }
}

impl Inbox {
    /// Takes all orders, the oldest first.
    pub fn take(&self) -> Vec<Order> {
        lock(&self.0.orders).as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *lock(&self.0.orders) = None;
    }
}
