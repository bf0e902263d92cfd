//! Whom rnet asks: the servers of the host's resolv.conf as it changes, and others when some are dead or lie.

use std::time::{Duration, Instant};

use crate::bed::{Bed, DNS4, DNS6, Proc, SILENT, Side, WORLD4, WORLD6, eventually};

both!(
    the_hosts_file_is_followed,
    no_query_is_lost_while_the_file_changes,
    a_file_that_is_missing_is_waited_for,
    given_servers_take_the_place_of_the_hosts,
    link_local_servers_need_their_interface,
    a_dead_server_costs_one_query_at_most,
    a_server_that_comes_back_is_asked_again,
    all_servers_dead_is_told_at_once,
    a_server_that_refuses_is_no_last_word,
    lies_are_not_believed,
    numbers_and_ports_cannot_be_guessed,
    servers_take_turns_if_the_file_says_so,
    stale_answers_are_given_only_if_asked_for,
    the_name_server_is_there_only_when_it_is_needed,
    a_name_server_that_dies_is_replaced,
);

const FAR: &str = "198.51.100.1";

/// Two servers that know every name, each at an address of its own.
fn two_servers(bed: &Bed) {
    bed.names_server(Side::World, &format!("serve_one('{WORLD4}', '192.0.2.1')\nserve_one('{FAR}', '192.0.2.2')"));
}

/// Gives the bed an /etc of its own in which files can be replaced.
fn own_etc(bed: &Bed) {
    bed.root(
        Side::Host,
        "mkdir /mnt/etc; cp -a /etc/. /mnt/etc/ 2>/dev/null || true; rm -f /mnt/etc/resolv.conf; cp /mnt/resolv.conf /mnt/etc/resolv.conf
         mount --bind /mnt/etc /etc; mount -o remount,bind,rw /etc; echo >/etc/written",
    )
    .ok();
    bed.write("/tmp/noted", "");
}

/// A container that asks for another name every 50 ms and says what it got.
fn asking(bed: &Bed, options: &str) -> Proc {
    let script = format!(
        "n = 0
while True:
    n += 1
    try: got = ask(('{DNS4}', '{DNS6}')[n % 2], 'web.test', timeout=4); print(got.rcode, *got.addresses, flush=True)
    except OSError as error: print('lost', error, flush=True)
    time.sleep(0.05)"
    );
    let process = bed.run_names(options, &script).spawn();
    process.wait_for("\n");
    process
}

/// Waits until what it says last is `wanted`; no longer than a second and what a busy machine takes.
fn says(process: &Proc, wanted: &str, after: &str) {
    let start = Instant::now();
    let last = || process.stdout().lines().last().unwrap_or_default().to_owned();
    let came = eventually(Duration::from_millis(1500), || last() == wanted);
    assert!(came, "{after}: after {:?} it says {}, not {wanted}", start.elapsed(), last());
}

