//! What an event of the splicer's is about.

use mio::Token;

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The workers.
    Entrance,
    /// The agent.
    Agent,
    /// An end (0 or 1) of a pair.
    Pair(usize, usize),
    /// A listener of an exposed port.
    Listener(usize),
    /// The socket of an exposed UDP port.
    Port(usize),
    /// The host's socket of a client of such a port.
    Client(usize),
}

const KIND_BITS: usize = 3;

impl Source {
    /// The token to register a descriptor under.
    pub const fn token(self) -> Token {
        let (kind, index) = match self {
            Source::Entrance => (0, 0),
            Source::Agent => (0, 1),
            Source::Pair(index, 0) => (1, index),
            Source::Pair(index, _) => (2, index),
            Source::Listener(index) => (3, index),
            Source::Port(index) => (4, index),
            Source::Client(index) => (5, index),
        };
        Token((index << KIND_BITS) | kind)
    }

    /// What a token stands for.
    pub const fn of(token: Token) -> Option<Source> {
        let index = token.0 >> KIND_BITS;
        match token.0 & ((1 << KIND_BITS) - 1) {
            0 if index == 0 => Some(Source::Entrance),
            0 => Some(Source::Agent),
            1 => Some(Source::Pair(index, 0)),
            2 => Some(Source::Pair(index, 1)),
            3 => Some(Source::Listener(index)),
            4 => Some(Source::Port(index)),
            5 => Some(Source::Client(index)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        use Source::{Agent, Client, Entrance, Listener, Pair, Port};
        for source in [Entrance, Agent, Pair(0, 0), Pair(7, 1), Listener(1), Port(2), Client(16000)] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
