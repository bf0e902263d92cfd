//! A server that is asked in the clear: by UDP, and by TCP when its answer does not fit or the client came that way.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rnet_dns::wire::{self, flag};
use rnet_dns::{Query, is_answer_to};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::ports::{Outcome, Ports, Then};
use super::{Common, Fetched, socket};
use crate::dns::forwarder::Via;

/// A datagram that may be lost is sent again after so long, then after twice as long.
const RESEND: Duration = Duration::from_secs(1);

/// Answers to other questions that are put up with before a connection is given up.
const WRONG_MAX: usize = 64;

/// A server at an address.
pub struct Plain {
    address: SocketAddr,
    common: Rc<Common>,
    ports: Rc<Ports>,
}

impl Plain {
    pub fn new(address: SocketAddr, common: Rc<Common>) -> Plain {
        let ports = Ports::new(address, Rc::clone(&common));
        Plain { address, common, ports }
    }

    /// Asks once by UDP, and does `then` with what comes of it within `patience`.
    pub fn ask_once(&self, query: &Query<'_>, patience: Duration, then: Then) {
        self.ports.ask(query, patience, then);
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, query: &Query<'_>, via: Via) -> io::Result<Fetched> {
        if via == Via::Tcp {
            let full = Box::pin(self.ask_tcp(query)).await?;
            return Ok(Fetched { full, short: None });
        }
        let mut pause = RESEND;
        loop {
            let (sender, outcome) = oneshot::channel();
            self.ask_once(query, pause, Box::new(|outcome| drop(sender.send(outcome))));
            match outcome.await.map_err(io::Error::other)? {
                Outcome::Reply(reply) => return Ok(self.whole(query, reply).await),
                Outcome::Failed(error) => return Err(error),
                Outcome::Silence => pause *= 2,
            }
        }
    }

    /// The whole of an answer that came by UDP.
    pub async fn whole(&self, query: &Query<'_>, reply: Vec<u8>) -> Fetched {
        if !is_cut(&reply) {
            return Fetched { full: reply, short: None };
        }
        // Seldom enough not to make room for it in every query's future.
        match Box::pin(self.ask_tcp(query)).await {
            Ok(full) => Fetched { full, short: Some(reply) },
            // The client may have more luck, or be content.
            Err(_) => Fetched { full: reply, short: None },
        }
    }

    async fn ask_tcp(&self, query: &Query<'_>) -> io::Result<Vec<u8>> {
        let message = query.upstream(self.common.random.number()?);
        let mut stream = self.send_tcp(&message).await?;
        for _ in 0..WRONG_MAX {
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            if is_answer_to(&message, &reply) {
                return Ok(reply);
            }
        }
        Err(io::Error::other("it answers what it was not asked"))
    }

    /// Asks for a whole zone; its messages are to be read from the connection.
    pub async fn transfer(&self, query: &Query<'_>) -> io::Result<TcpStream> {
        self.send_tcp(&query.upstream(self.common.random.number()?)).await
    }

    async fn send_tcp(&self, message: &[u8]) -> io::Result<TcpStream> {
        let mut stream = socket::connect(&self.common.outbound, self.address).await?;
        let len = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&len.to_be_bytes(), message].concat()).await?;
        Ok(stream)
    }
}

/// Whether an answer did not fit into its datagram.
pub fn is_cut(reply: &[u8]) -> bool {
    wire::flags(reply).is_some_and(|flags| flags & flag::TC != 0)
}