fn the_hosts_file_is_followed(bed: &Bed) {
    two_servers(bed);
    own_etc(bed);
    let process = asking(bed, "");
    let host = |script: &str| drop(bed.root(Side::Host, script).ok());
    says(&process, "0 192.0.2.1", "start");
    host(&format!("echo nameserver {FAR} >/etc/new; mv /etc/new /etc/resolv.conf"));
    says(&process, "0 192.0.2.2", "replaced by rename");
    host(&format!("echo nameserver {WORLD4} >/etc/resolv.conf"));
    says(&process, "0 192.0.2.1", "edited in place");
    host(&format!(
        "mkdir -p /run/resolve; echo nameserver {FAR} >/run/resolve/one; ln -s ../run/resolve/one /etc/link; mv /etc/link /etc/resolv.conf"
    ));
    says(&process, "0 192.0.2.2", "replaced by a link");
    host(&format!("echo nameserver {WORLD4} >/run/resolve/two; mv /run/resolve/two /run/resolve/one"));
    says(&process, "0 192.0.2.1", "the link's target replaced");
    host(&format!("echo nameserver {FAR} >/run/resolve/three; ln -sf /run/resolve/three /etc/resolv.conf"));
    says(&process, "0 192.0.2.2", "the link led elsewhere");
    host("rm /etc/resolv.conf");
    std::thread::sleep(Duration::from_millis(700));
    says(&process, "0 192.0.2.2", "gone for a while");
    host(": >/etc/resolv.conf");
    std::thread::sleep(Duration::from_millis(500));
    says(&process, "0 192.0.2.2", "empty for a while");
    host(&format!("echo nameserver {WORLD4} >>/etc/resolv.conf"));
    says(&process, "0 192.0.2.1", "there again");
    host(&format!("echo nameserver {FAR} >/run/resolve/mounted; mount --bind /run/resolve/mounted /etc/resolv.conf"));
    says(&process, "0 192.0.2.2", "covered by a mount");
    host("umount /etc/resolv.conf");
    says(&process, "0 192.0.2.1", "uncovered");
    host("rm -rf /run/resolve");
    let out = process.stdout();
    assert!(out.lines().all(|line| line.starts_with("0 192.0.2.")), "{out}");
}

fn no_query_is_lost_while_the_file_changes(bed: &Bed) {
    two_servers(bed);
    own_etc(bed);
    let process = asking(bed, "--dns-cache 0");
    let change = format!(
        "for i in $(seq 200); do
            if [ $((i % 2)) = 0 ]; then echo nameserver {FAR} >/etc/new; else echo nameserver {WORLD4} >/etc/new; fi
            case $((i % 3)) in 0) mv /etc/new /etc/resolv.conf ;; 1) cat /etc/new >/etc/resolv.conf ;; 2) rm -f /etc/resolv.conf; sleep 0.005; mv /etc/new /etc/resolv.conf ;; esac
            sleep 0.01
        done"
    );
    bed.root(Side::Host, &change).ok();
    let out = process.stdout();
    let (ones, twos) = (out.matches("0 192.0.2.1\n").count(), out.matches("0 192.0.2.2\n").count());
    assert!(ones > 3 && twos > 3 && ones + twos == out.lines().count(), "{ones} {twos}\n{out}");
}

fn a_file_that_is_missing_is_waited_for(bed: &Bed) {
    two_servers(bed);
    own_etc(bed);
    bed.root(Side::Host, "rm /etc/resolv.conf").ok();
    let process = asking(bed, "");
    says(&process, "2", "no file");
    bed.root(Side::Host, &format!("echo nameserver {FAR} >/etc/resolv.conf")).ok();
    says(&process, "0 192.0.2.2", "a file");
    assert!(!process.stdout().contains("lost"), "{}", process.stdout());
}

fn given_servers_take_the_place_of_the_hosts(bed: &Bed) {
    two_servers(bed);
    bed.names_server(Side::Host, "serve_one('127.0.0.1', '192.0.2.3', port=5353)\nserve_one('::1', '192.0.2.4')");
    bed.names_server(Side::World, &format!("serve_one('{WORLD6}', '192.0.2.5')"));
    for (options, is) in [
        (format!("--dns {FAR}"), "192.0.2.2"),
        (format!("--dns {FAR} --dns {WORLD4}"), "192.0.2.2"),
        ("--dns 127.0.0.1#5353".into(), "192.0.2.3"),
        ("--dns ::1".into(), "192.0.2.4"),
        (format!("--dns {WORLD6}"), "192.0.2.5"),
        (format!("--dns {WORLD4} --dns-option use-vc"), "192.0.2.1"),
    ] {
        assert_eq!(bed.run(&options, &format!("dig +short +tries=1 @{DNS4} web.test A")).ok(), is, "{options}");
    }
    for (conf, is) in
        [("nameserver ::1", "192.0.2.4"), ("nameserver 192.0.2.999\nnameserver 198.51.100.1", "192.0.2.2")]
    {
        bed.resolv_conf(&format!("{conf}\n"));
        assert_eq!(bed.run("", &format!("dig +short +tries=1 @{DNS6} web.test A")).ok(), is, "{conf}");
    }
}

