//! What the workers of one container share: who owns which flow, packets on their way from one to another, the container's
//! hardware address, and the common end.
//!
//! Nothing of this is touched by a packet whose flow belongs to the worker that read it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mio::{Poll, Waker};
use rnet_stack::frame::MacAddr;
use rnet_stack::{Claim, Diverted, HostError, Limits, Peer};

use super::mail::Mail;
use super::token::Source;

/// Why all workers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// They were told to stop.
    Stopped,
    /// The tap device is gone, and with it the container's namespace.
    DeviceGone,
    /// One of them has failed, which it tells itself.
    Failed,
}

/// What all have in common.
struct Team {
    /// Each entry stands for a flow or mapping of some worker, which bounds their number by the limits of those.
    owners: Mutex<HashMap<Claim, u32>>,
    boxes: Box<[Letterbox]>,
    /// The container's hardware address in the lower 48 bits; 0 while nobody knows it.
    guest: AtomicU64,
    /// A bit for each worker that has nothing left to do before it stops.
    done: AtomicU32,
    end: OnceLock<End>,
}

/// Where a worker gets packets from the others.
struct Letterbox {
    mail: Mutex<Mail>,
    waker: Arc<Waker>,
}

/// One worker's place among the others.
pub struct Member {
    number: u32,
    team: Arc<Team>,
    /// Room for the next mail, kept from the last.
    spare: Mail,
    /// What `Team::guest` was when it was last looked at.
    guest: u64,
}

/// The places of `count` workers, 32 at most, each with what it waits for events with.
///
/// # Errors
/// When descriptors are short.
pub fn assemble(count: u32) -> io::Result<Vec<(Poll, Member)>> {
    let polls: Vec<Poll> = (0..count).map(|_| Poll::new()).collect::<io::Result<_>>()?;
    let boxes = polls.iter().map(|poll| {
        let waker = Waker::new(poll.registry(), Source::Team.token())?;
        Ok(Letterbox { mail: Mutex::default(), waker: Arc::new(waker) })
    });
    let team = Arc::new(Team {
        owners: Mutex::default(),
        boxes: boxes.collect::<io::Result<_>>()?,
        guest: AtomicU64::new(0),
        done: AtomicU32::new(0),
        end: OnceLock::new(),
    });
    let member = |number| Member { number, team: Arc::clone(&team), spare: Mail::default(), guest: 0 };
    Ok(polls.into_iter().zip(0..).map(|(poll, number)| (poll, member(number))).collect())
}

/// A worker that panicked has left the table as any other moment would: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    fn end(&self, end: End) {
        if self.end.set(end).is_ok() {
            for letterbox in &self.boxes {
                // It fails only for a worker that is gone.
                let _ = letterbox.waker.wake();
            }
        }
    }
}

impl Member {
    /// This worker's part of what the container may have in all.
    pub fn part(&self, limits: Limits) -> Limits {
        let (count, number) = (self.team.boxes.len(), self.number as usize);
        let part = |whole: usize| whole / count + usize::from(number < whole % count);
        Limits {
            tcp_flows: part(limits.tcp_flows),
            tcp_half_open: part(limits.tcp_half_open),
            buffer_bytes: part(limits.buffer_bytes),
            udp_mappings: part(limits.udp_mappings),
            icmp_mappings: part(limits.icmp_mappings),
        }
    }

