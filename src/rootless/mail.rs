//! Packets that one worker has left for another: bounded, and in one piece of memory that is used again.

use rnet_stack::frame::{MacAddr, Offload};
use rnet_stack::{Diverted, HostError};

/// Bytes of packets that wait for one worker: more than the receive rings of a few flows.
const BYTES: usize = 2 << 20;

/// Packets that wait for one worker.
const PACKETS: usize = 4096;

/// Room that is kept for the next time.
const KEPT: usize = 256 << 10;

/// Packets in the order in which they came.
#[derive(Debug, Default)]
pub struct Mail {
    bytes: Vec<u8>,
    packets: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mac: MacAddr,
    offload: Offload,
    len: usize,
}

impl Mail {
    /// Adds a copy of a packet.
    ///
    /// # Errors
    /// [`HostError::WouldBlock`] when there is as much already as may be.
    pub fn put(&mut self, packet: &Diverted<'_>) -> Result<(), HostError> {
        let &Diverted { mac, packet, offload } = packet;
        if self.packets.len() >= PACKETS || self.bytes.len() + packet.len() > BYTES {
            return Err(HostError::WouldBlock);
        }
        self.bytes.extend_from_slice(packet);
        self.packets.push(Entry { mac, offload, len: packet.len() });
        Ok(())
    }

    /// The packets, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Diverted<'_>> {
        let mut rest = &self.bytes[..];
        self.packets.iter().map_while(move |&Entry { mac, offload, len }| {
            let (packet, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some(Diverted { mac, packet, offload })
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Removes all, and gives most of the room back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.packets.clear();
        self.packets.shrink_to(KEPT / size_of::<Entry>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(mail: &mut Mail, number: u8, len: usize) -> Result<(), HostError> {
        let packet = vec![number; len];
        mail.put(&Diverted { mac: MacAddr([2, 0, 0, 0, 0, number]), packet: &packet, offload: Offload::default() })
    }

    #[test]
    fn packets_come_as_they_were_put_in() {
        let mut mail = Mail::default();
        for number in 0..3 {
            put(&mut mail, number, usize::from(number) * 100).unwrap();
        }
        let seen: Vec<(u8, usize)> = mail.iter().map(|packet| (packet.mac.0[5], packet.packet.len())).collect();
        assert_eq!(seen, [(0, 0), (1, 100), (2, 200)]);
        mail.clear();
        assert!(mail.is_empty() && mail.iter().next().is_none());
    }

    #[test]
    fn bytes_and_packets_are_bounded() {
        let mut mail = Mail::default();
        let taken = (0..1000).take_while(|_| put(&mut mail, 1, 60_000).is_ok()).count();
        assert_eq!(taken, BYTES / 60_000);
        mail.clear();
        assert!(mail.bytes.capacity() <= KEPT);
        let taken = (0..10_000).take_while(|_| put(&mut mail, 1, 60).is_ok()).count();
        assert_eq!(taken, PACKETS);
    }
}
