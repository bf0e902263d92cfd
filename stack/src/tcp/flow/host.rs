//! The host's half of an open flow: bytes to and from its socket, and what its ends and failures mean for the container.

use smoltcp::socket::tcp::State;

use super::{GuestSide, HostSide, OpenFlow, RESET_GRACE};
use crate::Instant;
use crate::edge::{Close, Edge, FlowId, HostError};

impl OpenFlow {
    pub(super) fn send_to_host<E: Edge>(&mut self, now: Instant, id: FlowId, edge: &mut E) {
        let socket = self.endpoint.socket();
        if matches!(self.host, HostSide::Failed | HostSide::Broken) {
            // Nobody is left to read it; taking it keeps the container's window open until it hears the reset.
            while socket.recv_queue() > 0 {
                let Ok(discarded) = socket.recv(|bytes| (bytes.len(), bytes.len())) else { break };
                self.taken = self.taken.wrapping_add(discarded as u32);
            }
            return;
        }
        let finished = matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        while self.ready.writable && socket.recv_queue() > 0 {
            let send = if finished { E::tcp_send_last } else { E::tcp_send };
            let sent = socket.recv(|bytes| match send(edge, id, bytes) {
                Ok(sent) => {
                    let sent = sent.min(bytes.len());
                    (sent, Ok((sent, sent == bytes.len())))
                }
                Err(error) => (0, Err(error)),
            });
            match sent {
                Ok(Ok((sent, all))) => {
                    self.taken = self.taken.wrapping_add(sent as u32);
                    self.active = now;
                    self.moved += sent;
                    self.ready.writable = all;
                }
                Ok(Err(HostError::WouldBlock)) => self.ready.writable = false,
                Ok(Err(_)) => return self.host_failed(now, id, edge),
                Err(_) => break,
            }
        }
        if finished && socket.recv_queue() == 0 && self.guest == GuestSide::Open {
            self.guest = GuestSide::ShutDown;
            // When both ends are done the socket is closed in this very turn.
            if socket.state() != State::TimeWait {
                edge.tcp_shutdown(id);
            }
        }
    }

    pub(super) fn receive_from_host<E: Edge>(&mut self, now: Instant, id: FlowId, share: usize, edge: &mut E) {
        if !matches!(self.host, HostSide::Open | HostSide::Failed) {
            return;
        }
        let hang_up = self.ready.hang_up;
        let mut taken = 0;
        while (self.ready.readable || hang_up) && self.endpoint.socket().can_send() {
            if taken >= share {
                self.unfinished = true;
                return;
            }
            self.endpoint.touch();
            let received = self.endpoint.socket().send(|space| {
                let room = space.len().min(share);
                match edge.tcp_receive(id, &mut space[..room]) {
                    Ok(received) => (received.min(room), Ok((received, room))),
                    Err(error) => (0, Err(error)),
                }
            });
            match received {
                Ok(Ok((0, _)) | Err(HostError::WouldBlock)) if self.host == HostSide::Failed => {
                    return self.host_broke(now, id, edge);
                }
                Ok(Ok((0, _))) => {
                    self.host = HostSide::Ended;
                    return;
                }
                Ok(Ok((received, room))) => {
                    self.active = now;
                    taken += received;
                    self.moved += received;
                    // A short read has emptied the socket, unless an end of stream or an error waits behind it.
                    self.ready.readable = received >= room || hang_up;
                }
                Ok(Err(HostError::WouldBlock)) => {
                    self.ready.readable = false;
                    self.ready.hang_up = false;
                    return;
                }
                Ok(Err(_)) => return self.host_broke(now, id, edge),
                Err(_) => return,
            }
        }
    }

    /// Tells the container that the host has sent everything.
    ///
    /// smoltcp ignores all but acknowledgements of new data in LAST-ACK, window updates included, so nothing may be left
    /// to send then. In FIN-WAIT-1 what is left must fit the window, lest the FIN lose its retransmission timer to a
    /// zero-window probe.
    pub(super) fn pass_end_on(&mut self) {
        if self.host != HostSide::Ended {
            return;
        }
        let window = self.last_seen.window();
        let socket = self.endpoint.socket();
        let ready = match socket.state() {
            State::Established => socket.send_queue() <= window,
            State::CloseWait => socket.send_queue() == 0,
            _ => false,
        };
        if ready {
            socket.close();
        }
    }

    /// The host takes nothing more. What its peer sent before it broke off is still there to be received: the refusal of
    /// a request that was not read to its end, for one.
    fn host_failed<E: Edge>(&mut self, now: Instant, id: FlowId, edge: &mut E) {
        if self.host != HostSide::Open {
            return self.host_broke(now, id, edge);
        }
        self.host = HostSide::Failed;
        self.ready.hang_up = true;
        self.limit = Some(now + RESET_GRACE);
    }

    fn host_broke<E: Edge>(&mut self, now: Instant, id: FlowId, edge: &mut E) {
        self.host = HostSide::Broken;
        self.limit = Some(now + RESET_GRACE);
        edge.tcp_close(id, Close::Orderly);
    }

    /// Passes a broken host connection on as a reset, once the container has what came before it.
    pub(super) fn carry_reset<E: Edge>(&mut self, now: Instant, id: FlowId, edge: &mut E) {
        if !matches!(self.host, HostSide::Failed | HostSide::Broken) {
            return;
        }
        let overdue = self.limit.is_none_or(|limit| limit <= now);
        if overdue && self.host == HostSide::Failed {
            self.host_broke(now, id, edge);
        }
        let socket = self.endpoint.socket();
        if socket.is_active() && (overdue || self.host == HostSide::Broken && socket.send_queue() == 0) {
            socket.abort();
        }
    }
}
