use hickory_proto::op::Message;

use super::super::{NetworkFile, Servers, Service};
use super::*;

const A: &str = "10.0.1.1 192.0.2.1,192.0.2.2\naa 10.0.1.2 fd00:1::2 one,First\nab 10.0.1.3  both,shared 192.0.2.9\nac 10.0.1.4,10.0.1.4  shared\n";
const B: &str = "10.0.2.1 192.0.2.3,192.0.2.1\nab 10.0.2.3  both 192.0.2.8\nba 10.0.2.2  two\n";
const C: &str = "10.0.3.1 192.0.2.4\nca 10.0.3.2  three 192.0.2.9\naa 10.0.3.3  one\n";

fn containers() -> Containers {
    let mut containers = Containers::new(Some(Name::parse("dns.podman").unwrap()));
    for (name, internal, text) in [("a", false, A), ("b", false, B), ("c", true, C)] {
        containers.set(name, internal, NetworkFile::parse(text.as_bytes()).unwrap());
    }
    containers
}

fn message(name: &str, kind: u16, class: u16, opt: Option<[u8; 11]>) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&class.to_be_bytes());
    message.extend(opt.into_iter().flatten());
    message
}

fn verdict(containers: &Containers, network: &str, from: &str, message: &[u8], limit: usize) -> Verdict {
    let listener = containers.network(network).unwrap();
    containers.ask(&Query::judge(message).unwrap(), listener, from.parse().unwrap(), limit)
}

