//! What a container asks: judged once, before anything is done with it.

use std::ops::Range;

use crate::reply::Rcode;
use crate::wire::{self, CLASS_IN, HEADER_LEN, Record, Records, Section, flag, kind};

/// Options that concern one hop only and are never passed on: cookies (RFC 7873 section 5), keepalive (RFC 7828) and
/// padding (RFC 7830).
const HOP_BY_HOP: [u16; 3] = [10, 11, 12];

/// The least that every client takes over UDP (RFC 1035 section 4.2.1).
const UDP_MIN: usize = 512;

/// A query that can be answered.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    message: &'a [u8],
    name_end: usize,
    edns: Option<Edns>,
    is_signed: bool,
    is_plain: bool,
}

/// What a query says by EDNS (RFC 6891).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Bytes that a datagram to the client may have.
    pub udp_size: u16,
    /// The version; all but 0 are unknown here.
    pub version: u8,
    /// Whether DNSSEC records are wanted (DO).
    pub dnssec: bool,
    /// The whole record.
    record: Range<usize>,
    /// Its options.
    options: Range<usize>,
}

/// Why a message is no query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is too short, or a response: saying anything to it could make two servers talk for ever.
    Silent,
    /// It gets this code in answer.
    Answer(Rcode),
}

impl<'a> Query<'a> {
    /// Judges a message.
    ///
    /// # Errors
    /// What to do with one that is no query.
    pub fn judge(message: &'a [u8]) -> Result<Query<'a>, Unfit> {
        let flags = wire::flags(message).filter(|_| message.len() >= HEADER_LEN).ok_or(Unfit::Silent)?;
        if flags & flag::QR != 0 {
            return Err(Unfit::Silent);
        }
        if flags & flag::OPCODE != 0 {
            return Err(Unfit::Answer(Rcode::NotImplemented));
        }
        Query::read(message, flags).ok_or(Unfit::Answer(Rcode::FormatError))
    }

    fn read(message: &'a [u8], flags: u16) -> Option<Query<'a>> {
        if wire::counts(message)?[0] != 1 {
            return None;
        }
        let name_end = wire::question_name_end(message)?;
        let mut records = Records::of(message)?;
        let mut edns = None;
        let (mut is_signed, mut has_others) = (false, false);
        for record in records.by_ref() {
            match (record.section, record.kind) {
                (Section::Additional, kind::OPT) if edns.is_none() => edns = Some(Edns::read(message, &record)?),
                (_, kind::OPT) => return None,
                (Section::Additional, kind::TSIG | kind::SIG) => is_signed = true,
                _ => has_others = true,
            }
        }
        if !records.is_complete() {
            return None;
        }
        let mut query = Query { message, name_end, edns, is_signed, is_plain: false };
        let odd = flags & (flag::AA | flag::TC | flag::RA | flag::Z | flag::RCODE) != 0;
        let transfers =
            matches!(query.kind(), kind::IXFR | kind::AXFR | kind::TKEY | kind::ANY | kind::OPT | kind::TSIG);
        let plain_edns = query.edns.as_ref().is_none_or(|edns| edns.is_plain(message));
        query.is_plain = !(odd || transfers || is_signed || has_others) && plain_edns && query.class() == CLASS_IN;
        Some(query)
    }

    /// The whole message.
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// Its number.
    pub fn id(&self) -> u16 {
        wire::id(self.message).unwrap_or(0)
    }

    /// The name that is asked about, as it was sent.
    pub fn name(&self) -> &'a [u8] {
        self.message.get(HEADER_LEN..self.name_end).unwrap_or_default()
    }

    /// The question: name, type and class.
    pub fn question(&self) -> &'a [u8] {
        self.message.get(HEADER_LEN..self.name_end + 4).unwrap_or_default()
    }

    /// The type that is asked for.
    pub fn kind(&self) -> u16 {
        wire::u16_at(self.message, self.name_end).unwrap_or(0)
    }

    /// The class that is asked in.
    pub fn class(&self) -> u16 {
        wire::u16_at(self.message, self.name_end + 2).unwrap_or(0)
    }

    /// The header bits.
    pub fn flags(&self) -> u16 {
        wire::flags(self.message).unwrap_or(0)
    }

    /// What it says by EDNS.
    pub fn edns(&self) -> Option<&Edns> {
        self.edns.as_ref()
    }

    /// Whether the answer may come from the cache and be put there.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether it asks for a zone's whole content, which comes in several messages.
    pub fn is_transfer(&self) -> bool {
        matches!(self.kind(), kind::AXFR | kind::IXFR)
    }

    /// Bytes of the longest answer that the client takes over UDP.
    pub fn udp_limit(&self) -> usize {
        self.edns.as_ref().map_or(UDP_MIN, |edns| usize::from(edns.udp_size).max(UDP_MIN))
    }

    /// What distinguishes answers in the cache: all that an upstream server's answer may depend on.
    pub fn key(&self) -> Vec<u8> {
        let mut key = self.question().to_ascii_lowercase();
        // Type and class are no letters.
        let at = key.len().saturating_sub(4);
        let tail = self.message.get(self.name_end..self.name_end + 4).unwrap_or_default();
        key.truncate(at);
        key.extend_from_slice(tail);
        let bits = self.flags() & (flag::RD | flag::AD | flag::CD);
        let edns = self.edns.as_ref().map_or(0, |edns| 1 + u8::from(edns.dnssec));
        key.extend_from_slice(&bits.to_be_bytes());
        key.push(edns);
        key
    }

