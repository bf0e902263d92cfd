//! Queries by UDP: as many as have come are read at once, and the answers to all that can be answered at once leave together.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use rnet_dns::Reply;
use tokio::task::yield_now;
use tracing::warn;

use super::listener::Listener;
use super::resolver::{Outcome, Resolver};
use crate::dns::forwarder::Via;
use crate::sys::datagrams::{self, BATCH, Inbox};

/// After an error that is the socket's own.
const PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    /// Room to receive into: what has come is dealt with before another listener gets its turn.
    static INBOX: std::cell::RefCell<Inbox> = std::cell::RefCell::default();
}

/// Serves a listener's datagrams for ever.
pub async fn serve(listener: Rc<Listener>, resolver: Rc<Resolver>) {
    while let Ok(mut ready) = listener.udp.readable().await {
        let received = INBOX.with_borrow_mut(|inbox| {
            let received = inbox.receive(listener.udp.get_ref())?;
            for (from, message) in inbox.iter() {
                query(&listener, &resolver, from, message);
            }
            Ok(received)
        });
        flush(&listener).await;
        match received {
            Ok(BATCH) => yield_now().await,
            Ok(_) | Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(errno) => {
                if let Some(before) = listener.troubles.due() {
                    warn!(before, "receive queries: {errno}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn query(listener: &Rc<Listener>, resolver: &Rc<Resolver>, from: SocketAddr, message: &[u8]) {
    match resolver.ask(listener.network(), from.ip(), message, Via::Udp) {
        Outcome::Answered(reply) => listener.outbox.borrow_mut().push((from, reply)),
        Outcome::Ignored => {}
        Outcome::Asked(asked, share) => {
            // A listener that is closed meanwhile is not kept open for it.
            let listener = Rc::downgrade(listener);
            asked.then(move |reply| {
                drop(share);
                if let Some(listener) = listener.upgrade().filter(|_| !reply.is_empty()) {
                    listener.outbox.borrow_mut().push((from, reply));
                    listener.posted.notify_one();
                }
            });
        }
    }
}

/// Sends answers that come later, for ever.
pub async fn send_posted(listener: Rc<Listener>) {
    loop {
        listener.posted.notified().await;
        // Whatever else is ready now may have an answer too.
        yield_now().await;
        flush(&listener).await;
    }
}

/// Sends what waits, and waits itself while the kernel has no room.
async fn flush(listener: &Listener) {
    let mut waiting: Vec<(SocketAddr, Reply)> = listener.outbox.take();
    let mut sent = 0;
    while let Some(rest) = waiting.get(sent..).filter(|rest| !rest.is_empty()) {
        match datagrams::send(listener.udp.get_ref(), rest) {
            Ok(count) => sent += count.max(1),
            Err(Errno::EAGAIN) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(Errno::EINTR) => {}
            Err(errno) => {
                // It cannot be sent to this one client: its interface is gone, or somebody's rules forbid it.
                if let Some(before) = listener.troubles.due() {
                    let to = rest.first().map(|(to, _)| to.to_string()).unwrap_or_default();
                    warn!(to, before, "send an answer: {errno}");
                }
                sent += 1;
            }
        }
    }
    waiting.clear();
    // Its memory is used again, unless answers have come meanwhile.
    let mut outbox = listener.outbox.borrow_mut();
    if outbox.is_empty() && waiting.capacity() <= 4 * BATCH {
        *outbox = waiting;
    }
}
