//! Answers: those of our own, and what is done to those of others before a client gets them.

use crate::query::Query;
use crate::wire::{self, HEADER_LEN, flag, kind};

/// Response codes of our own answers (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// All is well.
    NoError = 0,
    /// The query cannot be understood.
    FormatError = 1,
    /// No answer could be had.
    ServerFailure = 2,
    /// There is no such name.
    NameError = 3,
    /// Not a kind of query that is answered.
    NotImplemented = 4,
    /// It is not to be answered.
    Refused = 5,
}

/// What an answer says beyond its code (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ede {
    /// The servers could not be reached.
    NoReachableAuthority = 22,
    /// They could be reached only in part, or something in between failed.
    NetworkError = 23,
    /// Somebody here does not want it answered.
    Blocked = 15,
    /// What came cannot be used.
    InvalidData = 24,
    /// Anything else.
    Other = 0,
}

/// An answer on its way to a client.
pub type Reply = Vec<u8>;

/// Bytes of a datagram that we ourselves take.
const OUR_UDP_SIZE: u16 = 1232;

const EDE_OPTION: u16 = 15;

/// Bytes of an OPT record without options.
pub(crate) const OPT_LEN: usize = 11;

/// Begins an answer with the question.
pub(crate) fn begin(query: &Query<'_>, rcode: Rcode, bits: u16) -> Reply {
    let mut reply = Vec::with_capacity(128);
    reply.extend_from_slice(&query.id().to_be_bytes());
    let flags = flag::QR | flag::RA | (query.flags() & (flag::RD | flag::CD)) | bits | rcode as u16;
    reply.extend_from_slice(&flags.to_be_bytes());
    reply.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    reply.extend_from_slice(query.question());
    reply
}

/// Ends an answer with what EDNS calls for, if the client uses it.
pub(crate) fn end(reply: &mut Reply, query: &Query<'_>, ede: Option<(Ede, &str)>) {
    let Some(edns) = query.edns() else { return };
    reply.push(0);
    reply.extend_from_slice(&kind::OPT.to_be_bytes());
    reply.extend_from_slice(&OUR_UDP_SIZE.to_be_bytes());
    reply.extend_from_slice(&(u32::from(edns.dnssec) << 15).to_be_bytes());
    let options = ede.map_or_else(Vec::new, |(code, text)| {
        let text = text.as_bytes().get(..text.len().min(128)).unwrap_or_default();
        let mut option = EDE_OPTION.to_be_bytes().to_vec();
        option.extend_from_slice(&(text.len() as u16 + 2).to_be_bytes());
        option.extend_from_slice(&(code as u16).to_be_bytes());
        option.extend_from_slice(text);
        option
    });
    reply.extend_from_slice(&(options.len() as u16).to_be_bytes());
    reply.extend_from_slice(&options);
    let additionals = wire::u16_at(reply, 10).unwrap_or(0);
    wire::put_u16(reply, 10, additionals + 1);
}

/// A record whose owner's name stands at `owner` in the message.
pub(crate) fn record(reply: &mut Reply, owner: u16, kind: u16, ttl: u32, data: &[u8]) {
    reply.extend_from_slice(&(0xc000 | owner).to_be_bytes());
    reply.extend_from_slice(&kind.to_be_bytes());
    reply.extend_from_slice(&wire::CLASS_IN.to_be_bytes());
    reply.extend_from_slice(&ttl.to_be_bytes());
    reply.extend_from_slice(&(data.len() as u16).to_be_bytes());
    reply.extend_from_slice(data);
}

/// The data of the SOA of a zone whose name stands at `zone` in the message: it is its own server, and what is not there may be
/// remembered for `ttl` seconds.
pub(crate) fn soa(zone: u16, ttl: u32) -> Vec<u8> {
    let zone = (0xc000 | zone).to_be_bytes();
    let mut data = [zone, zone].concat();
    for number in [1, 3600, 600, 86_400, ttl] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}

/// An answer that says why there is none.
pub fn failure(query: &Query<'_>, rcode: Rcode, ede: Option<(Ede, &str)>) -> Reply {
    let mut reply = begin(query, rcode, 0);
    end(&mut reply, query, ede);
    reply
}

/// The answer to a query of an EDNS version that is not known here (BADVERS, RFC 6891 section 6.1.3).
pub(crate) fn bad_version(query: &Query<'_>) -> Reply {
    let mut reply = failure(query, Rcode::NoError, None);
    // The upper bits of the code are the first byte of what is the time to live in other records.
    if let Some(at) = reply.len().checked_sub(OPT_LEN - 5)
        && let Some(code) = reply.get_mut(at)
    {
        *code = 1;
    }
    reply
}

/// The answer to a message that cannot be read as a query: its header alone.
pub fn refusal(message: &[u8], rcode: Rcode) -> Reply {
    let id = wire::id(message).unwrap_or(0);
    let kept = wire::flags(message).unwrap_or(0) & (flag::OPCODE | flag::RD | flag::CD);
    let mut reply = id.to_be_bytes().to_vec();
    reply.extend_from_slice(&(flag::QR | kept | rcode as u16).to_be_bytes());
    reply.resize(HEADER_LEN, 0);
    reply
}