    /// The message for an upstream server: the same but for its number, and without the options that are between the
    /// client and us.
    pub fn upstream(&self, id: u16) -> Vec<u8> {
        let mut message = match self.edns.as_ref().filter(|_| !self.is_signed) {
            Some(edns) => edns.without_hop_by_hop(self.message),
            None => self.message.to_vec(),
        };
        wire::put_u16(&mut message, 0, id);
        message
    }
}

impl Edns {
    fn read(message: &[u8], record: &Record) -> Option<Edns> {
        // Its owner is the root (RFC 6891 section 6.1.2).
        if message.get(record.start) != Some(&0) {
            return None;
        }
        let edns = Edns {
            udp_size: record.class,
            version: *message.get(record.ttl_at + 1)?,
            dnssec: wire::u16_at(message, record.ttl_at + 2)? & 0x8000 != 0,
            record: record.start..record.data.end,
            options: record.data.clone(),
        };
        let mut options = edns.options(message);
        options.by_ref().for_each(drop);
        options.is_complete().then_some(edns)
    }

    fn options<'a>(&self, message: &'a [u8]) -> Options<'a> {
        Options(message.get(self.options.clone()).unwrap_or_default())
    }

    /// Whether it is version 0 with no bits and options that an answer depends on, DO excepted.
    fn is_plain(&self, message: &[u8]) -> bool {
        let extended = wire::u32_at(message, self.record.start + 5).unwrap_or(u32::MAX);
        extended & !0x8000 == 0 && self.options(message).all(|(code, _)| HOP_BY_HOP.contains(&code))
    }

    fn without_hop_by_hop(&self, message: &[u8]) -> Vec<u8> {
        let kept = self.options(message).filter(|(code, _)| !HOP_BY_HOP.contains(code));
        let kept: Vec<u8> = kept.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let mut out = Vec::with_capacity(message.len());
        out.extend_from_slice(message.get(..self.options.start).unwrap_or_default());
        wire::put_u16(&mut out, self.options.start - 2, kept.len() as u16);
        out.extend_from_slice(&kept);
        out.extend_from_slice(message.get(self.options.end..).unwrap_or_default());
        out
    }
}

/// Goes through EDNS options: each with its code, and its bytes with code and length.
struct Options<'a>(&'a [u8]);

impl Options<'_> {
    fn is_complete(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(wire::u16_at(self.0, 2)?);
        let (option, rest) = self.0.split_at_checked(4 + len)?;
        self.0 = rest;
        Some((wire::u16_at(option, 0)?, option))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `web.example` with these records in its additional section.
    fn query(kind: u16, additional: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional.len() as u8];
        message.extend_from_slice(b"\x03wEb\x07example\0");
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        additional.iter().for_each(|record| message.extend_from_slice(record));
        message
    }

    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";
    const OPT_COOKIE_NSID: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x10\0\x0a\0\x08cookie!!\0\x03\0\0";
    const OPT_NSID: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x03\0\0";
    const TSIG: &[u8] = b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x01x";

    #[test]
    fn ordinary_queries() {
        let message = query(1, &[OPT]);
        let query = Query::judge(&message).unwrap();
        assert_eq!((query.name(), query.kind(), query.class()), (&b"\x03wEb\x07example\0"[..], 1, 1));
        assert_eq!((query.udp_limit(), query.is_plain()), (1232, true));
        assert_eq!(query.upstream(7)[..2], [0, 7]);
        assert_eq!(query.upstream(7)[2..], message[2..]);
        let lower = String::from_utf8_lossy(&message).replace("wEb", "web");
        assert!(lower.contains("web"), "{lower}");
    }

    #[test]
    fn the_key_ignores_case_but_not_bits() {
        let mut keys = std::collections::HashSet::new();
        for (kind, additional) in [(1, &[][..]), (1, &[OPT]), (33, &[]), (65, &[]), (97, &[])] {
            let mut message = query(kind, additional);
            keys.insert(Query::judge(&message).unwrap().key());
            message[14] = b'e';
            keys.insert(Query::judge(&message).unwrap().key());
            message[3] |= 0x10;
            keys.insert(Query::judge(&message).unwrap().key());
        }
        assert_eq!(keys.len(), 10, "types 65 and 97 differ as `A` and `a` do");
    }

    #[test]
    fn a_cookie_stays_between_us_and_the_client() {
        let message = query(1, &[OPT_COOKIE_NSID]);
        let judged = Query::judge(&message).unwrap();
        assert!(!judged.is_plain(), "NSID changes the answer");
        assert_eq!(judged.upstream(0x1234), query(1, &[OPT_NSID]));
        let signed = query(1, &[OPT_COOKIE_NSID, TSIG]);
        assert_eq!(Query::judge(&signed).unwrap().upstream(0x1234), signed, "what is signed stays as it is");
    }

    #[test]
    fn what_is_no_query() {
        let good = query(1, &[OPT]);
        for len in 0..HEADER_LEN {
            assert_eq!(Query::judge(&good[..len]).unwrap_err(), Unfit::Silent);
        }
        for len in HEADER_LEN..good.len() {
            assert_eq!(Query::judge(&good[..len]).unwrap_err(), Unfit::Answer(Rcode::FormatError), "{len}");
        }
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            Query::judge(&message).err()
        };
        assert_eq!(with(2, 0x81), Some(Unfit::Silent));
        assert_eq!(with(2, 0x29), Some(Unfit::Answer(Rcode::NotImplemented)));
        let wrong = Some(Unfit::Answer(Rcode::FormatError));
        assert_eq!(with(5, 0), wrong);
        assert_eq!(with(5, 2), wrong);
        assert_eq!(with(11, 2), wrong);
        assert_eq!(Query::judge(&query(1, &[OPT, OPT])).err(), wrong);
        assert_eq!(Query::judge(&[&good[..], b"x"].concat()).err(), wrong);
    }
}
