//! The wire format of messages (RFC 1035 section 4): headers, names and records as places in a message.

use std::ops::Range;

/// Bytes of a message's header.
pub const HEADER_LEN: usize = 12;

/// Bytes of a name at the most, its root included (RFC 1035 section 3.1).
pub const NAME_MAX: usize = 255;

/// Header bits (RFC 1035 section 4.1.1, RFC 4035 section 3).
pub mod flag {
    /// The message is a response.
    pub const QR: u16 = 0x8000;
    /// What kind of query it is.
    pub const OPCODE: u16 = 0x7800;
    /// The answer is authoritative.
    pub const AA: u16 = 0x0400;
    /// The message was cut.
    pub const TC: u16 = 0x0200;
    /// Recursion is desired.
    pub const RD: u16 = 0x0100;
    /// Recursion is available.
    pub const RA: u16 = 0x0080;
    /// Must be zero.
    pub const Z: u16 = 0x0040;
    /// The answer is authentic.
    pub const AD: u16 = 0x0020;
    /// Checking is disabled.
    pub const CD: u16 = 0x0010;
    /// The response code's lower bits.
    pub const RCODE: u16 = 0x000f;
}

/// Record types that mean something here.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// The start of a zone, which says for how long what is not there is known not to be (RFC 2308).
    pub const SOA: u16 = 6;
    /// A name for an address.
    pub const PTR: u16 = 12;
    /// A signature of the whole message (RFC 2931).
    pub const SIG: u16 = 24;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Where a service is (RFC 2782).
    pub const SRV: u16 = 33;
    /// EDNS (RFC 6891).
    pub const OPT: u16 = 41;
    /// Makes a key (RFC 2930).
    pub const TKEY: u16 = 249;
    /// A signature of the whole message (RFC 8945).
    pub const TSIG: u16 = 250;
    /// A transfer of what has changed in a zone (RFC 1995).
    pub const IXFR: u16 = 251;
    /// A transfer of a zone (RFC 5936).
    pub const AXFR: u16 = 252;
    /// Everything that there is.
    pub const ANY: u16 = 255;
}

/// The class of the internet.
pub const CLASS_IN: u16 = 1;

/// The two bytes at `at`.
pub fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The four bytes at `at`.
pub fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Overwrites two bytes; nothing happens where there are none.
pub fn put_u16(message: &mut [u8], at: usize, value: u16) {
    if let Some(place) = message.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value.to_be_bytes();
    }
}

/// Overwrites four bytes; nothing happens where there are none.
pub fn put_u32(message: &mut [u8], at: usize, value: u32) {
    if let Some(place) = message.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value.to_be_bytes();
    }
}

/// A message's number.
pub fn id(message: &[u8]) -> Option<u16> {
    u16_at(message, 0)
}

/// A message's header bits.
pub fn flags(message: &[u8]) -> Option<u16> {
    u16_at(message, 2)
}

/// How many records each section has: question, answer, authority, additional.
pub fn counts(message: &[u8]) -> Option<[u16; 4]> {
    Some([u16_at(message, 4)?, u16_at(message, 6)?, u16_at(message, 8)?, u16_at(message, 10)?])
}

/// Where the name that starts at `at` ends, as far as it stands there: a pointer ends it.
pub fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        let len = *message.get(at)?;
        match len {
            0 => return (at + 1 - start <= NAME_MAX).then_some(at + 1),
            1..=63 => at += 1 + usize::from(len),
            0xc0.. => return (at + 2 <= message.len()).then_some(at + 2),
            // Extended label types were given up (RFC 6891 section 5).
            _ => return None,
        }
        if at - start >= NAME_MAX {
            return None;
        }
    }
}

/// Where the question's name ends, which nothing can be in front of for it to point to.
pub fn question_name_end(message: &[u8]) -> Option<usize> {
    let end = name_end(message, HEADER_LEN)?;
    (message.get(end - 1) == Some(&0) && !ends_in_pointer(message, HEADER_LEN)).then_some(end)
}

fn ends_in_pointer(message: &[u8], mut at: usize) -> bool {
    loop {
        match message.get(at) {
            Some(&len @ 1..=63) => at += 1 + usize::from(len),
            Some(0) | None => return false,
            Some(_) => return true,
        }
    }
}

/// The sections that records stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who knows better, or that it is not there.
    Authority,
    /// What else is useful.
    Additional,
}

/// A record by its place in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The section that it stands in.
    pub section: Section,
    /// Where its owner's name starts.
    pub start: usize,
    /// Its type.
    pub kind: u16,
    /// Its class; for OPT the size of the sender's datagrams.
    pub class: u16,
    /// Where its time to live stands; for OPT that is more of the header.
    pub ttl_at: usize,
    /// Its data.
    pub data: Range<usize>,
}

/// Goes through the records of a message with one question or none.
pub struct Records<'a> {
    message: &'a [u8],
    at: Option<usize>,
    left: [u16; 3],
}

impl<'a> Records<'a> {
    /// All records; `None` when the question cannot be read.
    pub fn of(message: &'a [u8]) -> Option<Records<'a>> {
        let [questions, answers, authorities, additionals] = counts(message)?;
        let at = match questions {
            0 => HEADER_LEN,
            1 => question_name_end(message)? + 4,
            _ => return None,
        };
        (at <= message.len()).then_some(Records { message, at: Some(at), left: [answers, authorities, additionals] })
    }

    /// Whether all records were read and nothing stands behind them.
    pub fn is_complete(&self) -> bool {
        self.left == [0; 3] && self.at == Some(self.message.len())
    }

    fn read(&mut self) -> Option<Record> {
        const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];
        let (left, section) = self.left.iter_mut().zip(SECTIONS).find(|(left, _)| **left > 0)?;
        let start = self.at?;
        let owner_end = name_end(self.message, start)?;
        let kind = u16_at(self.message, owner_end)?;
        let class = u16_at(self.message, owner_end + 2)?;
        let len = usize::from(u16_at(self.message, owner_end + 8)?);
        let data = owner_end + 10..owner_end + 10 + len;
        if data.end > self.message.len() {
            return None;
        }
        *left -= 1;
        self.at = Some(data.end);
        Some(Record { section, start, kind, class, ttl_at: owner_end + 4, data })
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.left == [0; 3] {
            return None;
        }
        let record = self.read();
        if record.is_none() {
            self.at = None;
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_they_do() {
        let message = |name: &[u8]| [&[0; HEADER_LEN], name].concat();
        assert_eq!(name_end(&message(b"\x03web\x00"), 12), Some(17));
        assert_eq!(name_end(&message(b"\xc0\x0c"), 12), Some(14));
        assert_eq!(name_end(&message(b"\x03web\xc0\x0c"), 12), Some(18));
        assert_eq!(question_name_end(&message(b"\x03web\xc0\x0c")), None);
        assert_eq!(question_name_end(&message(b"\xc0\x00")), None, "a pointer whose second byte looks like a root");
        assert_eq!(question_name_end(&message(b"\x00")), Some(13));
        for wrong in [&b"\x03we"[..], b"\x40", b"\xc0", b"", &[1; 300]] {
            assert_eq!(name_end(&message(wrong), 12), None, "{wrong:?}");
        }
        let longest: Vec<u8> =
            [63, 63, 63, 61].iter().flat_map(|&len| [vec![len], vec![b'x'; len.into()]].concat()).collect();
        assert_eq!(name_end(&message(&[&longest[..], &[0]].concat()), 12), Some(12 + 255));
        assert_eq!(name_end(&message(&[&longest[..], &[1, b'x', 0]].concat()), 12), None);
    }
}
