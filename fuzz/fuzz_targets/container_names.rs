//! Any text as a network's file, and any bytes as a query to the names that it gives. Nothing panics; what is answered is a message
//! that another implementation reads and that fits; nobody is told names of a network that it is not on; and a network that goes
//! leaves nothing behind.
//!
//! The first two bytes say where the file ends and the query begins.
#![no_main]

use std::net::IpAddr;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use rnet_dns::containers::{Containers, NetworkFile, Servers, Verdict, network_of};
use rnet_dns::{Name, Query, is_answer_to, wire};

const OTHER: &str = "10.255.0.1 192.0.2.1\nother 10.255.0.2 fd00:ff::2 secret,web 192.0.2.2\n";

fuzz_target!(|data: &[u8]| {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let (text, message) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
    let _ = network_of(&String::from_utf8_lossy(text));
    let Ok(file) = NetworkFile::parse(text) else { return };
    assert!(!file.bind.is_empty());

    let mut containers = Containers::new(Name::parse("dns.podman").ok());
    let other = NetworkFile::parse(OTHER.as_bytes()).expect("a file");
    containers.set("other", false, other);
    for is_internal in [true, false] {
        let listener = containers.set("net", is_internal, file.clone());
        let own = file.containers.iter().flat_map(|container| container.addresses.iter().copied()).take(8);
        let stranger: IpAddr = [203, 0, 113, 9].into();
        for from in own.chain([stranger]) {
            if let Ok(query) = Query::judge(message) {
                for limit in [query.udp_limit(), 65535] {
                    judge(&containers, &query, containers.ask(&query, listener, from, limit), limit);
                }
            }
        }
        // Only a container of that id is on both networks, and only one at that address is taken for it.
        let secret = ask_for(b"\x06secret\0");
        let is_shared = |container: &rnet_dns::containers::Container| {
            *container.id == *"other" || container.addresses.iter().any(|address| ["10.255.0.2", "fd00:ff::2"].contains(&&*address.to_string()))
        };
        let is_own = file.containers.iter().any(|container| container.names.iter().any(|name| name.wire() == b"\x06secret\0"));
        if !is_own && !file.containers.iter().any(is_shared) {
            let query = Query::judge(&secret).expect("a query");
            match containers.ask(&query, listener, stranger, 512) {
                Verdict::Answered(reply) => assert!(is_internal && wire::counts(&reply).is_some_and(|counts| counts[1] == 0)),
                Verdict::Forward(_) => assert!(!is_internal),
            }
        }
    }
    containers.remove("net");
    containers.remove("other");
    assert!(containers.is_empty());
});

fn judge(containers: &Containers, query: &Query<'_>, verdict: Verdict, limit: usize) {
    match verdict {
        Verdict::Answered(reply) => {
            assert!(reply.len() <= limit && is_answer_to(query.message(), &reply));
            Message::from_vec(&reply).expect("our own answer");
        }
        Verdict::Forward(Servers::Container(servers) | Servers::Networks(servers)) => assert!(!servers.is_empty()),
        Verdict::Forward(Servers::Host) => assert!(!containers.is_empty()),
    }
}

fn ask_for(name: &[u8]) -> Vec<u8> {
    [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name, &[0, 1, 0, 1]].concat()
}
