//! What a script is made of.

use arbitrary::Arbitrary;
use rnet_stack::HostError;

#[derive(Arbitrary, Debug)]
pub struct Script {
    /// Whether buffers of every size may be had, rather than small ones only.
    pub roomy: bool,
    pub small_mtu: bool,
    /// Whether UDP ports are published.
    pub published: bool,
    pub ops: Vec<Op>,
}

/// One thing that happens. Small numbers name flows and mappings; they are taken modulo what there is.
#[derive(Arbitrary, Debug)]
pub enum Op {
    /// Any bytes.
    Raw {
        bytes: Vec<u8>,
        valid: bool,
    },
    /// A captured frame with some bytes changed.
    Captured {
        which: u8,
        changes: Vec<(u8, u8)>,
        valid: bool,
    },
    Syn {
        flow: u8,
        v6: bool,
        mss: Option<u16>,
        scale: Option<u8>,
        window: u16,
        options: [u8; 4],
    },
    /// A client connects to a published port. The container's end is that of a flow's, so that other operations reach it.
    Accept {
        flow: u8,
        v6: bool,
        loopback: bool,
    },
    /// The container's answer to that.
    SynAck {
        flow: u8,
        ack: Offset,
        mss: Option<u16>,
        scale: Option<u8>,
        timestamps: bool,
        window: u16,
        len: u8,
    },
    Segment {
        flow: u8,
        flags: u8,
        seq: Offset,
        ack: Offset,
        window: u16,
        len: u16,
    },
    /// An acknowledgement of all that came, and perhaps a FIN.
    Acknowledge {
        flow: u8,
        window: u16,
        fin: bool,
    },
    Udp {
        port: u8,
        v6: bool,
        to: u8,
        len: u16,
        segment: u16,
        ttl: u8,
        cut: bool,
    },
    Ping {
        id: u8,
        v6: bool,
        to: u8,
        len: u16,
        ttl: u8,
    },
    /// How the next connects, opens and sends end.
    Refuse {
        connect: Option<Error>,
        open: Option<Error>,
        send: Option<Error>,
    },
    Connected {
        flow: u8,
        ready: u8,
    },
    ConnectFailed {
        flow: u8,
        error: Error,
    },
    HostSends {
        flow: u8,
        len: u16,
        end: End,
    },
    HostTakes {
        flow: u8,
        len: u16,
    },
    Ready {
        flow: u8,
        ready: u8,
    },
    UdpReceived {
        mapping: u8,
        from: u8,
        len: u16,
        segment: u16,
    },
    UdpError {
        mapping: u8,
        icmp: (u8, u8, u16),
        to: u8,
        payload: u8,
    },
    PingReceived {
        mapping: u8,
        from: u8,
        sequence: u16,
        len: u16,
    },
    PingError {
        mapping: u8,
        icmp: (u8, u8, u16),
        to: u8,
        payload: u8,
    },
    Flush,
    /// Goes on to the next deadline.
    NextDeadline,
    /// Milliseconds pass.
    Pass {
        millis: u16,
    },
}

/// How the host peer ends its stream.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    No,
    Fin,
    Reset,
    /// Sending fails; what it sent before can still be received.
    Deaf,
}

/// How far a number is off from what would be right.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Offset {
    Right,
    Near(i8),
    Far(i16),
    Absolute(u32),
}

impl Offset {
    pub fn from(self, right: u32) -> u32 {
        match self {
            Offset::Right => right,
            Offset::Near(by) => right.wrapping_add_signed(by.into()),
            Offset::Far(by) => right.wrapping_add_signed(i32::from(by) * 3),
            Offset::Absolute(number) => number,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Error {
    WouldBlock,
    Refused,
    Reset,
    NetUnreachable,
    HostUnreachable,
    Prohibited,
    TimedOut,
    TooBig(u16),
    Exhausted,
}

impl From<Error> for HostError {
    fn from(error: Error) -> HostError {
        match error {
            Error::WouldBlock => HostError::WouldBlock,
            Error::Refused => HostError::Refused,
            Error::Reset => HostError::Reset,
            Error::NetUnreachable => HostError::NetUnreachable,
            Error::HostUnreachable => HostError::HostUnreachable,
            Error::Prohibited => HostError::Prohibited,
            Error::TimedOut => HostError::TimedOut,
            Error::TooBig(mtu) => HostError::TooBig(mtu.into()),
            Error::Exhausted => HostError::Exhausted,
        }
    }
}
