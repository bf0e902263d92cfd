use std::net::Ipv6Addr;

use super::*;
use crate::frame::{Ethernet, Ipv6Header, Ports, udp6};

const SERVER: [u8; 10] = [0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 2];
const CLIENT: [u8; 4] = [0, 2, 7, 7];

/// Options of a message or of an association.
fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut options = Vec::new();
    while let [c0, c1, l0, l1, rest @ ..] = bytes {
        let (value, after) = rest.split_at(usize::from(u16::from_be_bytes([*l0, *l1])));
        options.push((u16::from_be_bytes([*c0, *c1]), value));
        bytes = after;
    }
    assert!(bytes.is_empty());
    options
}

fn find<'a>(options: &[(u16, &'a [u8])], code: u16) -> Option<&'a [u8]> {
    options.iter().find(|(found, _)| *found == code).map(|(_, value)| *value)
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn address(text: &str) -> Vec<u8> {
    [&text.parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 8]].concat()
}

/// An association of addresses.
fn association(id: u8, addresses: &[&str]) -> Vec<u8> {
    let addresses: Vec<u8> = addresses.iter().flat_map(|text| option(5, &address(text))).collect();
    option(3, &[&[0, 0, 0, id][..], &[0; 8], &addresses].concat())
}

/// The payload of the answer to a message of a kind with options.
fn answer(kind: u8, parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    answer_of(config(), kind, parts)
}

/// The same of another link.
fn answer_of(config: LinkConfig, kind: u8, parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    let payload = [&[kind, 1, 2, 3][..], &parts.concat()].concat();
    let ip = Ipv6Header {
        src: "fe80::64".parse().unwrap(),
        dst: "ff02::1:2".parse().unwrap(),
        hop_limit: 1,
        traffic_class: 0,
    };
    let ports = Ports { src: 546, dst: 547 };
    let frame = udp6(Ethernet { src: CONTAINER_MAC, dst: MAC }, ip, ports, &payload).unwrap();
    let reply = ask(&Link::new(config), &frame)?;
    let (src, dst, mac, datagram) = datagram(&reply);
    assert_eq!((src, dst, mac), (LINK_LOCAL.into(), ip.src.into(), CONTAINER_MAC.0));
    assert_eq!((datagram.src_port, datagram.dst_port), (547, 546));
    assert_eq!(datagram.payload[1..4], [1, 2, 3]);
    Some(datagram.payload.to_vec())
}

fn client() -> Vec<u8> {
    option(1, &CLIENT)
}

fn server() -> Vec<u8> {
    option(2, &SERVER)
}

#[test]
fn dhclient_gets_a_lease() {
    let link = Link::new(config());
    for (question, kind) in [(&testdata!("dhclient6_solicit")[..], 2), (testdata!("dhclient6_request"), 7)] {
        let frame = ask(&link, question).unwrap();
        let reply = datagram(&frame).3.payload;
        let asked = datagram(question).3.payload;
        assert_eq!((reply[0], &reply[1..4]), (kind, &asked[1..4]));
        let said = options(&reply[4..]);
        assert_eq!(find(&said, 1), find(&options(&asked[4..]), 1));
        assert_eq!(find(&said, 2), Some(&SERVER[..]));
        assert_eq!(find(&said, 7).is_some(), kind == 2);
        assert_eq!(find(&said, 23), Some(&"fd00::3".parse::<Ipv6Addr>().unwrap().octets()[..]));
        assert_eq!(find(&said, 24), Some(&b"\x04rnet\x08internal\0"[..]));
        let given = find(&said, 3).unwrap();
        let given_address = find(&options(&given[12..]), 5).unwrap();
        assert_eq!(given_address[..16], address("fd00::100")[..16]);
        assert_eq!(given_address[16..], [86400u32.to_be_bytes(), 86400u32.to_be_bytes()].concat());
    }
}

#[test]
fn dhclient_asks_for_parameters_and_releases() {
    let link = Link::new(config());
    let frame = ask(&link, testdata!("dhclient6_information_request")).unwrap();
    let said = options(&datagram(&frame).3.payload[4..]);
    assert!(find(&said, 23).is_some() && find(&said, 3).is_none());
    let frame = ask(&link, testdata!("dhclient6_release")).unwrap();
    let payload = datagram(&frame).3.payload;
    assert_eq!((payload[0], find(&options(&payload[4..]), 13)), (7, Some(&[0, 0][..])));
}