fn link_local_servers_need_their_interface(bed: &Bed) {
    let script = "ip -6 -o address show dev eth0 scope link | sed 's/.* inet6 \\([^/]*\\).*/\\1/'";
    let there = eventually(Duration::from_secs(5), || {
        !bed.root(Side::World, &format!("ip -6 -o address show dev eth0 scope link -tentative; {script}"))
            .ok()
            .is_empty()
            && bed.root(Side::World, "ip -6 -o address show dev eth0 scope link tentative").ok().is_empty()
            && bed.root(Side::Host, "ip -6 -o address show dev eth0 scope link tentative").ok().is_empty()
    });
    assert!(there, "no link-local address");
    let server = bed.root(Side::World, script).ok();
    bed.names_server(
        Side::World,
        "def respond(message, via): return [answer(message, address('192.0.2.7'))]
serve('::', respond)",
    );
    bed.resolv_conf(&format!("nameserver {server}%eth0\n"));
    assert_eq!(bed.run("", &format!("dig +short +tries=1 @{DNS4} web.test A")).ok(), "192.0.2.7");
    assert_eq!(
        bed.run(&format!("--dns {server}%eth0"), &format!("dig +short +tcp +tries=1 @{DNS4} web.test A")).ok(),
        "192.0.2.7"
    );
    bed.rnet(&["run", "--dns", &server, "true"]).output().assert_code(2).assert_stderr(&["link-local", "%eth0"]);
}

fn a_dead_server_costs_one_query_at_most(bed: &Bed) {
    two_servers(bed);
    for dead in [SILENT[0], "198.51.100.2"] {
        // One is silent, the other refuses.
        bed.resolv_conf(&format!("nameserver {dead}\nnameserver {FAR}\n"));
        let script = format!(
            "took = []
for n in range(30):
    start = time.monotonic(); equal(ask('{DNS4}', f'n{{n}}.test').addresses, ['192.0.2.2']); took.append(time.monotonic() - start)
check(took[0] < 1, took[0]); check(sum(t > 0.2 for t in took[1:]) == 0, took)
start = time.monotonic(); equal(Got(send_tcp('{DNS4}', query('tcp.test'))).addresses, ['192.0.2.2']); check(time.monotonic() - start < 1)"
        );
        bed.run_names("", &script).ok();
    }
}

fn a_server_that_comes_back_is_asked_again(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "start = time.monotonic(); serve_one('{FAR}', '192.0.2.2')
def respond(message, via): return [answer(message, address('192.0.2.1'))] if time.monotonic() - start > 3 else []
serve('{WORLD4}', respond)"
        ),
    );
    bed.resolv_conf(&format!("nameserver {WORLD4}\nnameserver {FAR}\n"));
    let script = format!(
        "equal(ask('{DNS4}', 'first.test').addresses, ['192.0.2.2']); deadline = time.monotonic() + 20; n = 0
while ask('{DNS4}', f'n{{n}}.test').addresses != ['192.0.2.1']: n += 1; check(time.monotonic() < deadline, 'it was never asked again'); time.sleep(0.1)
for n in range(10): equal(ask('{DNS4}', f'm{{n}}.test').addresses, ['192.0.2.1'])"
    );
    bed.run_names("", &script).limit(40).ok();
}

