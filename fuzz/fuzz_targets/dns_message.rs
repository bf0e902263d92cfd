//! Any bytes to the name server, from the container and from the servers that are asked. Nothing panics; what is judged to be a
//! query is passed on as one; what rnet answers itself is a message that another implementation reads; an answer that does not
//! fit is cut; and the cache stays within its bound.
//!
//! The first two bytes say where the query ends and an upstream server's answer begins.
#![no_main]

use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use rnet_dns::wire::{self, Records, flag};
use rnet_dns::{
    Cache, Ede, Hosts, Name, Query, Rcode, Routes, Unfit, failure, fit, is_answer_to, is_rebinding, letter, rcode_of,
    refusal,
};

const BOUND: usize = 16 << 10;

fuzz_target!(|data: &[u8]| {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let (message, reply) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
    for bytes in [rest, message, reply] {
        let _ = (rcode_of(bytes), is_rebinding(bytes), is_answer_to(message, bytes));
        let ends: usize = letter::messages(bytes).map(|(_, message)| 21 + message.len()).sum();
        assert!(ends <= bytes.len());
    }
    match Query::judge(message) {
        Err(Unfit::Silent) => {}
        Err(Unfit::Answer(rcode)) => ours(&refusal(message, rcode)),
        Ok(query) => answer(&query, reply),
    }
});

fn answer(query: &Query<'_>, reply: &[u8]) {
    let upstream = query.upstream(7);
    assert!(upstream.len() <= query.message().len() && wire::id(&upstream) == Some(7));
    let again = Query::judge(&upstream).expect("what is passed on is a query");
    assert_eq!((again.question(), again.kind(), again.is_plain()), (query.question(), query.kind(), query.is_plain()));

    let why = Some((Ede::NoReachableAuthority, "nobody answers"));
    let failed = failure(query, Rcode::ServerFailure, why);
    ours(&failed);
    assert!(is_answer_to(query.message(), &failed));

    let (mut hosts, mut routes) = (Hosts::default(), Routes::default());
    for name in ["db", "host.rnet.internal", "a.b"] {
        let name = Name::parse(name).expect("a name");
        hosts.add(&name, "192.0.2.1".parse().expect("an address"));
        hosts.add(&name, "2001:db8::1".parse().expect("an address"));
        routes.add(name, 1);
    }
    let _ = routes.group(query.name());
    if let Some(local) = hosts.answer(query) {
        ours(&local);
        assert!(is_answer_to(query.message(), &local));
    }

    for limit in [512, query.udp_limit(), 65535] {
        let fitted = fit(reply.to_vec(), query, limit);
        if reply.len() > limit {
            assert!(fitted.len() <= limit && wire::flags(&fitted).is_some_and(|flags| flags & flag::TC != 0));
            ours(&fitted);
        } else {
            assert_eq!(fitted.len(), reply.len());
        }
    }

    let start = Instant::now();
    let mut cache = Cache::new(BOUND, Duration::from_secs(60));
    for count in 0..20 {
        let mut key = query.key();
        key.push(count);
        cache.insert(key, reply, start);
        assert!(cache.bytes() <= BOUND);
    }
    cache.insert(query.key(), reply, start);
    for age in [0, 1, 59, 86_400] {
        if let Some(cached) = cache.get_stale(&query.key(), start + Duration::from_secs(age)) {
            let cached = cached.reply(query, 65535);
            assert_eq!(cached.len(), reply.len());
            assert!(Records::of(&cached).is_some());
        }
    }
}

/// What rnet itself says is understood by others.
fn ours(message: &[u8]) {
    let read = Message::from_vec(message).expect("our own answer");
    assert_eq!(wire::id(message), Some(read.metadata.id));
}