/// The response code of a message, the part of it in OPT included.
pub fn rcode_of(message: &[u8]) -> Option<u16> {
    let low = wire::flags(message)? & flag::RCODE;
    let opt = wire::Records::of(message)?.find(|record| record.kind == kind::OPT);
    let high = opt.and_then(|record| message.get(record.ttl_at).copied()).unwrap_or(0);
    Some(u16::from(high) << 4 | low)
}

/// Whether a message that came from the server that was asked is the answer to what it was asked: `asked` is the message as
/// it was sent. Its question may be missing when the server could not read ours.
pub fn is_answer_to(asked: &[u8], message: &[u8]) -> bool {
    let Some(flags) = wire::flags(message).filter(|_| message.len() >= HEADER_LEN) else { return false };
    if flags & flag::QR == 0 || flags & flag::OPCODE != 0 || wire::id(message) != wire::id(asked) {
        return false;
    }
    let question = |message| Some(wire::question_name_end(message)? + 4);
    match wire::counts(message) {
        Some([1, ..]) => {
            let (Some(ours), Some(theirs)) = (question(asked), question(message)) else { return false };
            let (Some(ours), Some(theirs)) = (asked.get(HEADER_LEN..ours), message.get(HEADER_LEN..theirs)) else {
                return false;
            };
            let names = ours.len().saturating_sub(4);
            ours.len() == theirs.len()
                && ours.get(..names).unwrap_or_default().eq_ignore_ascii_case(theirs.get(..names).unwrap_or_default())
                && ours.get(names..) == theirs.get(names..)
        }
        Some([0, ..]) => matches!(flags & flag::RCODE, 1 | 2 | 4 | 5),
        _ => false,
    }
}

/// Makes an upstream server's answer the client's: its number and its way to write the name; cut when it is longer than
/// `limit`.
pub fn fit(mut reply: Reply, query: &Query<'_>, limit: usize) -> Reply {
    if reply.len() > limit {
        let bits = wire::flags(&reply).unwrap_or(0);
        let mut short = begin(query, Rcode::NoError, 0);
        let kept = bits & (flag::AA | flag::RA | flag::AD | flag::RCODE);
        wire::put_u16(&mut short, 2, flag::QR | flag::TC | (query.flags() & (flag::RD | flag::CD)) | kept);
        end(&mut short, query, None);
        return short;
    }
    wire::put_u16(&mut reply, 0, query.id());
    let question = query.question();
    if wire::counts(&reply).is_some_and(|[questions, ..]| questions == 1)
        && let Some(place) = reply.get_mut(HEADER_LEN..HEADER_LEN + question.len())
        && place.eq_ignore_ascii_case(question)
    {
        place.copy_from_slice(question);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Message;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\x01\x03wEb\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    #[test]
    fn our_own_answers_are_understood_by_others() {
        let query = Query::judge(QUERY).unwrap();
        let reply = failure(&query, Rcode::ServerFailure, Some((Ede::NoReachableAuthority, "nobody answers")));
        let message = Message::from_vec(&reply).unwrap();
        assert_eq!(message.metadata.id, 0x1234);
        assert_eq!(u16::from(message.metadata.response_code), 2);
        assert!(message.metadata.recursion_desired && message.metadata.checking_disabled);
        assert_eq!(message.edns.as_ref().map(|edns| edns.options().as_ref().len()), Some(1));
        assert_eq!(rcode_of(&reply), Some(2));
        assert!(is_answer_to(QUERY, &reply));
        Message::from_vec(&refusal(QUERY, Rcode::FormatError)).unwrap();
    }

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        let query = Query::judge(QUERY).unwrap();
        let good = failure(&query, Rcode::NoError, None);
        assert!(is_answer_to(QUERY, &good));
        for (at, byte) in [(0, 0x99), (2, 0x01), (5, 2), (13, b'x'), (26, 2), (28, 3)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            assert!(!is_answer_to(QUERY, &wrong), "byte {at}");
        }
        assert!(is_answer_to(QUERY, &refusal(QUERY, Rcode::FormatError)));
        assert!(!is_answer_to(QUERY, &refusal(QUERY, Rcode::NoError)));
    }

    #[test]
    fn a_reply_is_made_the_clients() {
        let query = Query::judge(QUERY).unwrap();
        let mut other = failure(&query, Rcode::NameError, None);
        other[0] = 0xff;
        other[14] = b'e';
        assert_eq!(fit(other.clone(), &query, 512), failure(&query, Rcode::NameError, None));
        let cut = fit(other, &query, 20);
        assert_eq!(wire::flags(&cut).unwrap() & (flag::TC | flag::RCODE), flag::TC | 3);
        assert!(Message::from_vec(&cut).unwrap().metadata.truncation);
    }
}
