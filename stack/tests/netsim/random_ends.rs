//! Any interleaving of writes, reads, closes and resets at both ends, over a bad link: nothing is lost or reordered
//! before a close, what arrives before a reset is a prefix of what was sent, and in the end nothing is held.

use proptest::prelude::*;
use rnet_stack::{Duration, Limits};
use smoltcp::socket::tcp::{Socket, State};

use super::link::Impairment;
use super::world::{Ip, Opener, Step, World};
use crate::support::random::bytes;

#[derive(Clone, Copy, Debug)]
enum Action {
    GuestWrite(u16),
    HostWrite(u16),
    GuestRead(u16),
    HostRead(u16),
    GuestClose,
    HostClose,
    GuestReset,
    HostReset,
    Pass(u16),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => any::<u16>().prop_map(Action::GuestWrite),
        8 => any::<u16>().prop_map(Action::HostWrite),
        4 => any::<u16>().prop_map(Action::GuestRead),
        4 => any::<u16>().prop_map(Action::HostRead),
        1 => Just(Action::GuestClose),
        1 => Just(Action::HostClose),
        1 => Just(Action::GuestReset),
        1 => Just(Action::HostReset),
        6 => (0u16..3000).prop_map(Action::Pass),
    ]
}

/// Both ends' books.
#[derive(Debug, Default)]
struct Ends {
    guest_sent: usize,
    guest_got: usize,
    guest_closed: bool,
    host_sent: usize,
    host_got: usize,
    host_closed: bool,
    reset: bool,
}

impl Ends {
    fn guest_read(&mut self, socket: &mut Socket<'_>, len: usize) {
        if !socket.can_recv() {
            return;
        }
        let mut read = vec![0; len.min(socket.recv_queue())];
        let got = socket.recv_slice(&mut read).unwrap();
        assert_eq!(&read[..got], bytes(self.guest_got, got));
        self.guest_got += got;
    }

    fn play(&mut self, world: &mut World, handle: smoltcp::iface::SocketHandle, action: Action) {
        let Some(conn) = world.host.conns.first_mut() else { return };
        let socket = world.guest.sockets.get_mut::<Socket>(handle);
        match action {
            Action::GuestWrite(len) if socket.can_send() && !self.guest_closed => {
                self.guest_sent += socket.send_slice(bytes(self.guest_sent, len.into())).unwrap();
            }
            Action::HostWrite(len) => self.host_sent += conn.peer_write(bytes(self.host_sent, len.into())),
            Action::GuestRead(len) => self.guest_read(socket, len.into()),
            Action::HostRead(len) => {
                let read = conn.peer_read(len.into());
                assert_eq!(read, bytes(self.host_got, read.len()));
                self.host_got += read.len();
            }
            Action::GuestClose => self.guest_closed = true,
            Action::HostClose => {
                self.host_closed = true;
                conn.peer_close();
            }
            Action::GuestReset => {
                self.reset = true;
                socket.abort();
            }
            Action::HostReset => {
                self.reset = true;
                conn.peer_reset();
            }
            // smoltcp forgets unread bytes when TIME-WAIT ends, so they are read before.
            Action::Pass(_) if socket.state() == State::TimeWait => self.guest_read(socket, usize::MAX),
            Action::Pass(millis) => world.pass(Duration::from_millis(millis.into())),
            Action::GuestWrite(_) => {}
        }
        // smoltcp is deaf to window updates in LAST-ACK, and so ends only when everything is acknowledged.
        let socket = world.guest.sockets.get_mut::<Socket>(handle);
        if self.guest_closed && socket.send_queue() == 0 {
            socket.close();
        }
    }
}

fn impairment() -> impl Strategy<Value = Impairment> {
    (0u64..20_000, 0u32..30_000, 0u32..50_000, 0u32..50_000).prop_map(|(delay, loss, reorder, duplicate)| Impairment {
        delay: Duration::from_micros(delay),
        loss,
        reorder,
        duplicate,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_interleaving_loses_a_byte(
        actions in proptest::collection::vec(action(), 1..60),
        link in prop_oneof![Just(Impairment::default()), impairment()],
        opener in prop_oneof![Just(Opener::Guest), Just(Opener::Client)],
        // Large segments go past the receive ring.
        mtu in prop_oneof![Just(1500), Just(65520)],
    ) {
        let mut world = World::new(Ip::V4, mtu, link, Limits::default());
        let handle = world.open(Ip::V4, opener, 100 << 10);
        // Its repeated probes make up for the retransmission timer that smoltcp loses at a closed window.
        world.guest.socket(handle).set_keep_alive(Some(Duration::from_secs(5)));
        world.run(Duration::from_secs(600), |world| {
            let socket = world.guest.sockets.get::<Socket>(handle);
            if socket.state() == State::Established { Step::Done } else { Step::Waits }
        });
        let mut ends = Ends::default();
        for action in actions {
            ends.play(&mut world, handle, action);
            while world.turn() || world.host.has_events() {}
        }
        // Both ends close, and read what there is.
        ends.play(&mut world, handle, Action::GuestClose);
        ends.play(&mut world, handle, Action::HostClose);
        world.run(Duration::from_secs(3600), |world| {
            let before = (ends.guest_got, ends.host_got);
            ends.play(world, handle, Action::GuestRead(u16::MAX));
            ends.play(world, handle, Action::HostRead(u16::MAX));
            let over = world.stack.holdings().tcp_flows == 0;
            if over { Step::Done } else { Step::moved(before != (ends.guest_got, ends.host_got)) }
        });
        ends.play(&mut world, handle, Action::GuestRead(u16::MAX));
        while world.host.conns[0].peer_pending() > 0 {
            ends.play(&mut world, handle, Action::HostRead(u16::MAX));
        }
        if !ends.reset {
            prop_assert_eq!((ends.guest_sent, ends.host_sent), (ends.host_got, ends.guest_got), "{:?}", ends);
        }
        let holdings = world.stack.holdings();
        prop_assert_eq!((holdings.tcp_flows, holdings.tcp_half_open, holdings.buffer_bytes), (0, 0, 0));
        prop_assert_eq!(world.host.open(), 0);
    }
}