fn read(verdict: Verdict) -> Message {
    match verdict {
        Verdict::Answered(reply) => Message::from_vec(&reply).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Code and data of the answer, or who is to be asked.
fn ask(network: &str, from: &str, name: &str, kind: u16) -> (u16, Vec<String>) {
    let message = read(verdict(&containers(), network, from, &message(name, kind, 1, None), 512));
    assert!(message.answers.iter().all(|record| record.ttl == 0));
    let data = message.answers.iter().map(|record| record.data.to_string()).collect();
    (message.metadata.response_code.into(), data)
}

fn forwarded(network: &str, from: &str, name: &str, kind: u16) -> Servers {
    match verdict(&containers(), network, from, &message(name, kind, 1, None), 512) {
        Verdict::Forward(servers) => servers,
        Verdict::Answered(reply) => panic!("{:?}", Message::from_vec(&reply)),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn names_aliases_and_the_search_domain() {
    for name in ["one", "ONE", "first", "one.dns.podman", "First.DNS.podman."] {
        assert_eq!(ask("a", "10.0.1.3", name, kind::A), (0, texts(&["10.0.1.2"])), "{name}");
    }
    assert_eq!(ask("a", "10.0.1.3", "one", kind::AAAA), (0, texts(&["fd00:1::2"])));
    assert_eq!(ask("a", "10.0.1.3", "one", kind::ANY).1.len(), 2);
    assert_eq!(ask("a", "10.0.1.2", "shared", kind::A), (0, texts(&["10.0.1.3", "10.0.1.4"])), "nothing twice");
    // There is the name, but nothing of that type.
    assert_eq!(ask("a", "10.0.1.3", "both", kind::AAAA), (0, vec![]));
    assert_eq!(ask("a", "10.0.1.3", "one", 15), (0, vec![]));
    assert_eq!(ask("a", "10.0.1.3", "none.dns.podman", 65), (3, vec![]));
    assert_eq!(ask("a", "10.0.1.3", "dns.podman", 2), (3, vec![]));
    assert!(matches!(forwarded("a", "10.0.1.3", "one.xdns.podman", 1), Servers::Container(_)));
}

#[test]
fn who_is_on_several_networks_knows_all_of_them() {
    assert_eq!(ask("b", "10.0.2.3", "one", kind::A), (0, texts(&["10.0.1.2"])));
    assert_eq!(ask("a", "10.0.1.3", "two", kind::A), (0, texts(&["10.0.2.2"])));
    // Also at the gateway of the other network, and its own name at both.
    assert_eq!(ask("b", "10.0.1.3", "one", kind::A), (0, texts(&["10.0.1.2"])));
    assert_eq!(ask("a", "10.0.1.3", "both", kind::A), (0, texts(&["10.0.1.3", "10.0.2.3"])));
    assert_eq!(ask("b", "10.0.2.3", "both", kind::A), (0, texts(&["10.0.2.3", "10.0.1.3"])));
    assert!(matches!(forwarded("a", "10.0.1.4", "two", kind::A), Servers::Networks(_)));
    // The host is on none: it knows what the listener's network knows.
    assert_eq!(ask("b", "10.0.2.1", "two", kind::A), (0, texts(&["10.0.2.2"])));
    assert!(matches!(forwarded("a", "10.0.1.1", "two", kind::A), Servers::Networks(_)));
}

#[test]
fn addresses_have_names() {
    let reverse = |address: &str| Name::reverse(address.parse().unwrap()).to_string();
    assert_eq!(ask("a", "10.0.1.3", &reverse("10.0.1.2"), kind::PTR), (0, texts(&["one.", "first."])));
    assert_eq!(ask("a", "10.0.1.3", &reverse("fd00:1::2").to_uppercase(), kind::PTR), (0, texts(&["one.", "first."])));
    assert_eq!(ask("a", "10.0.1.3", &reverse("10.0.1.2"), kind::A), (0, vec![]));
    assert!(matches!(forwarded("a", "10.0.1.4", &reverse("10.0.2.2"), kind::PTR), Servers::Networks(_)));
    assert!(matches!(forwarded("a", "10.0.1.4", &reverse("9.9.9.9"), kind::PTR), Servers::Networks(_)));
}

#[test]
fn who_is_asked_depends_on_who_asks() {
    let of = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
    assert_eq!(forwarded("a", "10.0.1.3", "example.com", 1), Servers::Container(of(&["192.0.2.9", "192.0.2.8"])));
    assert_eq!(forwarded("a", "10.0.1.4", "example.com", 1), Servers::Networks(of(&["192.0.2.1", "192.0.2.2"])));
    // Whoever is also on an open network gets out by that one.
    assert_eq!(forwarded("c", "10.0.3.3", "example.com", 1), Servers::Networks(of(&["192.0.2.1", "192.0.2.2"])));
    assert_eq!(ask("c", "10.0.3.2", "example.com", 1), (3, vec![]), "an internal network");
    assert_eq!(ask("c", "10.0.3.77", "example.com", 1), (3, vec![]), "nor does a false address help");
    assert_eq!(ask("c", "10.0.1.4", "example.com", 1), (3, vec![]), "not even another container's");
    let mut containers = containers();
    containers.set("d", false, NetworkFile::parse(b"10.0.4.1\nda 10.0.4.2  x\n").unwrap());
    let verdict = verdict(&containers, "d", "10.0.4.2", &message("example.com", 1, 1, None), 512);
    assert_eq!(verdict, Verdict::Forward(Servers::Host));
}

#[test]
fn a_network_is_changed_alone() {
    let mut containers = containers();
    let (a, b) = (containers.network("a").unwrap(), containers.network("b").unwrap());
    assert_eq!(containers.set("a", false, NetworkFile::parse(b"10.0.1.1\nnew 10.0.1.9  one\n").unwrap()), a);
    let told = |containers: &Containers, network: &str, from: &str, name: &str| match verdict(
        containers,
        network,
        from,
        &message(name, 1, 1, None),
        512,
    ) {
        Verdict::Answered(reply) => {
            Message::from_vec(&reply).unwrap().answers.iter().map(|record| record.data.to_string()).collect()
        }
        Verdict::Forward(_) => texts(&["forwarded"]),
    };
    assert_eq!(told(&containers, "a", "10.0.1.9", "one"), ["10.0.1.9"]);
    assert_eq!(told(&containers, "b", "10.0.2.3", "one"), ["forwarded"], "the container has left");
    assert_eq!(told(&containers, "b", "10.0.2.3", "two"), ["10.0.2.2"]);
    containers.remove("b");
    containers.remove("b");
    assert_eq!((containers.len(), containers.listens(b).len()), (2, 0));
    containers.remove("a");
    containers.remove("c");
    assert!(containers.is_empty() && containers.by_parts_is_empty());
}

#[test]
fn what_does_not_fit_comes_again_by_tcp() {
    let mut text = String::from("10.0.0.1\n");
    for each in 0..6000_u32 {
        text += &format!("{each} 10.1.{}.{}  many\n", each >> 8, each & 255);
    }
    let mut containers = Containers::new(None);
    containers.set("n", false, NetworkFile::parse(text.as_bytes()).unwrap());
    let ask = |limit| {
        let Verdict::Answered(reply) = verdict(&containers, "n", "10.0.0.9", &message("many", 1, 1, Some(OPT)), limit)
        else {
            panic!()
        };
        assert!(reply.len() <= limit);
        let message = Message::from_vec(&reply).unwrap();
        (message.metadata.truncation, message.answers.len(), message.edns.is_some())
    };
    const OPT: [u8; 11] = *b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    assert_eq!(ask(1232), (true, 0, true));
    let (cut, count, _) = ask(65535);
    assert!(!cut && count > 4000, "{count}");
}

#[test]
fn odd_queries() {
    let containers = containers();
    let told =
        |message: &[u8]| u16::from(read(verdict(&containers, "a", "10.0.1.3", message, 512)).metadata.response_code);
    assert_eq!(told(&message("one", 1, 3, None)), 5, "another class");
    assert_eq!(told(&message("one", 1, 1, Some(*b"\0\0\x29\x04\xd0\0\x01\0\0\0\0"))), 16, "another version of EDNS");
    let nothing = read(verdict(&containers, "a", "10.0.1.3", &message("no.dns.podman", 1, 1, None), 512));
    assert!(nothing.metadata.authoritative);
    assert_eq!(nothing.authorities[0].name.to_string(), "dns.podman.");
    let none = read(verdict(&containers, "a", "10.0.1.3", &message("both", 28, 1, None), 512));
    assert_eq!(none.authorities[0].name.to_string(), "both.");
}

#[test]
fn services() {
    let mut containers = containers();
    let service = Service { target: Name::parse("one").unwrap(), port: 80 };
    let id = containers.network("a").unwrap();
    containers.set_services(id, [(Name::parse("_http._tcp.one").unwrap(), vec![service])].into());
    let told = |from: &str, network: &str| match verdict(
        &containers,
        network,
        from,
        &message("_http._tcp.one", 33, 1, None),
        512,
    ) {
        Verdict::Answered(reply) => Message::from_vec(&reply).unwrap().answers[0].data.to_string(),
        Verdict::Forward(_) => "forwarded".into(),
    };
    assert_eq!(told("10.0.1.4", "a"), "0 0 80 one.");
    assert_eq!(told("10.0.2.2", "b"), "forwarded");
}
