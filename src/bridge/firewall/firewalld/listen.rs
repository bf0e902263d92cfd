//! Waiting for firewalld to be reloaded, or started again, after which it has forgotten what was only in its running configuration.

use futures_util::{Stream, StreamExt, stream};
use zbus::{Connection, MatchRule, Message, MessageStream, message};

use super::bus::{Bus, NAME, RUNTIME};
use crate::bridge::error::Result;

/// So many signals may wait while one is worked on; more of them would say nothing new.
const QUEUE: usize = 16;

/// Works at once, and again each time that firewalld has forgotten, until the bus ends.
pub fn on_each_reload(mut work: impl FnMut()) -> Result<()> {
    let bus = Bus::open()?;
    let mut signals = bus.wait(async |connection| subscribe(connection).await)?;
    // What happened before anybody listened.
    work();
    while let Some(signal) = bus.next(&mut signals) {
        signal?;
        work();
    }
    Ok(())
}

async fn subscribe(connection: &Connection) -> zbus::Result<impl Stream<Item = zbus::Result<Message>> + Unpin + use<>> {
    let reloaded = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(NAME)?
        .path(RUNTIME)?
        .interface(NAME)?
        .member("Reloaded")?
        .build();
    let started = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .add_arg(NAME)?
        .build();
    let reloaded = MessageStream::for_match_rule(reloaded, connection, Some(QUEUE)).await?;
    let started = MessageStream::for_match_rule(started, connection, Some(QUEUE)).await?;
    let has_owner = |message: &Message| {
        message.body().deserialize::<(String, String, String)>().is_ok_and(|(_, _, owner)| !owner.is_empty())
    };
    let started = started.filter(move |message| std::future::ready(message.as_ref().map_or(true, has_owner)));
    Ok(stream::select(reloaded, started))
}