fn all_servers_dead_is_told_at_once(bed: &Bed) {
    for (servers, first, then) in [
        // Nobody answers; everybody refuses; there is no way.
        (format!("nameserver {}\nnameserver {}\n", SILENT[0], SILENT[1]), 3.0, 1.6),
        (format!("nameserver {WORLD4}\nnameserver {FAR}\n"), 0.5, 0.5),
        ("nameserver 198.51.100.66\n".into(), 0.5, 0.5),
    ] {
        bed.resolv_conf(&servers);
        let script = format!(
            "for turn, most in ((0, {first}), (1, {then}), (2, {then})):
    for send_it in (send, send_tcp):
        start = time.monotonic(); got = Got(send_it('{DNS4}', query(f'n{{turn}}.test', edns=1232))); took = time.monotonic() - start
        equal(got.rcode, SERVFAIL); check(got.ede in (22, 23), got.ede); check(took < most, turn, took)
equal(ask('{DNS4}', 'host.rnet.internal').rcode, NOERROR)"
        );
        bed.run_names("", &script).ok();
    }
}

fn a_server_that_refuses_is_no_last_word(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via): return [answer(message, rcode=REFUSED if question(message)[1][0] == b'r' else SERVFAIL)]
serve('{WORLD4}', respond)
def other(message, via): return [answer(message, address('192.0.2.2'))] if question(message)[1][0] != b'both' else [answer(message, rcode=REFUSED)]
serve('{FAR}', other)"
        ),
    );
    bed.resolv_conf(&format!("nameserver {WORLD4}\nnameserver {FAR}\n"));
    let script = format!(
        "for name in ('r.test', 's.test'): got = ask('{DNS4}', name); equal((got.rcode, got.addresses), (NOERROR, ['192.0.2.2']))
equal(ask('{DNS4}', 'both.test').rcode, SERVFAIL, 'the first has the word')"
    );
    bed.run_names("", &script).ok();
}

fn lies_are_not_believed(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); other.bind(('{FAR}', 53))
def respond(message, via):
    lie, truth = answer(message, address('192.0.2.66')), answer(message, address('192.0.2.1'))
    lies = [bytes([lie[0] ^ 1]) + lie[1:], lie[:2] + b'\\x01\\x00' + lie[4:], lie[:13] + b'x' + lie[14:], lie[:len(message) - 3] + b'\\x1c' + lie[len(message) - 2:], b'', lie[:11], lie[:4] + b'\\0\\0' + lie[6:], lie[:4] + b'\\0\\2' + lie[6:], b'\\0' * 12]
    return lies + [truth]
seen = serve('{WORLD4}', respond)"
        ),
    );
    let script = format!(
        "for n in range(20): equal(ask('{DNS4}', f'name{{n}}.test').addresses, ['192.0.2.1']); equal(Got(send_tcp('{DNS4}', query(f'tcp{{n}}.test'))).addresses, ['192.0.2.1'])"
    );
    bed.run_names("", &script).ok();
}

fn numbers_and_ports_cannot_be_guessed(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via):
    labels = question(message)[1]
    if labels[0] == b'seen':
        udp = [(m, p) for m, p, v in seen if v == 'udp' and question(m)[1][0] != b'seen']
        ids, ports = [m[:2] for m, p in udp], [p[1] for m, p in udp]
        steps = [abs(b - a) for a, b in zip(ports, ports[1:])]
        text = f'{{len(set(ids))}} {{len(set(ports))}} {{sum(0 < s < 4 for s in steps)}}'.encode()
        return [answer(message, (TXT, bytes([len(text)]) + text), ttl=0)]
    return [answer(message, address('192.0.2.1'))]
seen = serve('{WORLD4}', respond)"
        ),
    );
    let script = format!(
        "socks = [udp('{DNS4}') for _ in range(50)]
for turn in range(20):
    for n, s in enumerate(socks): s.sendto(query(f'n{{turn}}-{{n}}.test', ident=7), ('{DNS4}', 53))
    for s in socks: equal(s.recv(512)[:2], b'\\0\\7')
ids, ports, near = map(int, send('{DNS4}', query('seen.test', TXT)).split(b'\\0')[-1].decode('latin1').split('\\n')[-1].strip('\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\x09\\x0a\\x0b\\x0c\\x0d').split())
check(ids > 900 and ports > 30 and near < 100, ids, ports, near)"
    );
    bed.run_names("", &script).ok();
}

