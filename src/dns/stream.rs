//! Queries over connections (RFC 7766): each message behind its length, several at once, answers in the order in which they
//! come.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rnet_dns::Reply;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

use super::forwarder::{Ask, Forwarder, Place, Via, Waiting};

/// Connections at once. A client keeps one or two.
const CONNECTIONS_MAX: usize = 128;

/// Queries of one connection that wait for answers at once.
const QUERIES_MAX: usize = 32;

/// How long a connection may be silent or a message incomplete (RFC 7766 section 6.2.3 asks for seconds).
const IDLE: Duration = Duration::from_secs(10);

/// Bytes of a zone that is passed on.
const TRANSFER_MAX: usize = 1 << 30;

/// How long a client may take to read an answer.
const SLOW: Duration = Duration::from_secs(10);

/// Who answers what comes over a connection.
pub trait Answers {
    /// Comes before each query.
    async fn prepare(&self) {}

    /// The connection to a server that was asked for a whole zone, if this message asks for one.
    async fn transfer(&self, message: &[u8]) -> Option<io::Result<(TcpStream, Place)>>;

    /// What becomes of a message.
    fn ask(&self, message: &[u8]) -> Answer;
}

/// What becomes of a message from a connection.
pub enum Answer {
    /// This is said to it.
    Now(Reply),
    /// The answer comes later; one without bytes is none.
    Later(Waiting),
    /// It is no query, which makes what follows doubtful too.
    Never,
}

impl Answers for Rc<Forwarder> {
    async fn prepare(&self) {
        if self.is_host_due() {
            self.follow_host().await;
        }
    }

    async fn transfer(&self, message: &[u8]) -> Option<io::Result<(TcpStream, Place)>> {
        Forwarder::transfer(self, message).await
    }

    fn ask(&self, message: &[u8]) -> Answer {
        match Forwarder::ask(self, message, Via::Tcp) {
            Ask::Answered(reply) => Answer::Now(reply),
            Ask::Asked(asked) => Answer::Later(asked.into_future()),
            Ask::Ignored => Answer::Never,
        }
    }
}

/// How many connections there are.
#[derive(Debug, Default)]
pub struct Connections {
    count: Cell<usize>,
    refused: Cell<u64>,
}

impl Connections {
    /// Connections that were closed at once because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }
}

/// Serves a connection, unless there are too many.
pub fn start<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    forwarder: Rc<Forwarder>,
    connections: &Rc<Connections>,
) {
    if connections.count.get() >= CONNECTIONS_MAX {
        connections.refused.set(connections.refused.get() + 1);
        return;
    }
    connections.count.set(connections.count.get() + 1);
    let connections = Rc::clone(connections);
    spawn_local(async move {
        // However it ends, there is nobody to tell.
        let _ = serve(stream, forwarder, IDLE).await;
        connections.count.set(connections.count.get().saturating_sub(1));
    });
}

/// Serves a connection to its end. It may be silent, or a message incomplete, for as long as `idle`.
///
/// # Errors
/// Those of the connection; there is nobody to tell.
pub async fn serve<S, A>(stream: S, answers: A, idle: Duration) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Answers,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut room: Vec<u8> = Vec::new();
    let mut waiting = FuturesUnordered::new();
    let mut quiet_since = Instant::now();
    let mut ended = false;
    loop {
        while waiting.len() < QUERIES_MAX
            && let Some(message) = take_message(&mut room)
        {
            quiet_since = Instant::now();
            answers.prepare().await;
            if let Some(transfer) = answers.transfer(&message).await {
                relay(transfer?, &message, &mut writer).await?;
                continue;
            }
            match answers.ask(&message) {
                Answer::Now(reply) => write(&mut writer, &reply).await?,
                Answer::Later(answer) => waiting.push(answer),
                Answer::Never => return Ok(()),
            }
        }
        if ended && waiting.is_empty() {
            return writer.shutdown().await;
        }
        tokio::select! {
            Some(reply) = waiting.next(), if !waiting.is_empty() => {
                quiet_since = Instant::now();
                if !reply.is_empty() {
                    write(&mut writer, &reply).await?;
                }
            }
            read = reader.read_buf(&mut room), if !ended && waiting.len() < QUERIES_MAX => {
                ended = read? == 0;
            }
            () = sleep_until(quiet_since + idle), if waiting.is_empty() => return Ok(()),
        }
    }
}

/// Passes on what a server says of a whole zone, in many messages, until it falls silent.
async fn relay(
    (mut server, _place): (impl AsyncRead + Unpin, impl Sized),
    query: &[u8],
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut left = TRANSFER_MAX;
    while let Ok(Ok(len)) = timeout(IDLE, server.read_u16()).await {
        let mut message = vec![0; len.into()];
        left = left.saturating_sub(message.len());
        if !matches!(timeout(IDLE, server.read_exact(&mut message)).await, Ok(Ok(_))) || left == 0 {
            break;
        }
        rnet_dns::wire::put_u16(&mut message, 0, rnet_dns::wire::id(query).unwrap_or(0));
        write(writer, &message).await?;
        if rnet_dns::rcode_of(&message) != Some(0) {
            break;
        }
    }
    Ok(())
}

/// Takes the first message out of what was read, if it is whole.
fn take_message(room: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (len, rest) = room.split_first_chunk::<2>()?;
    let message = rest.get(..u16::from_be_bytes(*len).into())?.to_vec();
    room.drain(..2 + message.len());
    Some(message)
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), reply: &[u8]) -> io::Result<()> {
    let Ok(len) = u16::try_from(reply.len()) else { return Ok(()) };
    let framed = [&len.to_be_bytes(), reply].concat();
    timeout(SLOW, writer.write_all(&framed)).await?
}