    /// What wakes this worker, with an event of [`Source::Team`].
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.team.boxes[self.number as usize].waker)
    }

    /// Claims what nobody else has claimed.
    pub fn claim(&self, what: &Claim) -> Result<(), Peer> {
        let owner = *lock(&self.team.owners).entry(*what).or_insert(self.number);
        if owner == self.number { Ok(()) } else { Err(Peer(owner)) }
    }

    /// Gives up what this worker has claimed.
    pub fn release(&self, what: &Claim) {
        let mut owners = lock(&self.team.owners);
        if owners.get(what) == Some(&self.number) {
            owners.remove(what);
        }
    }

    /// The other worker that has claimed this.
    pub fn owner(&self, what: &Claim) -> Option<Peer> {
        let owner = lock(&self.team.owners).get(what).copied()?;
        (owner != self.number).then_some(Peer(owner))
    }

    /// The worker that does what only one can do, unless it is this one.
    pub fn lead(&self) -> Option<Peer> {
        (self.number != 0).then_some(Peer(0))
    }

    /// Puts a copy of a packet into another worker's letter box.
    pub fn divert(&self, to: Peer, packet: &Diverted<'_>) -> Result<(), HostError> {
        let letterbox = self.team.boxes.get(to.0 as usize).ok_or(HostError::WouldBlock)?;
        let mut mail = lock(&letterbox.mail);
        let was_empty = mail.is_empty();
        mail.put(packet)?;
        drop(mail);
        if was_empty {
            // Whoever empties the box was woken by the first that came into it.
            let _ = letterbox.waker.wake();
        }
        Ok(())
    }

    /// Takes what is in this worker's letter box; to be given back by [`Member::read`].
    pub fn collect(&mut self) -> Mail {
        let mut mail = std::mem::take(&mut self.spare);
        std::mem::swap(&mut mail, &mut lock(&self.team.boxes[self.number as usize].mail));
        mail
    }

    /// Gives the room of read mail back.
    pub fn read(&mut self, mut mail: Mail) {
        mail.clear();
        self.spare = mail;
    }

    /// Tells the others the container's hardware address.
    pub fn learned(&mut self, mac: MacAddr) {
        let [a, b, c, d, e, f] = mac.0;
        self.guest = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        self.team.guest.store(self.guest, Ordering::Relaxed);
    }

    /// The container's hardware address, if another worker has told a new one.
    pub fn news_of_guest(&mut self) -> Option<MacAddr> {
        let guest = self.team.guest.load(Ordering::Relaxed);
        if guest == self.guest {
            return None;
        }
        self.guest = guest;
        let [_, _, mac @ ..] = guest.to_be_bytes();
        Some(MacAddr(mac))
    }

    /// Says whether this worker has done everything before it stops; tells whether they all end now.
    pub fn is_done(&self, done: bool) -> Option<End> {
        let bit = 1 << self.number;
        // What another sent before it was done is still to be read.
        if done && lock(&self.team.boxes[self.number as usize].mail).is_empty() {
            let all = u32::MAX >> (32 - self.team.boxes.len());
            if self.team.done.fetch_or(bit, Ordering::AcqRel) | bit == all {
                self.team.end(End::Stopped);
            }
        } else if self.team.done.load(Ordering::Relaxed) & bit != 0 {
            self.team.done.fetch_and(!bit, Ordering::AcqRel);
        }
        self.ended()
    }

    /// Ends all workers.
    pub fn end(&self, end: End) {
        self.team.end(end);
    }

    /// Whether all workers end, and why.
    pub fn ended(&self) -> Option<End> {
        self.team.end.get().copied()
    }
}

impl Drop for Member {
    /// A worker that goes on its own account, by a panic, takes the others along: its part of the flows is lost.
    fn drop(&mut self) {
        self.team.end(End::Failed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use rnet_stack::frame::Offload;

    use super::*;

    fn members(count: u32) -> Vec<Member> {
        assemble(count).unwrap().into_iter().map(|(_, member)| member).collect()
    }

    #[test]
    fn the_parts_of_a_limit_are_the_limit() {
        let whole = Limits { tcp_flows: 10, ..Limits::default() };
        let parts: Vec<Limits> = members(4).iter().map(|member| member.part(whole)).collect();
        assert_eq!(parts.iter().map(|part| part.tcp_flows).collect::<Vec<_>>(), [3, 3, 2, 2]);
        assert_eq!(parts.iter().map(|part| part.buffer_bytes).sum::<usize>(), whole.buffer_bytes);
    }

    #[test]
    fn what_one_has_claimed_another_cannot_claim_or_release() {
        let [one, two] = &members(2)[..] else { panic!() };
        let claim = Claim::Udp { guest: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 7 };
        assert_eq!((one.claim(&claim), two.claim(&claim)), (Ok(()), Err(Peer(0))));
        two.release(&claim);
        assert_eq!((two.owner(&claim), one.owner(&claim)), (Some(Peer(0)), None));
        one.release(&claim);
        assert_eq!((two.claim(&claim), one.owner(&claim)), (Ok(()), Some(Peer(1))));
    }

    #[test]
    fn they_end_when_all_are_done_and_have_read_their_mail() {
        let [one, two] = &mut members(2)[..] else { panic!() };
        assert_eq!(one.is_done(true), None);
        assert_eq!(one.is_done(false), None);
        assert_eq!(two.is_done(true), None, "one has changed its mind");
        let packet = Diverted { mac: MacAddr([2; 6]), packet: b"packet", offload: Offload::default() };
        two.divert(Peer(0), &packet).unwrap();
        assert_eq!(one.is_done(true), None, "it has mail");
        let mail = one.collect();
        assert_eq!(mail.iter().map(|packet| packet.packet.to_vec()).collect::<Vec<_>>(), [b"packet"]);
        one.read(mail);
        assert_eq!((one.is_done(true), two.ended()), (Some(End::Stopped), Some(End::Stopped)));
    }

    #[test]
    fn one_that_goes_takes_the_others_along() {
        let mut members = members(3);
        drop(members.pop());
        assert_eq!(members[0].ended(), Some(End::Failed));
    }

    #[test]
    fn a_hardware_address_is_news_once() {
        let [one, two] = &mut members(2)[..] else { panic!() };
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        one.learned(mac);
        assert_eq!((one.news_of_guest(), two.news_of_guest(), two.news_of_guest()), (None, Some(mac), None));
    }
}
