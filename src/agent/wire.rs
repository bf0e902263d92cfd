//! What the agent and the stack say to each other: a packet each, in which sockets come along.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use rnet_stack::Family;

use super::ports::Port;
use crate::config::Protocol;
use crate::sys::packets;

/// Sockets that one packet carries at the most.
pub const SOCKETS_A_PACKET: u8 = 64;

/// Changes that one packet tells at the most.
const CHANGES_A_PACKET: usize = 512;

/// Bytes of the longest packet.
const PACKET_MAX: usize = 1 + 4 * CHANGES_A_PACKET;

/// What the stack wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// So many TCP sockets that are ready to connect.
    Sockets(Family, u8),
    /// The socket of one more exposed port. Nothing comes where something listens there already.
    Expose(Port),
}

/// What the agent tells.
#[derive(Debug)]
pub enum News {
    /// So many sockets that are ready to connect; none when they cannot be had. Fewer arrive when descriptors are short.
    Sockets(Family, u8, Vec<OwnedFd>),
    /// The socket of an exposed port at the container's loopback: listening (TCP) or bound (UDP).
    Exposed(Port, OwnedFd),
    /// Ports that have come into use, or are no longer.
    Ports(Vec<(Port, bool)>),
    /// All ports that are in use have been told. Whether addresses are translated inside: what listens says little then.
    Surveyed {
        /// Whether there are rules that translate addresses.
        translated: bool,
    },
    /// The container has ended, and nothing of it may be kept.
    Over,
}

impl Order {
    /// Sends it, unless the agent has not read enough yet.
    pub fn send(self, to: BorrowedFd<'_>) -> nix::Result<()> {
        match self {
            Order::Sockets(family, count) => {
                packets::send(to, &[b's', letter(family), count], &[], MsgFlags::MSG_DONTWAIT)
            }
            Order::Expose(port) => {
                let [high, low] = port.number.to_be_bytes();
                packets::send(to, &[b'x', port.set(), high, low], &[], MsgFlags::MSG_DONTWAIT)
            }
        }
    }

    /// Receives one; `None` at the end.
    pub fn receive(from: BorrowedFd<'_>) -> nix::Result<Option<Order>> {
        let mut buffer = [0; 4];
        let (length, _) = packets::receive(from, &mut buffer, MsgFlags::MSG_DONTWAIT)?;
        match *buffer.get(..length).unwrap_or_default() {
            [] => Ok(None),
            [b's', family, count] => Ok(Some(Order::Sockets(family_of(family)?, count.min(SOCKETS_A_PACKET)))),
            [b'x', set, high, low] => {
                let port = Port::in_set(set, u16::from_be_bytes([high, low])).ok_or(Errno::EBADMSG)?;
                Ok(Some(Order::Expose(port)))
            }
            _ => Err(Errno::EBADMSG),
        }
    }
}

/// Tells the stack.
pub fn send(to: BorrowedFd<'_>, news: &News) -> nix::Result<()> {
    let send = |bytes: &[u8], fds: &[BorrowedFd<'_>]| packets::send(to, bytes, fds, MsgFlags::empty());
    match news {
        News::Sockets(family, count, sockets) => {
            send(&[b's', letter(*family), *count], &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>())
        }
        News::Exposed(port, socket) => {
            let [high, low] = port.number.to_be_bytes();
            send(&[b'x', port.set(), high, low], &[socket.as_fd()])
        }
        News::Ports(changes) => changes.chunks(CHANGES_A_PACKET).try_for_each(|changes| {
            let mut bytes = vec![b'p'];
            for (port, is_open) in changes {
                let [high, low] = port.number.to_be_bytes();
                bytes.extend([port.set(), u8::from(*is_open), high, low]);
            }
            send(&bytes, &[])
        }),
        News::Surveyed { translated } => send(&[b'd', u8::from(*translated)], &[]),
        News::Over => send(b"e", &[]),
    }
}

/// Hears the agent, without waiting; `None` when it has ended.
///
/// # Errors
/// EAGAIN when it has nothing to say; EBADMSG for what no agent says.
pub fn receive(from: BorrowedFd<'_>) -> nix::Result<Option<News>> {
    let mut buffer = [0; PACKET_MAX];
    let (length, mut fds) = packets::receive(from, &mut buffer, MsgFlags::MSG_DONTWAIT)?;
    let port = |set: u8, high: u8, low: u8| Port::in_set(set, u16::from_be_bytes([high, low])).ok_or(Errno::EBADMSG);
    Ok(Some(match buffer.get(..length).unwrap_or_default() {
        [] => return Ok(None),
        [b's', family, count] => News::Sockets(family_of(*family)?, *count, fds),
        [b'x', set, high, low] => News::Exposed(port(*set, *high, *low)?, fds.pop().ok_or(Errno::EBADMSG)?),
        [b'p', changes @ ..] => News::Ports(
            changes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|[set, is_open, high, low]| Ok((port(*set, *high, *low)?, *is_open != 0)))
                .collect::<nix::Result<_>>()?,
        ),
        [b'd', translated] => News::Surveyed { translated: *translated != 0 },
        [b'e'] => News::Over,
        _ => return Err(Errno::EBADMSG),
    }))
}

fn letter(family: Family) -> u8 {
    match family {
        Family::V4 => b'4',
        Family::V6 => b'6',
    }
}

fn family_of(letter: u8) -> nix::Result<Family> {
    match letter {
        b'4' => Ok(Family::V4),
        b'6' => Ok(Family::V6),
        _ => Err(Errno::EBADMSG),
    }
}

/// A port at both families.
pub(super) fn in_families(protocol: Protocol, number: u16) -> [Port; 2] {
    [Family::V4, Family::V6].map(|family| Port { protocol, family, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_and_orders_arrive_as_they_were_sent() {
        let (a, b) = packets::pair().unwrap();
        Order::Sockets(Family::V6, 200).send(a.as_fd()).unwrap();
        assert_eq!(Order::receive(b.as_fd()), Ok(Some(Order::Sockets(Family::V6, SOCKETS_A_PACKET))));
        assert_eq!(Order::receive(b.as_fd()), Err(Errno::EAGAIN));
        let changes: Vec<_> = (1..=700)
            .flat_map(|number| in_families(Protocol::Udp, number))
            .map(|port| (port, port.number % 2 == 0))
            .collect();
        send(a.as_fd(), &News::Ports(changes.clone())).unwrap();
        send(a.as_fd(), &News::Surveyed { translated: true }).unwrap();
        send(a.as_fd(), &News::Exposed(changes[9].0, std::fs::File::open("/dev/null").unwrap().into())).unwrap();
        send(a.as_fd(), &News::Sockets(Family::V4, 0, Vec::new())).unwrap();
        send(a.as_fd(), &News::Over).unwrap();
        drop(a);
        let mut told = Vec::new();
        while told.len() < changes.len() {
            let Ok(Some(News::Ports(part))) = receive(b.as_fd()) else { panic!() };
            told.extend(part);
        }
        assert_eq!(told, changes);
        assert!(matches!(receive(b.as_fd()), Ok(Some(News::Surveyed { translated: true }))));
        assert!(matches!(receive(b.as_fd()), Ok(Some(News::Exposed(port, _))) if port == changes[9].0));
        assert!(matches!(receive(b.as_fd()), Ok(Some(News::Sockets(Family::V4, 0, sockets))) if sockets.is_empty()));
        assert!(matches!(receive(b.as_fd()), Ok(Some(News::Over))));
        assert!(matches!(receive(b.as_fd()), Ok(None)));
    }
}