fn servers_take_turns_if_the_file_says_so(bed: &Bed) {
    two_servers(bed);
    bed.resolv_conf(&format!("options rotate\nnameserver {WORLD4}\nnameserver {FAR}\n"));
    let script = format!(
        "seen = [ask('{DNS4}', f'n{{n}}.test').addresses[0] for n in range(20)]; equal((seen.count('192.0.2.1'), seen.count('192.0.2.2')), (10, 10))"
    );
    bed.run_names("", &script).ok();
}

fn stale_answers_are_given_only_if_asked_for(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "start = time.monotonic()
def respond(message, via): return [answer(message, address('192.0.2.1'), ttl=1)] if len(seen) <= 1 else []
seen = serve('{WORLD4}', respond)"
        ),
    );
    let script = |then: &str| {
        format!(
            "equal(ask('{DNS4}', 'web.test').addresses, ['192.0.2.1']); time.sleep(1.3); got = ask('{DNS4}', 'web.test', timeout=6); {then}"
        )
    };
    bed.run_names(
        "--dns-stale 60",
        &script("equal((got.rcode, got.addresses, got.ttls), (NOERROR, ['192.0.2.1'], [30]))"),
    )
    .ok();
    bed.run_names("", &format!("equal(ask('{DNS4}', 'web.test', timeout=6).rcode, SERVFAIL)")).ok();
}

fn the_name_server_is_there_only_when_it_is_needed(bed: &Bed) {
    two_servers(bed);
    let names = || {
        let is_one = |(pid, _): &(u32, String)| {
            std::fs::read_to_string(bed.path(&format!("/proc/{pid}/comm"))).is_ok_and(|comm| comm.trim() == "rnet-dns")
        };
        bed.processes().iter().filter(|process| is_one(process)).map(|(pid, _)| *pid).collect::<Vec<_>>()
    };
    let process =
        bed.run("", &format!("echo up; read line; dig +short +tries=1 @{DNS4} web.test; read line")).stdin("").spawn();
    process.wait_for("192.0.2.1");
    drop(process);
    let process =
        bed.run("", &format!("echo up; sleep 1; dig +short +tries=1 @{DNS4} web.test; echo asked; sleep 2")).spawn();
    process.wait_for("up");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(names(), [] as [u32; 0], "nobody has asked");
    process.wait_for("asked");
    let pids = names();
    assert_eq!(pids.len(), 1);
    let status = std::fs::read_to_string(bed.path(&format!("/proc/{}/status", pids[0]))).unwrap();
    for want in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Threads:\t1"] {
        assert!(status.contains(want), "{want}\n{status}");
    }
    let files = std::fs::read_dir(bed.path(&format!("/proc/{}/root/", pids[0])));
    assert!(files.is_ok_and(|mut files| files.next().is_none()), "it sees no files");
    let out = process.wait(Duration::from_secs(10));
    out.assert_code(0);
}

fn a_name_server_that_dies_is_replaced(bed: &Bed) {
    two_servers(bed);
    let process = asking(bed, "--log-level off");
    says(&process, "0 192.0.2.1", "start");
    std::thread::sleep(Duration::from_millis(1100));
    for turn in 0..2 {
        let killed = bed.root(Side::Host, "for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = rnet-dns ] && kill -9 ${p#/proc/} && echo killed; done; true").ok();
        assert_eq!(killed, "killed");
        let before = process.stdout().lines().count();
        let came = eventually(Duration::from_secs(6), || {
            process.stdout().lines().skip(before + 1).filter(|line| *line == "0 192.0.2.1").count() > 3
        });
        assert!(came, "{turn}: {}", process.stdout());
        std::thread::sleep(Duration::from_millis(1100));
    }
}
