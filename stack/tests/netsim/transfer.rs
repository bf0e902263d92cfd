//! One bulk transfer over one flow: every byte compared, both ends closed in order.

use rnet_stack::{Duration, Instant, Limits};
use smoltcp::socket::tcp::State;

use super::link::Impairment;
use super::world::{Ip, Opener, Step, World};
use crate::support::random::bytes;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the container to the host.
    Out,
    /// From the host to the container.
    In,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub direction: Direction,
    pub ip: Ip,
    pub opener: Opener,
    pub mtu: u16,
    pub impairment: Impairment,
    pub bytes: usize,
}

/// No transfer may take longer.
const LIMIT: Duration = Duration::from_secs(3600);

/// Bytes of the container's socket buffers.
const GUEST_BUFFER: usize = 1 << 20;

impl Transfer {
    /// Runs it; returns how long the bytes took from the first SYN to the last byte.
    pub fn run(&self) -> Duration {
        let mut world = World::new(self.ip, self.mtu, self.impairment, Limits::default());
        let handle = world.open(self.ip, self.opener, GUEST_BUFFER);
        let (mut sent, mut got, mut arrived) = (0, 0, None);
        let total = self.bytes;
        world.run(LIMIT, |world| {
            let mut moved = false;
            let Some(conn) = world.host.conns.first_mut() else { return Step::Waits };
            let socket = world.guest.sockets.get_mut::<smoltcp::socket::tcp::Socket>(handle);
            match self.direction {
                Direction::Out => {
                    while sent < total && socket.can_send() {
                        sent += socket.send_slice(bytes(sent, (total - sent).min(65536))).unwrap();
                        moved = true;
                    }
                    if sent == total && socket.state() == State::Established && socket.send_queue() == 0 {
                        socket.close();
                        moved = true;
                    }
                    got += compare(got, &conn.peer_read(usize::MAX), &mut moved);
                    if conn.shut_down {
                        assert_eq!(got, total);
                        conn.peer_close();
                    }
                }
                Direction::In => {
                    while sent < total {
                        let went = conn.peer_write(bytes(sent, (total - sent).min(65536)));
                        if went == 0 {
                            break;
                        }
                        sent += went;
                        moved = true;
                    }
                    if sent == total {
                        conn.peer_close();
                    }
                    while socket.can_recv() {
                        let read = socket.recv(|piece| (piece.len(), piece.to_vec())).unwrap();
                        got += compare(got, &read, &mut moved);
                    }
                    if socket.state() == State::CloseWait {
                        assert_eq!(got, total);
                        socket.close();
                        moved = true;
                    }
                }
            }
            if got == total && arrived.is_none() {
                arrived = Some(world.now);
            }
            let over = conn.closed.is_some() && matches!(socket.state(), State::Closed | State::TimeWait);
            if over { Step::Done } else { Step::moved(moved) }
        });
        let holdings = world.stack.holdings();
        assert_eq!((holdings.tcp_flows, holdings.buffer_bytes, world.host.open()), (0, 0, 0));
        arrived.unwrap_or(world.now) - Instant::ZERO
    }
}

fn compare(at: usize, piece: &[u8], moved: &mut bool) -> usize {
    assert!(piece == bytes(at, piece.len()), "bytes from {at} on differ");
    *moved |= !piece.is_empty();
    piece.len()
}