#[test]
fn a_name_for_the_client() {
    let named =
        || LinkConfig { client_name: ClientName { host: None, domain: Some("box.example".into()) }, ..config() };
    let name = |flags: u8| [&[flags][..], b"\x03box\x07example\0"].concat();
    // Who wants the server to tell the DNS hears that it won't.
    for (asked, said) in [(None, 0), (Some(0), 0), (Some(1), 2), (Some(4), 0)] {
        let mut parts = vec![client(), association(1, &[])];
        parts.extend(asked.map(|flags| option(39, &[&[flags][..], b"\x02me\0"].concat())));
        let reply = answer_of(named(), 1, &parts).unwrap();
        assert_eq!(find(&options(&reply[4..]), 39), Some(&name(said)[..]), "{asked:?}");
    }
    let reply = answer(1, &[client(), association(1, &[]), option(39, &[])]).unwrap();
    assert_eq!(find(&options(&reply[4..]), 39), None);
}

#[test]
fn rapid_commit() {
    let reply = answer(1, &[client(), association(1, &[]), option(14, &[])]).unwrap();
    assert_eq!(reply[0], 7);
    assert_eq!(find(&options(&reply[4..]), 14), Some(&[][..]));
}

#[test]
fn renewing_another_address_takes_it_back() {
    for (kind, parts) in [(5, vec![client(), server()]), (6, vec![client()])] {
        let reply = answer(kind, &[parts, vec![association(9, &["fd00::100", "fd00::55"])]].concat()).unwrap();
        let said = options(&reply[4..]);
        let given = find(&said, 3).unwrap();
        assert_eq!(given[..4], [0, 0, 0, 9]);
        let addresses = options(&given[12..]);
        assert_eq!(addresses.len(), 2);
        assert_eq!(addresses[1].1, address("fd00::55"));
    }
}

#[test]
fn there_is_one_address_and_no_prefix() {
    let prefix = option(25, &[0; 12]);
    let temporary = option(4, &[0; 4]);
    let reply = answer(1, &[client(), association(1, &[]), association(2, &[]), prefix, temporary]).unwrap();
    let said = options(&reply[4..]);
    let second = said.iter().filter(|(code, _)| *code == 3).nth(1).unwrap().1;
    assert_eq!((second[3], find(&options(&second[12..]), 13)), (2, Some(&[0, 2][..])));
    assert_eq!(find(&options(&find(&said, 25).unwrap()[12..]), 13), Some(&[0, 6][..]));
    assert_eq!(find(&options(&find(&said, 4).unwrap()[4..]), 13), Some(&[0, 2][..]));
}

#[test]
fn confirm() {
    let status = |addresses: &[&str]| {
        let reply = answer(4, &[client(), association(1, addresses)])?;
        find(&options(&reply[4..]), 13).map(<[u8]>::to_vec)
    };
    assert_eq!(status(&["fd00::7"]), Some(vec![0, 0]));
    assert_eq!(status(&["fd00::7", "fd01::7"]), Some(vec![0, 4]));
    assert_eq!(status(&[]), None);
}

#[test]
fn silence() {
    let other = option(2, &[0, 3, 0, 1, 9, 9, 9, 9, 9, 9]);
    for kind in [1, 4, 6] {
        let addresses = association(1, &["fd00::100"]);
        assert!(answer(kind, &[client(), addresses.clone()]).is_some());
        assert!(answer(kind, std::slice::from_ref(&addresses)).is_none(), "no client");
        assert!(answer(kind, &[client(), server(), addresses]).is_none(), "a server named");
    }
    for kind in [3, 5, 8, 9] {
        assert!(answer(kind, &[client(), server()]).is_some());
        assert!(answer(kind, &[client()]).is_none() && answer(kind, &[server()]).is_none());
        assert!(answer(kind, &[client(), other.clone()]).is_none());
    }
    assert!(answer(11, &[]).is_some());
    assert!(answer(11, &[association(1, &[])]).is_none());
    for kind in [0, 2, 7, 10, 12, 13, 255] {
        assert!(answer(kind, &[client()]).is_none());
    }
}

#[test]
fn malformed_options() {
    let bad: [&[u8]; 7] = [
        &[0],
        &[0, 1, 0, 5, 1, 1],
        &[0, 3, 0, 4, 0, 0, 0, 0],
        &[0, 3, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        &[0, 6, 0, 1, 0],
        &[0, 1, 0, 0],
        &[0, 25, 0, 3, 0, 0, 0],
    ];
    for bad in bad {
        assert!(answer(1, &[client(), bad.to_vec()]).is_none(), "{bad:?}");
    }
    let many: Vec<Vec<u8>> = std::iter::once(client()).chain((0..100).map(|id| association(id, &[]))).collect();
    assert!(answer(1, &many).unwrap().len() < 600);
}
