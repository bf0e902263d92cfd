//! The control process's end of the line to the stack: one order at a time, each waited for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use super::protocol::{Code, Fault};
use crate::rootless::orders::wire::{Answer, Order, PACKET_MAX};
use crate::sys::packets;

/// How long the stack may take: it does this between two batches of packets, but thousands of sockets take their time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line.
pub(super) struct Line {
    socket: UnixDatagram,
    number: u32,
    buffer: Vec<u8>,
}

impl Line {
    /// To be called within the runtime.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Line> {
        // tokio has no type of its own for sockets that keep packets apart and have a connection, but does not look either.
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Line { socket: UnixDatagram::from_std(socket)?, number: 0, buffer: vec![0; PACKET_MAX] })
    }

    /// Gives an order; refusals are faults.
    pub(super) async fn ask(&mut self, order: &Order) -> Result<Answer, Fault> {
        match self.ask_with(order, &[]).await? {
            Answer::Refused { message, .. } => Err(Fault::new(Code::Failed, message)),
            answer => Ok(answer),
        }
    }

    /// Gives an order with descriptors.
    pub(super) async fn ask_with(&mut self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<Answer, Fault> {
        self.number = self.number.wrapping_add(1);
        let mut packet = self.number.to_ne_bytes().to_vec();
        serde_json::to_writer(&mut packet, order).map_err(|error| Fault::new(Code::Failed, error.to_string()))?;
        let exchange = async {
            self.send(&packet, fds).await?;
            self.receive().await
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                Err(Fault::new(Code::NetworkGone, format!("the network stack cannot be reached: {error}")))
            }
            Err(_) => Err(Fault::new(Code::NetworkGone, format!("the network stack did not answer for {PATIENCE:?}"))),
        }
    }

    async fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let send = || Ok(packets::send(self.socket.as_fd(), packet, fds, MsgFlags::MSG_DONTWAIT)?);
        self.socket.async_io(Interest::WRITABLE, send).await
    }

    /// The answer to the last order; what was asked before in vain is passed over.
    async fn receive(&mut self) -> io::Result<Answer> {
        loop {
            let Line { socket, buffer, .. } = self;
            let receive = || Ok(packets::receive(socket.as_fd(), buffer, MsgFlags::MSG_DONTWAIT)?.0);
            let length = socket.async_io(Interest::READABLE, receive).await?;
            if length == 0 {
                return Err(Errno::ECONNRESET.into());
            }
            let Some((number, json)) = self.buffer.get(..length).and_then(<[u8]>::split_first_chunk::<4>) else {
                continue;
            };
            if *number == self.number.to_ne_bytes() {
                return serde_json::from_slice(json).map_err(|_| Errno::EBADMSG.into());
            }
        }
    }
}
