//! What the fuzzer, and a test, do with any bytes: they are a server's messages, and moments that pass, and nothing may panic or spin.

use std::time::Duration;

use super::{Client, Event, Identity, Transmit, packet};

/// What the length of a message counts, in bytes: one byte of lengths reaches over all that a server may say.
const UNIT: usize = 4;
/// struct bootp: where the transaction and the client's address are.
const XID: std::ops::Range<usize> = 4..8;
/// The same of DHCPv6.
const XID6: std::ops::Range<usize> = 1..4;
const ADDRESS: std::ops::Range<usize> = 28..34;

/// Plays a server: the first byte says which, and each further piece is a message with its length before it, or a moment (length 0).
///
/// # Panics
/// When the client does not keep what it promises.
pub fn serve(bytes: &[u8]) {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let _ = packet::to_client(rest);
    let v6 = first & 1 == 1;
    let identity = Identity { mac: [2, 0, 0, 0, 0, 5], container_id: "c".into(), ..Identity::default() };
    let mut client = Client::new(identity, v6, None, Duration::ZERO, 7);
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    while let Some((&length, after)) = rest.split_first() {
        let message = after.get(..usize::from(length) * UNIT).unwrap_or(after);
        rest = &after[message.len()..];
        let event = if message.is_empty() {
            now = now.max(client.timeout().unwrap_or(now));
            let (message, event) = client.handle_timeout(now);
            if let Some(Transmit::Broadcast(_, bytes) | Transmit::Unicast(_, _, bytes) | Transmit::Multicast(bytes)) =
                message
            {
                assert!(client.timeout().is_some_and(|at| at > now), "a message is repeated at once");
                sent = bytes;
            }
            event
        } else {
            let mut message = message.to_vec();
            // Otherwise nothing would be for this client.
            let known: &[std::ops::Range<usize>] = if v6 { &[XID6] } else { &[XID, ADDRESS] };
            for range in known.iter().cloned() {
                if let (Some(into), Some(from)) = (message.get_mut(range.clone()), sent.get(range)) {
                    into.copy_from_slice(from);
                }
            }
            client.receive(now, &message)
        };
        if let Some(Event::Bound(lease)) = event {
            assert!(0 < lease.t1 && lease.t1 <= lease.t2 && lease.t2 <= lease.lifetime, "{lease:?}");
            assert!([&lease.gateways, &lease.dns, &lease.ntp].iter().all(|list| list.len() <= 16), "{lease:?}");
            assert!(client.timeout().is_none_or(|at| at > now), "{lease:?}");
        }
    }
    client.release();
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_will_do() {
        let mut random = crate::bridge::dhcp::client::timing::Random::new(1);
        for round in 0_usize..2000 {
            let bytes: Vec<u8> = (0..round % 600).map(|_| random.next() as u8).collect();
            super::serve(&bytes);
        }
    }
}
