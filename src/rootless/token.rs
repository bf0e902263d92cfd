//! What an event is about, packed into the one number that epoll keeps for a descriptor.

use mio::Token;
use rnet_stack::{FlowId, PingId, UdpId};

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The tap device.
    Tap,
    /// The descriptor whose end is the order to stop.
    Stop,
    /// A TCP flow's socket.
    Tcp(FlowId),
    /// A UDP mapping's socket.
    Udp(UdpId),
    /// An echo mapping's ping socket.
    Ping(PingId),
    /// The other workers, or somebody with an order.
    Team,
    /// The name server.
    NameServer,
    /// The listening socket of a published port.
    Listener(u32),
}

const KIND_BITS: usize = 3;

impl Source {
    /// The token to register a descriptor under.
    pub const fn token(self) -> Token {
        let (kind, index) = match self {
            Source::Tap => (0, 0),
            Source::Stop => (1, 0),
            Source::Tcp(flow) => (2, flow.0),
            Source::Udp(mapping) => (3, mapping.0),
            Source::Ping(mapping) => (4, mapping.0),
            Source::Team => (5, 0),
            Source::Listener(index) => (6, index),
            Source::NameServer => (7, 0),
        };
        Token(((index as usize) << KIND_BITS) | kind)
    }

    /// What a token stands for.
    pub const fn of(token: Token) -> Option<Source> {
        let index = (token.0 >> KIND_BITS) as u32;
        match token.0 & ((1 << KIND_BITS) - 1) {
            0 => Some(Source::Tap),
            1 => Some(Source::Stop),
            2 => Some(Source::Tcp(FlowId(index))),
            3 => Some(Source::Udp(UdpId(index))),
            4 => Some(Source::Ping(PingId(index))),
            5 => Some(Source::Team),
            6 => Some(Source::Listener(index)),
            7 => Some(Source::NameServer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        let sources = [
            Source::Tap,
            Source::Stop,
            Source::Tcp(FlowId(7)),
            Source::Udp(UdpId(u32::MAX >> 3)),
            Source::Ping(PingId(0)),
            Source::Team,
            Source::Listener(65535),
            Source::NameServer,
        ];
        for source in sources {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
