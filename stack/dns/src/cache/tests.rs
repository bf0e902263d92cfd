use super::*;

const SOA: &[u8] =
    b"\xc0\x0c\0\x06\0\x01\0\0\x01\x2c\0\x18\xc0\x0c\xc0\x0c\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x3c";

fn query(name: u32) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x08".to_vec();
    message.extend_from_slice(format!("{name:08}").as_bytes());
    message.extend_from_slice(b"\0\0\x01\0\x01");
    message
}

fn answer(ttl: u32, len: usize) -> Vec<u8> {
    let mut record = b"\xc0\x0c\0\x10\0\x01".to_vec();
    record.extend_from_slice(&ttl.to_be_bytes());
    record.extend_from_slice(&(len as u16).to_be_bytes());
    record.resize(record.len() + len, b'x');
    record
}

fn reply(query: &[u8], rcode: u8, answers: &[&[u8]], authority: &[&[u8]]) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] |= 0x80;
    message[3] = 0x80 | rcode;
    message[7] = answers.len() as u8;
    message[9] = authority.len() as u8;
    for record in answers.iter().chain(authority) {
        message.extend_from_slice(record);
    }
    message
}

#[test]
fn times_to_live_are_counted_down_and_end() {
    let (start, asked) = (Instant::now(), query(1));
    let judged = Query::judge(&asked).unwrap();
    let mut cache = Cache::new(1 << 20, Duration::from_secs(10));
    cache.insert(judged.key(), &reply(&asked, 0, &[&answer(100, 4), &answer(60, 4)], &[]), start);
    let got = cache.get(&judged.key(), start + Duration::from_millis(20_900)).unwrap().reply(&judged, 512);
    assert_eq!(got, reply(&asked, 0, &[&answer(80, 4), &answer(40, 4)], &[]));
    assert!(cache.get(&judged.key(), start + Duration::from_secs(60)).is_none());
    let stale = cache.get_stale(&judged.key(), start + Duration::from_secs(65)).unwrap();
    assert!(stale.is_stale());
    assert_eq!(stale.reply(&judged, 512), reply(&asked, 0, &[&answer(30, 4), &answer(30, 4)], &[]));
    assert!(cache.get_stale(&judged.key(), start + Duration::from_secs(70)).is_none());
}

#[test]
fn what_may_be_kept_and_for_how_long() {
    let asked = query(1);
    let life = |reply: &[u8]| judge(reply).map(|(life, _)| life);
    assert_eq!(life(&reply(&asked, 0, &[&answer(7, 4)], &[])), Some(7));
    assert_eq!(life(&reply(&asked, 0, &[&answer(0, 4)], &[])), None);
    assert_eq!(life(&reply(&asked, 0, &[&answer(u32::MAX, 4)], &[])), None);
    assert_eq!(life(&reply(&asked, 0, &[&answer(1 << 30, 4)], &[])), Some(86_400));
    assert_eq!(life(&reply(&asked, 3, &[], &[SOA])), Some(60), "the SOA's minimum");
    assert_eq!(life(&reply(&asked, 0, &[], &[SOA])), Some(60));
    assert_eq!(life(&reply(&asked, 3, &[], &[])), None, "nobody says for how long");
    assert_eq!(life(&reply(&asked, 0, &[], &[])), None);
    assert_eq!(life(&reply(&asked, 2, &[], &[])), None);
    assert_eq!(life(&reply(&asked, 5, &[&answer(7, 4)], &[])), None);
    let good = reply(&asked, 0, &[&answer(7, 4)], &[SOA]);
    for len in 0..good.len() {
        assert_eq!(life(&good[..len]), None, "cut at {len}");
    }
    let mut cut = good.clone();
    cut[2] |= 2;
    assert_eq!(life(&cut), None);
}

#[test]
fn the_bound_holds_and_what_is_wanted_stays() {
    let start = Instant::now();
    let mut cache = Cache::new(64 << 10, Duration::ZERO);
    let wanted = query(0);
    let wanted = Query::judge(&wanted).unwrap();
    for name in 0..2000 {
        let asked = query(name);
        let reply = reply(&asked, 0, &[&answer(1000, 200)], &[]);
        cache.insert(Query::judge(&asked).unwrap().key(), &reply, start);
        assert!(cache.bytes() <= 64 << 10, "{}", cache.bytes());
        assert!(cache.get(&wanted.key(), start).is_some(), "{name}");
    }
    assert!(cache.len() > 80, "{}", cache.len());
    cache.insert(wanted.key(), &reply(wanted.message(), 0, &[&answer(1000, 60_000)], &[]), start);
    assert!(cache.len() > 80, "too long an answer is not kept");
    cache.clear();
    assert_eq!((cache.bytes(), cache.len()), (0, 0));
}

#[test]
fn the_same_key_replaces() {
    let (start, asked) = (Instant::now(), query(1));
    let judged = Query::judge(&asked).unwrap();
    let mut cache = Cache::new(1 << 20, Duration::ZERO);
    for ttl in [10, 20] {
        cache.insert(judged.key(), &reply(&asked, 0, &[&answer(ttl, 4)], &[]), start);
    }
    assert_eq!(cache.len(), 1);
    assert_eq!(cache.get(&judged.key(), start).unwrap().reply(&judged, 512), reply(&asked, 0, &[&answer(20, 4)], &[]));
}
