//! Both clients against servers made of messages, in virtual time.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v6::{DhcpOptions as Options6, IAAddr, IANA};
use dhcproto::{Decodable, Decoder, Encodable, v4, v6};

use super::{Client, Event, Identity, Lease, Transmit};

const SECOND: Duration = Duration::from_secs(1);
const START: Duration = Duration::from_secs(1000);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn identity() -> Identity {
    Identity { mac: [2, 0, 0, 0, 0, 5], container_id: "c1".into(), interface: "eth0".into(), host_name: "host".into() }
}

fn client(v6: bool, previous: Option<Lease>) -> Client {
    Client::new(identity(), v6, previous, START, 7)
}

/// Lets the client's timer run out once.
fn tick(client: &mut Client) -> (Duration, Option<Transmit>, Option<Event>) {
    let at = client.timeout().expect("a timer runs");
    let (message, event) = client.handle_timeout(at);
    (at, message, event)
}

fn sent4(message: Option<Transmit>) -> v4::Message {
    let bytes = match message.expect("a message") {
        Transmit::Broadcast(_, bytes) | Transmit::Unicast(_, _, bytes) => bytes,
        Transmit::Multicast(_) => panic!("that is IPv6"),
    };
    assert!(bytes.len() >= 300);
    v4::Message::decode(&mut Decoder::new(&bytes)).unwrap()
}

fn answer4(to: &v4::Message, kind: v4::MessageType, address: Ipv4Addr, lifetime: u32) -> Vec<u8> {
    let mut message = to.clone();
    message.set_opcode(v4::Opcode::BootReply).set_yiaddr(address).set_opts(v4::DhcpOptions::new());
    for option in [
        v4::DhcpOption::MessageType(kind),
        v4::DhcpOption::ServerIdentifier(SERVER),
        v4::DhcpOption::AddressLeaseTime(lifetime),
        v4::DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        v4::DhcpOption::Router(vec![SERVER]),
        v4::DhcpOption::DomainName("example.org".into()),
    ] {
        message.opts_mut().insert(option);
    }
    message.to_vec().unwrap()
}

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);

