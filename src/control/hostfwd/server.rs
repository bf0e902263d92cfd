//! Serves clients: each has one request, and is answered as soon as that is whole, or cannot become so.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::book::{Book, refusal};
use super::request::{REQUEST_MAX, Refused, is_unfinished};
use crate::control::server::CLIENTS_MAX;

/// How long a client may take to write its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to take its answer and go.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long nobody is accepted when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts clients for as long as it is polled; whoever comes when many are served waits.
pub(in crate::control) async fn serve(listener: UnixListener, book: Arc<Book>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let book = Arc::clone(&book);
                tokio::spawn(async move {
                    // A client that is gone has nobody to be told.
                    let _ = exchange(client, &book).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a client of the API socket has to wait");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn exchange(mut client: UnixStream, book: &Book) -> io::Result<()> {
    let request = timeout(REQUEST_LIMIT, receive(&mut client)).await.unwrap_or(Ok(Some(Vec::new())))?;
    let answer = match &request {
        Some(text) => book.answer(text).await,
        None => refusal(&Refused::by("too large message")),
    };
    let text = answer.to_string();
    let leave = async {
        client.write_all(text.as_bytes()).await?;
        client.shutdown().await?;
        if request.is_none() {
            // Who writes without end would be read for as long as is waited.
            SockRef::from(&client).shutdown(Shutdown::Read)?;
        }
        // Closed with something unread, the socket would tell the client of a reset.
        let mut rest = [0; REQUEST_MAX];
        while client.read(&mut rest).await? > 0 {}
        Ok(())
    };
    timeout(ANSWER_LIMIT, leave).await.unwrap_or(Ok(()))
}

/// A request; `None` when it is too long. It ends where its JSON does, or where the client has nothing more to write.
async fn receive(client: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut text = vec![0; REQUEST_MAX];
    let mut filled = 0;
    loop {
        let Some(room) = text.get_mut(filled..).filter(|room| !room.is_empty()) else { return Ok(None) };
        let count = client.read(room).await?;
        filled += count;
        if filled == REQUEST_MAX {
            return Ok(None);
        }
        let read = text.get(..filled).unwrap_or_default();
        if count == 0 || !is_unfinished(read) {
            return Ok(Some(read.to_vec()));
        }
    }
}
