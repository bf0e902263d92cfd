//! Names that rnet itself knows: never asked of anybody else.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::name::Name;
use crate::query::Query;
use crate::reply::{Rcode, Reply, begin, end, record, soa};
use crate::wire::{self, CLASS_IN, flag, kind};

/// For how many seconds a client may remember them.
const TTL: u32 = 60;

/// Where the name in question stands in the message.
const HERE: u16 = wire::HEADER_LEN as u16;

/// Addresses by name, and names by address.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    addresses: HashMap<Name, Vec<IpAddr>>,
    names: HashMap<Name, Vec<Name>>,
}

impl Hosts {
    /// Adds an address to a name. The first name of an address is the one it is known by.
    pub fn add(&mut self, name: &Name, address: IpAddr) {
        let addresses = self.addresses.entry(name.clone()).or_default();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        let names = self.names.entry(Name::reverse(address)).or_default();
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    /// Knows a name, even if it has no address of any family.
    pub fn know(&mut self, name: &Name) {
        self.addresses.entry(name.clone()).or_default();
    }

    /// The answer to a query for one of these names, whatever type it asks for; `None` for all other names.
    pub fn answer(&self, query: &Query<'_>) -> Option<Reply> {
        if query.class() != CLASS_IN {
            return None;
        }
        let name = Name::from_wire(query.name());
        let wants = |kind: u16| query.kind() == kind || query.kind() == self::kind::ANY;
        let data: Vec<(u16, Vec<u8>)> = if let Some(addresses) = self.addresses.get(&name) {
            let record = |address: &IpAddr| match address {
                IpAddr::V4(address) => (kind::A, address.octets().to_vec()),
                IpAddr::V6(address) => (kind::AAAA, address.octets().to_vec()),
            };
            addresses.iter().map(record).filter(|(kind, _)| wants(*kind)).collect()
        } else {
            let names = self.names.get(&name)?;
            let names = names.iter().filter(|_| wants(kind::PTR));
            names.map(|name| (kind::PTR, name.wire().to_vec())).collect()
        };
        let mut reply = begin(query, Rcode::NoError, flag::AA);
        for (kind, data) in &data {
            record(&mut reply, HERE, *kind, TTL, data);
        }
        let section = if data.is_empty() {
            // Whoever remembers that there is none needs to know for how long (RFC 2308 section 3).
            record(&mut reply, HERE, kind::SOA, TTL, &soa(HERE, TTL));
            8
        } else {
            6
        };
        wire::put_u16(&mut reply, section, data.len().max(1) as u16);
        end(&mut reply, query, None);
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Message;

    fn hosts() -> Hosts {
        let mut hosts = Hosts::default();
        for (name, address) in [
            ("host.rnet.internal", "10.0.2.2"),
            ("host.rnet.internal", "fd00::2"),
            ("db", "192.0.2.9"),
            ("db", "192.0.2.10"),
        ] {
            hosts.add(&Name::parse(name).unwrap(), address.parse().unwrap());
        }
        hosts
    }

    /// Code, answers and authority of the answer as another implementation reads it.
    fn ask(name: &Name, kind: u16) -> Option<(u16, Vec<String>, usize)> {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(name.wire().to_ascii_uppercase());
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        let reply = hosts().answer(&Query::judge(&message).unwrap())?;
        let read = Message::from_vec(&reply).unwrap();
        assert!(read.metadata.authoritative);
        let answers = read.answers.iter().map(|record| record.data.to_string()).collect();
        Some((read.metadata.response_code.into(), answers, read.authorities.len()))
    }

    #[test]
    fn names_addresses_and_what_is_not_there() {
        let name = |text| Name::parse(text).unwrap();
        assert_eq!(ask(&name("host.rnet.internal"), kind::A), Some((0, vec!["10.0.2.2".into()], 0)));
        assert_eq!(ask(&name("host.rnet.internal"), kind::AAAA), Some((0, vec!["fd00::2".into()], 0)));
        assert_eq!(ask(&name("host.rnet.internal"), kind::ANY).unwrap().1.len(), 2);
        assert_eq!(ask(&name("db"), kind::A), Some((0, vec!["192.0.2.9".into(), "192.0.2.10".into()], 0)));
        assert_eq!(ask(&name("db"), kind::AAAA), Some((0, vec![], 1)));
        assert_eq!(ask(&name("db"), 65280), Some((0, vec![], 1)));
        assert_eq!(ask(&name("web"), kind::A), None);
        assert_eq!(ask(&name("x.db"), kind::A), None);
        let reverse = Name::reverse("fd00::2".parse().unwrap());
        assert_eq!(ask(&reverse, kind::PTR), Some((0, vec!["host.rnet.internal.".into()], 0)));
        assert_eq!(ask(&reverse, kind::A), Some((0, vec![], 1)));
    }
}