fn bound4(client: &mut Client, lifetime: u32) -> Lease {
    let (at, discover, _) = tick(client);
    let discover = sent4(discover);
    assert_eq!(discover.opts().msg_type(), Some(v4::MessageType::Discover));
    assert_eq!(client.receive(at, &answer4(&discover, v4::MessageType::Offer, OWN, lifetime)), None);
    let (at, request, _) = tick(client);
    let request = sent4(request);
    assert_eq!(request.opts().msg_type(), Some(v4::MessageType::Request));
    match client.receive(at, &answer4(&request, v4::MessageType::Ack, OWN, lifetime)) {
        Some(Event::Bound(lease)) => *lease,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_is_got_renewed_rebound_and_lost() {
    let mut client = client(false, None);
    let lease = bound4(&mut client, 800);
    assert_eq!((lease.address.to_string().as_str(), lease.domain.as_str()), ("192.0.2.50/24", "example.org"));
    assert_eq!((lease.t1, lease.t2, lease.gateways.len()), (400, 700, 1));
    let (at, renewal, _) = tick(&mut client);
    assert_eq!(at, START + 400 * SECOND);
    let Some(Transmit::Unicast(OWN, SERVER, _)) = renewal else { panic!("{renewal:?}") };
    let renewal = sent4(renewal);
    assert_eq!(renewal.ciaddr(), OWN);
    let Some(Event::Bound(again)) = client.receive(at, &answer4(&renewal, v4::MessageType::Ack, OWN, 800)) else {
        panic!("not renewed")
    };
    assert_eq!(again.obtained, 1400);
    // Nobody answers from now on.
    let (mut unicast, mut broadcast) = (0, 0);
    loop {
        match tick(&mut client) {
            (_, Some(Transmit::Unicast(..)), None) => unicast += 1,
            (at, Some(Transmit::Broadcast(OWN, _)), None) => {
                assert!(at >= Duration::from_secs(1400 + 700));
                broadcast += 1;
            }
            (at, None, Some(Event::Lost)) => break assert_eq!(at, Duration::from_secs(1400 + 800)),
            other => panic!("{other:?}"),
        }
    }
    assert!((2..10).contains(&unicast) && (1..10).contains(&broadcast), "{unicast} {broadcast}");
    let wanted = |message: &v4::Message| message.opts().get(v4::OptionCode::RequestedIpAddress).cloned();
    assert_eq!(wanted(&sent4(tick(&mut client).1)), Some(v4::DhcpOption::RequestedIpAddress(OWN)));
}

#[test]
fn a_refusal_begins_anew_and_many_are_waited_out() {
    let mut client = client(false, None);
    bound4(&mut client, 800);
    let (at, renewal, _) = tick(&mut client);
    let nak = answer4(&sent4(renewal), v4::MessageType::Nak, Ipv4Addr::UNSPECIFIED, 0);
    assert_eq!(client.receive(at, &nak), Some(Event::Lost));
    let mut before = at;
    for refusals in 0..5 {
        let (at, discover, _) = tick(&mut client);
        assert!(refusals == 0 || at >= before + SECOND, "refusal {refusals} after {:?}", at - before);
        let discover = sent4(discover);
        client.receive(at, &answer4(&discover, v4::MessageType::Offer, OWN, 800));
        let (at, request, _) = tick(&mut client);
        assert_eq!(client.receive(at, &answer4(&sent4(request), v4::MessageType::Nak, OWN, 800)), None);
        before = at;
    }
}

#[test]
fn messages_of_others_and_nonsense_change_nothing() {
    let mut client = client(false, None);
    let (at, discover, _) = tick(&mut client);
    let discover = sent4(discover);
    let good = answer4(&discover, v4::MessageType::Offer, OWN, 800);
    for (name, index, value) in
        [("operation", 0, 1), ("length of the address", 2, 200), ("transaction", 4, !good[4]), ("address", 28, 9)]
    {
        let mut wrong = good.clone();
        wrong[index] = value;
        assert_eq!(client.receive(at, &wrong), None);
        assert!(matches!(tick(&mut client).1, Some(Transmit::Broadcast(..))), "{name}");
    }
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        client.receive(at, &answer4(&discover, v4::MessageType::Offer, address, 800));
    }
    client.receive(at, &answer4(&discover, v4::MessageType::Offer, OWN, 0));
    let next = sent4(tick(&mut client).1);
    assert_eq!(next.opts().msg_type(), Some(v4::MessageType::Discover), "none of these was an offer");
    for len in 0..good.len() {
        client.receive(at, &good[..len]);
    }
}

#[test]
fn a_lease_is_gone_on_with_and_released() {
    let lease = bound4(&mut client(false, None), 800);
    let mut later = client(false, Some(lease.clone()));
    assert_eq!(later.timeout(), Some(START + 400 * SECOND));
    let Some(Transmit::Unicast(OWN, SERVER, bytes)) = later.release() else { panic!("no release") };
    let release = v4::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((release.opts().msg_type(), release.ciaddr()), (Some(v4::MessageType::Release), OWN));
    assert_eq!((later.timeout(), later.release()), (None, None));
    let mut too_late = Client::new(identity(), false, Some(lease), START + 900 * SECOND, 7);
    assert_eq!(sent4(tick(&mut too_late).1).opts().msg_type(), Some(v4::MessageType::Discover));
}

fn sent6(message: Option<Transmit>) -> v6::Message {
    let Some(Transmit::Multicast(bytes)) = message else { panic!("{message:?}") };
    v6::Message::decode(&mut Decoder::new(&bytes)).unwrap()
}

fn answer6(to: &v6::Message, kind: v6::MessageType, valid_life: u32) -> Vec<u8> {
    let mut message = v6::Message::new_with_id(kind, to.xid());
    let Some(v6::DhcpOption::IANA(association)) = to.opts().get(v6::OptionCode::IANA) else { panic!("no IA_NA") };
    let mut opts = Options6::new();
    let addr = "2001:db8::50".parse().unwrap();
    opts.insert(v6::DhcpOption::IAAddr(IAAddr { addr, preferred_life: valid_life, valid_life, opts: Options6::new() }));
    let client = to.opts().get(v6::OptionCode::ClientId).cloned().unwrap();
    let options = message.opts_mut();
    options.insert(client);
    options.insert(v6::DhcpOption::ServerId(vec![0, 3, 0, 1, 9]));
    options.insert(v6::DhcpOption::IANA(IANA { id: association.id, t1: 0, t2: 0, opts }));
    options.insert(v6::DhcpOption::DomainNameServers(vec!["2001:db8::1".parse().unwrap()]));
    message.to_vec().unwrap()
}

#[test]
fn the_same_for_ipv6() {
    let mut client = client(true, None);
    let (at, solicit, _) = tick(&mut client);
    let solicit = sent6(solicit);
    assert_eq!(solicit.msg_type(), v6::MessageType::Solicit);
    assert_eq!(client.receive(at, &answer6(&solicit, v6::MessageType::Advertise, 0)), None, "no address");
    assert_eq!(client.receive(at, &answer6(&solicit, v6::MessageType::Advertise, 800)), None);
    let (at, request, _) = tick(&mut client);
    let request = sent6(request);
    assert_eq!(request.msg_type(), v6::MessageType::Request);
    let good = answer6(&request, v6::MessageType::Reply, 800);
    let Some(Event::Bound(lease)) = client.receive(at, &good) else { panic!("not bound") };
    for len in 0..good.len() {
        assert_eq!(client.receive(at, &good[..len]), None, "a copy that comes late");
    }
    assert_eq!((lease.address.to_string().as_str(), lease.t1, lease.dns.len()), ("2001:db8::50/128", 400, 1));
    let (at, renew, _) = tick(&mut client);
    let renew = sent6(renew);
    assert_eq!((at, renew.msg_type()), (START + 400 * SECOND, v6::MessageType::Renew));
    assert!(matches!(client.receive(at, &answer6(&renew, v6::MessageType::Reply, 800)), Some(Event::Bound(_))));
    let mut kinds = Vec::new();
    let end = loop {
        match tick(&mut client) {
            (_, message @ Some(_), None) => kinds.push(sent6(message).msg_type()),
            (at, None, Some(Event::Lost)) => break at,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, Duration::from_secs(1400 + 800));
    kinds.dedup();
    assert_eq!(kinds, [v6::MessageType::Renew, v6::MessageType::Rebind]);
    let (at, solicit, _) = tick(&mut client);
    client.receive(at, &answer6(&sent6(solicit), v6::MessageType::Advertise, 800));
    let (at, request, _) = tick(&mut client);
    client.receive(at, &answer6(&sent6(request), v6::MessageType::Reply, 800));
    assert_eq!(sent6(client.release()).msg_type(), v6::MessageType::Release);
    assert_eq!(client.timeout(), None);
}
