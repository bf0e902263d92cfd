//! A spliced connection: two sockets, and a way from each to the other.

use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;

use super::pipes::Pipes;
use super::way::{Turn, Way};
use crate::rootless::listen::RuleId;

/// How long one that is reset by an end may have for what that end had sent before.
pub const RESET_GRACE: Duration = Duration::from_secs(5);

/// Two sockets: that of a client which was accepted, and one that connects to where it wants to go.
#[derive(Debug)]
pub struct Pair {
    /// The client's, and the other.
    pub ends: [TcpStream; 2],
    ways: [Way; 2],
    /// An end that is reset or closed in both directions.
    broken: [bool; 2],
    /// The rule that the client came by, if it was one.
    pub rule: Option<RuleId>,
    /// When it is looked at whether it lives at all.
    pub deadline: Option<Instant>,
    /// Whether it waits for its turn.
    pub due: bool,
}

/// What becomes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for events.
    Waits,
    /// It has more to do.
    Due,
    /// It needs a pipe.
    Starved,
    /// Both directions have ended in order.
    Done,
    /// It is to be reset at the ends of which this is true, as soon as they have what they were sent.
    Reset([bool; 2]),
}

impl Pair {
    /// With all to be tried out.
    pub fn new(client: TcpStream, other: TcpStream, rule: Option<RuleId>, deadline: Instant) -> Pair {
        Pair {
            ends: [client, other],
            ways: [Way::new(), Way::new()],
            broken: [false; 2],
            rule,
            deadline: Some(deadline),
            due: false,
        }
    }

    /// Notes what an event says of an end.
    pub fn event(&mut self, end: usize, event: &Event) {
        let [first, second] = &mut self.ways;
        let (from, to) = if end == 0 { (first, second) } else { (second, first) };
        let gone = event.is_error() || (event.is_read_closed() && event.is_write_closed());
        from.readable |= event.is_readable() || event.is_read_closed() || gone;
        from.closing |= event.is_read_closed() || gone;
        from.urgent |= event.is_priority();
        from.readable |= event.is_priority();
        to.writable |= event.is_writable() || gone;
        if event.is_error() {
            self.deadline = Some(Instant::now() + RESET_GRACE);
        }
    }

    /// Moves what can be moved.
    pub fn turn(&mut self, pipes: &mut Pipes, moved: &mut u64) -> Fate {
        let mut fate = Fate::Waits;
        let mut at = 0;
        let mut turns = 0;
        while turns < 2 {
            let [first, second] = &self.ends;
            let (from, to) = if at == 0 { (first, second) } else { (second, first) };
            let turn = self.ways[at].turn(from, to, pipes, moved);
            turns += 1;
            match turn {
                Turn::Idle => {}
                Turn::More => fate = Fate::Due,
                Turn::Starved => fate = if fate == Fate::Waits { Fate::Starved } else { fate },
                Turn::SourceBroken => return self.reset(at),
                Turn::SinkBroken => {
                    let other = 1 - at;
                    self.ways[at].put_away(pipes);
                    self.ways[at].closed = true;
                    // What it sent before is still to be read.
                    if std::mem::replace(&mut self.broken[other], true) || self.ways[other].closed {
                        return self.reset(other);
                    }
                    self.ways[other].readable = true;
                    self.ways[other].closing = true;
                    turns = turns.min(1);
                }
            }
            at = 1 - at;
        }
        match (self.ways[0].closed && self.ways[1].closed, self.broken) {
            (true, [false, false]) => Fate::Done,
            (true, [first, _]) => self.reset(usize::from(!first)),
            (false, _) => fate,
        }
    }

    /// An end is broken: the other is reset.
    fn reset(&self, end: usize) -> Fate {
        Fate::Reset([end != 0, end != 1])
    }

    /// Whether nothing more comes from the second end, and all of it has been passed on.
    pub fn is_settled(&self) -> bool {
        self.ways[1].closed
    }

    /// Gives the pipes back.
    pub fn put_away(&mut self, pipes: &mut Pipes) {
        self.ways.iter_mut().for_each(|way| way.put_away(pipes));
    }
}
