//! Answers with the names of containers.

use std::net::IpAddr;

use super::table::{Containers, NetworkId, Requester, Verdict, unique};
use crate::name::{Name, address_of};
use crate::query::Query;
use crate::reply::{self, Ede, Rcode, Reply, bad_version, begin, end, failure, record};
use crate::wire::{self, CLASS_IN, flag, kind};

/// A container may be gone any moment, and another one have its name or its address: nobody is to remember.
const TTL: u32 = 0;

/// Bytes of the records of one answer at the most: whole in one message over TCP, with the question and EDNS.
const RECORDS_MAX: usize = 65_000;

/// Type and data of records.
type Data = Vec<(u16, Vec<u8>)>;

impl Containers {
    /// What becomes of a query that came to a network's listener from this address, over a transport that takes answers of
    /// `limit` bytes.
    pub fn ask(&self, query: &Query<'_>, listener: NetworkId, from: IpAddr, limit: usize) -> Verdict {
        if query.edns().is_some_and(|edns| edns.version != 0) {
            return Verdict::Answered(bad_version(query));
        }
        let name = Name::from_wire(query.name());
        let requester = self.requester(listener, from);
        let (bare, is_ours) = self.without_search(name.wire());
        let found = self.find(query.kind(), &requester, bare.as_ref().map_or(name.wire(), Name::wire));
        let answer = match found {
            Some(_) if query.class() != CLASS_IN => failure(query, Rcode::Refused, None),
            Some(data) => positive(query, &data, limit),
            None if is_ours => self.nothing(query),
            None if self.is_confined(&requester, listener) => {
                failure(query, Rcode::NameError, Some((Ede::Blocked, "the network is internal")))
            }
            None => return Verdict::Forward(self.servers(&requester)),
        };
        Verdict::Answered(answer)
    }

    /// A name without the search domain that it ends in, and whether it ended in that.
    fn without_search(&self, name: &[u8]) -> (Option<Name>, bool) {
        let Some(search) = &self.search else { return (None, false) };
        let Some(labels) = name.strip_suffix(search.wire()) else { return (None, false) };
        // The domain must begin where a label does.
        let mut at = 0;
        while let Some(len) = name.get(at).filter(|_| at < labels.len()) {
            at += 1 + usize::from(*len);
        }
        if at == labels.len() { (Some(Name::from_wire(&[labels, &[0]].concat())), true) } else { (None, false) }
    }

    /// The records of a name: none of them for one that is known and has none of this type, `None` for one that is not known.
    fn find(&self, wanted: u16, requester: &Requester, name: &[u8]) -> Option<Data> {
        let wants = |kind: u16| wanted == kind || wanted == self::kind::ANY;
        let mut known = self.known(requester, name).peekable();
        if known.peek().is_some() {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for known in known {
                if wants(kind::A) {
                    addresses.extend(known.v4.iter().map(|address| IpAddr::V4(*address)));
                }
                if wants(kind::AAAA) {
                    addresses.extend(known.v6.iter().map(|address| IpAddr::V6(*address)));
                }
            }
            if requester.networks.len() > 1 {
                unique(&mut addresses);
            }
            let record = |address: IpAddr| match address {
                IpAddr::V4(address) => (kind::A, address.octets().to_vec()),
                IpAddr::V6(address) => (kind::AAAA, address.octets().to_vec()),
            };
            return Some(addresses.into_iter().map(record).collect());
        }
        let mut services = self.services(requester, name).flatten().peekable();
        if services.peek().is_some() {
            let data = |port: u16, target: &Name| {
                // Priority and weight are the same for all (RFC 2782).
                [&[0, 0, 0, 0], &port.to_be_bytes()[..], target.wire()].concat()
            };
            let services = services.filter(|_| wants(kind::SRV));
            return Some(services.map(|service| (kind::SRV, data(service.port, &service.target))).collect());
        }
        let names = self.names(requester, address_of(name)?)?;
        let names = names.into_iter().filter(|_| wants(kind::PTR));
        Some(names.map(|name| (kind::PTR, name.wire().to_vec())).collect())
    }

    /// There is no such name in the search domain (RFC 2308 section 2.1).
    fn nothing(&self, query: &Query<'_>) -> Reply {
        let mut reply = begin(query, Rcode::NameError, flag::AA);
        let search = self.search.as_ref().map_or(1, |search| search.wire().len());
        let zone = wire::HEADER_LEN + query.name().len().saturating_sub(search);
        record(&mut reply, zone as u16, kind::SOA, TTL, &reply::soa(zone as u16, TTL));
        wire::put_u16(&mut reply, 8, 1);
        end(&mut reply, query, None);
        reply
    }
}

/// An answer with these records; with none of them it says that there are none of this type.
fn positive(query: &Query<'_>, data: &Data, limit: usize) -> Reply {
    let here = wire::HEADER_LEN as u16;
    let len = |data: &[u8]| 12 + data.len();
    let mut room = RECORDS_MAX;
    let fits = |(_, data): &&(u16, Vec<u8>)| match room.checked_sub(len(data)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let data: Vec<_> = data.iter().take_while(fits).collect();
    let mut answer = begin(query, Rcode::NoError, flag::AA);
    let records: usize = data.iter().map(|(_, data)| len(data)).sum();
    if answer.len() + records + reply::OPT_LEN > limit {
        // Whoever gets only a part of the addresses would not know: it is to come again by TCP (RFC 2181 section 9).
        let bits = wire::flags(&answer).unwrap_or(0);
        wire::put_u16(&mut answer, 2, bits | flag::TC);
    } else if data.is_empty() {
        record(&mut answer, here, kind::SOA, TTL, &reply::soa(here, TTL));
        wire::put_u16(&mut answer, 8, 1);
    } else {
        answer.reserve(records + reply::OPT_LEN);
        data.iter().for_each(|(kind, data)| record(&mut answer, here, *kind, TTL, data));
        wire::put_u16(&mut answer, 6, data.len() as u16);
    }
    end(&mut answer, query, None);
    answer
}

#[cfg(test)]
mod tests;
