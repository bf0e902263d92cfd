//! Serves the clients of a control socket: so many at once, none of them for longer than it takes its replies.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::answer::{Desk, Then};
use super::protocol::{Code, Fault, REQUEST_MAX, parse, reply};

/// Clients at once.
pub(super) const CLIENTS_MAX: usize = 64;

/// How long a client may take from the first byte of a request to the last.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may leave a reply that does not fit its socket.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// How long nobody is accepted when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// Accepts clients for as long as it is polled.
pub(super) async fn serve(listener: UnixListener, desk: Arc<Desk>, shutdown: Arc<Notify>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        match listener.accept().await {
            Ok((client, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let (desk, shutdown) = (Arc::clone(&desk), Arc::clone(&shutdown));
                    tokio::spawn(async move {
                        // A client that is gone has nobody to be told.
                        let _ = session(client, &desk, &shutdown).await;
                        drop(place);
                    });
                }
                Err(_) => turn_away(client),
            },
            Err(error) => {
                tracing::debug!(%error, "a client of the control socket has to wait");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Says why, without waiting for anything: the socket is new and has room.
fn turn_away(client: UnixStream) {
    let fault = Fault::new(Code::TooManyClients, format!("{CLIENTS_MAX} clients are being served: try again later"));
    if let Ok(mut client) = client.into_std() {
        let _ = client.write_all(&reply(None, &Err(fault)));
    }
}

/// Serves a client until it goes, or has to go.
async fn session(mut client: UnixStream, desk: &Desk, shutdown: &Notify) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        let line = match next_line(&mut client, &mut received).await? {
            Line::Whole(line) => line,
            Line::None => return Ok(()),
            Line::Fault(fault) => return answer(&mut client, &reply(None, &Err(fault))).await,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match parse(&line) {
            Ok(call) => {
                let (outcome, then) = desk.answer(&call.request).await;
                answer(&mut client, &reply(call.id.as_ref(), &outcome)).await?;
                if then == Then::ShutDown {
                    shutdown.notify_one();
                }
            }
            Err((id, fault)) => {
                let is_fatal = fault.code.is_fatal();
                answer(&mut client, &reply(id.as_ref(), &Err(fault))).await?;
                if is_fatal {
                    return Ok(());
                }
            }
        }
    }
}

enum Line {
    /// A line without its end.
    Whole(Vec<u8>),
    /// The client has gone; what it left behind is no request.
    None,
    /// It is not to be had.
    Fault(Fault),
}

/// The next line; what follows it stays in `received`. A client that is silent between two requests may be so for ever.
async fn next_line(client: &mut UnixStream, received: &mut Vec<u8>) -> io::Result<Line> {
    let mut searched = 0;
    if received.is_empty() && read(client, received).await? == 0 {
        return Ok(Line::None);
    }
    let whole = async {
        loop {
            if let Some(end) = received.iter().skip(searched).position(|&byte| byte == b'\n') {
                let rest = received.split_off(searched + end + 1);
                let mut line = std::mem::replace(received, rest);
                line.pop();
                return Ok(Line::Whole(line));
            }
            searched = received.len();
            if searched > REQUEST_MAX {
                let fault = Fault::new(Code::TooLong, format!("a request has {REQUEST_MAX} bytes at the most"));
                return Ok(Line::Fault(fault));
            }
            if read(client, received).await? == 0 {
                return Ok(Line::None);
            }
        }
    };
    match timeout(REQUEST_LIMIT, whole).await {
        Ok(line) => line,
        Err(_) => {
            let fault = Fault::new(Code::TimedOut, format!("the request has no end after {REQUEST_LIMIT:?}"));
            Ok(Line::Fault(fault))
        }
    }
}

async fn read(client: &mut UnixStream, received: &mut Vec<u8>) -> io::Result<usize> {
    received.reserve(READ);
    client.read_buf(received).await
}

async fn answer(client: &mut UnixStream, reply: &[u8]) -> io::Result<()> {
    timeout(REPLY_LIMIT, client.write_all(reply)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
