//! Queries over connections (RFC 7766).

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tracing::warn;

use super::clients::What;
use super::listener::Listener;
use super::resolver::{Caller, Resolver};
use crate::dns::stream;

/// How long a connection may be silent, or a message incomplete: as long as with aardvark-dns.
const IDLE: Duration = Duration::from_secs(3);

/// When no connection can be accepted, for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a listener's connections for ever.
pub async fn serve(listener: Rc<Listener>, resolver: Rc<Resolver>) {
    loop {
        let (stream, from) = match listener.tcp.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(before) = listener.troubles.due() {
                    warn!(before, "accept a connection: {error}");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // One connection more than a client may have is closed at once.
        let Some(share) = resolver.clients.admit(from.ip(), What::Connection) else { continue };
        let _ = stream.set_nodelay(true);
        let caller = Caller { resolver: Rc::clone(&resolver), listener: Rc::downgrade(&listener), from: from.ip() };
        spawn_local(async move {
            // However it ends, there is nobody to tell.
            let _ = stream::serve(stream, caller, IDLE).await;
            drop(share);
        });
    }
}
