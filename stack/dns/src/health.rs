//! Which of several servers is asked first: the first that works. One that does not is asked again from time to time, beside
//! another, so that nobody waits for it.

use std::time::{Duration, Instant};

/// How long after its failure a server is tried again, at first and at the most.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of a group of servers.
#[derive(Clone, Debug)]
pub struct Health {
    servers: Vec<Server>,
    /// Where the next round begins, when servers take turns.
    turn: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    answered: Option<Instant>,
    failed: Option<Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    pause: Duration,
    try_again: Instant,
}

impl Health {
    /// Servers of which nothing is known.
    pub fn new(count: usize) -> Health {
        Health { servers: vec![Server::default(); count], turn: 0 }
    }

    /// The servers in the order in which they are to be asked: those that work, then those that do not. With `rotate` each
    /// call begins with another one.
    pub fn order(&mut self, rotate: bool) -> Vec<usize> {
        let count = self.servers.len();
        if rotate && count > 0 {
            self.turn = (self.turn + 1) % count;
        }
        let all = || (0..count).map(|at| (at + self.turn) % count);
        let works = |at: &usize| self.servers.get(*at).is_some_and(|server| server.failed.is_none());
        all().filter(works).chain(all().filter(|at| !works(at))).collect()
    }

    /// The server that is to be asked first when they do not take turns.
    pub fn first(&self) -> Option<usize> {
        self.servers.iter().position(|server| server.failed.is_none())
    }

    /// A server that does not work and is due to be tried again. It is not named again before its next pause is over.
    pub fn due(&mut self, now: Instant) -> Option<usize> {
        let due = |server: &Server| server.failed.is_some_and(|failed| failed.try_again <= now);
        let at = self.servers.iter().position(due)?;
        self.failed(at, now);
        Some(at)
    }

    /// Notes that a server has answered.
    pub fn answered(&mut self, at: usize, now: Instant) {
        if let Some(server) = self.servers.get_mut(at) {
            *server = Server { answered: Some(now), failed: None };
        }
    }

    /// Notes that a server has not answered what it was asked at `asked`. That says nothing when it has answered others since.
    pub fn silent(&mut self, at: usize, asked: Instant, now: Instant) {
        if self.servers.get(at).is_some_and(|server| server.answered.is_none_or(|answered| answered < asked)) {
            self.failed(at, now);
        }
    }

    /// Notes that a server cannot be reached.
    pub fn failed(&mut self, at: usize, now: Instant) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let pause = match server.failed {
            None => PAUSE,
            // Many queries may tell of one failure.
            Some(failed) if now < failed.try_again => return,
            Some(failed) => (failed.pause * 2).min(LONGEST_PAUSE),
        };
        server.failed = Some(Failed { pause, try_again: now + pause });
    }

    /// Whether a server has answered when it was last asked.
    pub fn works(&self, at: usize) -> bool {
        self.servers.get(at).is_some_and(|server| server.answered.is_some() && server.failed.is_none())
    }

    /// Whether none works, as far as is known.
    pub fn all_failed(&self) -> bool {
        self.servers.iter().all(|server| server.failed.is_some())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_comes_last_until_it_answers() {
        let start = Instant::now();
        let mut health = Health::new(3);
        assert_eq!(health.order(false), [0, 1, 2]);
        health.failed(0, start);
        health.answered(1, start);
        assert_eq!(health.order(false), [1, 2, 0]);
        assert!(health.works(1) && !health.works(0) && !health.works(2) && !health.all_failed());
        assert_eq!(health.due(start + Duration::from_millis(1900)), None);
        assert_eq!(health.due(start + PAUSE), Some(0));
        assert_eq!(health.due(start + PAUSE * 2), None, "the next pause is longer");
        assert_eq!(health.due(start + PAUSE * 3), Some(0));
        health.silent(1, start, start);
        health.answered(0, start);
        assert_eq!(health.order(false), [0, 1, 2]);
        assert_eq!(health.due(start + Duration::from_secs(999)), None);
    }

    #[test]
    fn pauses_are_bounded() {
        let mut now = Instant::now();
        let mut health = Health::new(1);
        for _ in 0..40 {
            now += LONGEST_PAUSE;
            health.failed(0, now);
        }
        assert!(health.all_failed());
        assert_eq!(health.due(now + LONGEST_PAUSE - PAUSE), None);
        assert_eq!(health.due(now + LONGEST_PAUSE), Some(0));
    }

    #[test]
    fn many_queries_tell_of_one_failure() {
        let start = Instant::now();
        let mut health = Health::new(1);
        for _ in 0..40 {
            health.failed(0, start);
        }
        assert_eq!(health.due(start + PAUSE), Some(0));
    }

    #[test]
    fn servers_may_take_turns() {
        let mut health = Health::new(2);
        assert_eq!([health.order(true), health.order(true)], [[1, 0], [0, 1]]);
        assert_eq!(Health::new(0).order(true), Vec::<usize>::new());
    }
}
