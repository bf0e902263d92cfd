//! An answer through rnet is the server's own: compared with what `dig` gets directly, and byte by byte.

use crate::bed::{Bed, DNS4, DNS6, Side, WORLD4, WORLD6};

both!(
    dig_sees_no_difference,
    bytes_come_through_as_they_are,
    the_cache_gives_the_same_answers,
    long_answers_are_cut_to_what_the_client_takes,
    queries_on_one_connection_are_answered_out_of_order,
    zones_are_transferred,
    several_threads_answer,
);

/// Records of all kinds, and names of all bytes.
fn zone() -> String {
    let long = |len: usize| {
        let strings = (0..len / 200).map(|at| format!("\"{at:03}{}\"", "x".repeat(196)));
        strings.collect::<Vec<_>>().join(" ")
    };
    let many: String = (0..120).map(|at| format!("many 60 A 192.0.2.{at}\n")).collect();
    let chain: String = (0..8).map(|at| format!("c{at} 60 CNAME c{}\n", at + 1)).collect();
    format!(
        "$ORIGIN example.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nns AAAA 2001:db8::53\n\
         web A 192.0.2.80\nweb AAAA 2001:db8::80\nweb CAA 0 issue \"ca.example\"\n\
         web HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.80\n_dns SVCB 1 dns.example. alpn=dot\n\
         odd TYPE65280 \\# 5 0001fffe80\nodd TYPE1234 \\# 0\nmx MX 10 mail\nmail A 192.0.2.25\n_sip._tcp SRV 0 5 5060 sip\nsip A 192.0.2.60\n\
         loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\nnaptr NAPTR 100 10 \"u\" \"sip+E2U\" \"!^.*$!sip:x@example!\" .\n\
         t600 TXT {}\nt1400 TXT {}\nt5000 TXT {}\nt40000 TXT {}\n{many}{chain}c8 A 192.0.2.8\ndangling CNAME nothing\n\
         *.wild A 192.0.2.99\nMiXeD A 192.0.2.77\na\\000b A 192.0.2.1\n\\255\\.x A 192.0.2.2\n\\032 A 192.0.2.3\n\
         sub NS ns.sub\nns.sub A 192.0.2.54\nempty.nonterminal.deep A 192.0.2.4\n",
        long(600),
        long(1400),
        long(5000),
        long(40_000)
    )
}

/// One `dig` per line.
const QUESTIONS: &str = "web A\nweb AAAA\nweb CAA\nweb HTTPS\n_dns SVCB\nodd TYPE65280\nodd TYPE1234\nmx MX\n_sip._tcp SRV\nloc LOC\nnaptr NAPTR
ns ANY\nweb MX\nweb TYPE65281\nno-such-name A\nno-such-name TYPE65280\nc0 A\ndangling A\nx.y.wild A\nmixed A\nMIXED A\nmIxEd AAAA
'a\\000b' A\n'\\255\\.x' A\n'\\032' A\nsub A\nwww.sub A\nnonterminal.deep A\nt600 TXT\nt1400 TXT\nt5000 TXT\nt40000 TXT\nmany A
web A +dnssec\nweb A +nsid\nweb A +cdflag\nweb A +adflag\nweb A +noadflag\nweb A +norecurse\nweb A +noedns\nt600 TXT +noedns\nweb A +bufsize=512\nt1400 TXT +bufsize=1000
many A +dnssec +nsid\nweb A +ednsopt=65001:0102\nweb A +subnet=192.0.2.0/24\nweb A +edns=1 +noednsneg\nweb A +nocookie\n. SOA\nother.test A
-c CH version.server TXT\nexample AXFR\nweb A +zflag";

/// Everything but what differs between two questions anyway: their numbers, times and servers, cookies, which concern one hop, and the
/// age of an answer from the cache.
const SCRIPT: &str = "while read -r question; do
    eval \"set -- $question\"; name=$1; shift
    case $name in -c) class=\"-c $1\"; name=$2.; shift 2 ;; *.*.test|other.test|.|example) class=; name=${name%.}. ;; *) class=; name=$name.example. ;; esac
    [ \"$1\" = AXFR ] && [ \"$transport\" = +notcp ] && continue
    echo \"### $name $*\"
    dig -b 0.0.0.0 +time=4 +tries=1 +qr $transport @$server $class \"$name\" \"$@\" 2>&1
done | sed -e 's/, id: [0-9]*/, id/' -e '/^;; Query time/d' -e '/^;; WHEN/d' -e '/^;; SERVER/d' -e '/^; COOKIE/d' -e '/^; <<>>/d' -e '/^;; MSG SIZE/d' -e '/^;; QUERY SIZE/d' -e '/^;; communications/d' -e 's/\\t29[0-9]\\t/\\t300\\t/' -e 's/\\t5[0-9]\\t/\\t60\\t/'";

fn dig_sees_no_difference(bed: &Bed) {
    bed.nsd(Side::World, &[WORLD4, WORLD6], &zone());
    bed.write("/tmp/questions", QUESTIONS);
    for (direct, through) in [(WORLD4, DNS4), (WORLD6, DNS6)] {
        // What nsd says depends on how it is asked.
        bed.resolv_conf(&format!("nameserver {direct}\n"));
        for transport in ["+notcp", "+tcp"] {
            let script = |server: &str| {
                let script = SCRIPT.replace("-b 0.0.0.0 ", "");
                format!(
                    "server={server} transport={transport}; {script}",
                    script = script.replacen("while", "cat /tmp/questions | while", 1)
                )
            };
            let expected = bed.sh(&script(direct)).limit(60).ok();
            let seen = bed.run("", &script(through)).limit(60).ok();
            assert!(expected.matches("###").count() > 45 && expected.contains("NSID"), "{expected}");
            let parts = |text: &str| text.split("### ").map(str::to_owned).collect::<Vec<_>>();
            for (seen, expected) in parts(&seen).into_iter().zip(parts(&expected)) {
                assert_eq!(seen, expected, "{through} {transport}");
            }
            assert_eq!(seen.len(), expected.len());
        }
    }
}

fn bytes_come_through_as_they_are(bed: &Bed) {
    // The server says whatever the first label of the name is about, flags and code included.
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via):
    end, labels, kind, _ = question(message)
    flags, count = struct.unpack('!HH', labels[0])
    extra = b'' if count < 5000 else b'\\0' + struct.pack('!2HIH', OPT, 1232, 0x01008000, 4) + struct.pack('!2H', 3, 0)
    data = bytes(range(256)) * (count // 256) + bytes(count % 256)
    record = b'\\xc0\\x0c' + struct.pack('!2HIH', kind, 1, 77, len(data)) + data
    return [message[:2] + struct.pack('!5H', flags, 1, 1, 0, 1 if extra else 0) + message[12:end] + record + extra]
for where in ('{WORLD4}', '{WORLD6}'): serve(where, respond)"
        ),
    );
    for server in [DNS4, DNS6] {
        let script = format!(
            "for flags in (0x8000, 0x8580, 0x85a0, 0x8590, 0x81b0, 0x8183, 0x8186, 0x818a, 0x80f0):
    for count in (0, 4, 300, 9000, 60000):
        for kind in (1, 16, 99, 65280, 65535):
            labels = [struct.pack('!HH', flags, count), b'\\x00.\\xff mIxEd', b'test']
            message = query(labels, kind, edns=65000, dnssec=True)
            direct, through = send('{WORLD4}', message), send('{server}', message)
            equal(through, direct, (hex(flags), count, kind))
            if count < 300: equal(send_tcp('{server}', message), direct, 'over TCP')"
        );
        bed.run_names("", &script).limit(60).ok();
    }
}

fn the_cache_gives_the_same_answers(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "count = 0
def respond(message, via):
    global count; count += 1
    end, labels, kind, _ = question(message)
    if labels[0] == b'count': return [answer(message, (TXT, bytes([len(str(count))]) + str(count).encode()), ttl=0)]
    if labels[0] == b'gone': return [answer(message, authority=[soa(2)], rcode=NXDOMAIN)]
    if labels[0] == b'none': return [answer(message, authority=[soa(2)])]
    if labels[0] == b'bare': return [answer(message, rcode=NXDOMAIN)]
    return [answer(message, address('192.0.2.1'), address('192.0.2.2'), ttl=3)]
serve('{WORLD4}', respond)"
        ),
    );
    let script = format!(
        "def count(): return int(send('{DNS4}', query('count.test', TXT)).split(b'\\0')[-1][-8:].strip(b'\\x01\\x02\\x03').decode(errors='ignore').lstrip())
def asked(): return int(''.join(c for c in send('{DNS4}', query('count.test', TXT))[-3:].decode('latin1') if c.isdigit()))
start = asked()
first = ask('{DNS4}', 'WEB.test'); equal(first.addresses, ['192.0.2.1', '192.0.2.2']); equal(first.ttls, [3, 3])
for name in ('WEB.test', 'web.test', 'wEb.TeSt'):
    message = query(name); reply = send('{DNS4}', message); equal(reply[12:len(message)], message[12:], 'the case of the question')
    equal(Got(reply).addresses, first.addresses); equal(Got(send_tcp('{DNS4}', query(name))).addresses, first.addresses)
equal(asked() - start, 2, 'one of these is the question itself')
for name, rcode in (('gone.test', NXDOMAIN), ('none.test', NOERROR)):
    start = asked()
    for turn in range(4): equal(ask('{DNS4}', name).rcode, rcode)
    equal(asked() - start, 2, name)
start = asked()
for turn in range(3): equal(ask('{DNS4}', 'bare.test').rcode, NXDOMAIN)
equal(asked() - start, 4, 'what does not say for how long it holds is asked again')
start = asked()
for how in ({{}}, dict(edns=1232), dict(edns=1232, dnssec=True), dict(flags=0x0110), dict(flags=0x0120), dict(flags=0)):
    for turn in range(2): ask('{DNS4}', 'bits.test', **how)
equal(asked() - start, 7, 'what an answer may depend on is told apart')
time.sleep(1.2); again = ask('{DNS4}', 'bits.test'); equal(again.ttls, [2 if t > 1 else t for t in again.ttls]); check(again.ttls[0] in (1, 2), again.ttls)
start = asked(); time.sleep(2.2); equal(ask('{DNS4}', 'bits.test').ttls, [3, 3]); equal(asked() - start, 2, 'its time was over')
start = asked()
for turn in range(3): ask('{DNS4}', 'web.test', edns=1232, options=struct.pack('!2H', 3, 0))
equal(asked() - start, 4, 'what asks for something special is asked each time')
start = asked()
for turn in range(3): ask('{DNS4}', 'cookie.test', edns=1232, options=struct.pack('!2H', 10, 8) + os.urandom(8))
equal(asked() - start, 2, 'a cookie is between the client and rnet')"
    );
    bed.run_names("", &script).limit(60).ok();
    let script = format!(
        "def asked(): return int(''.join(c for c in send('{DNS4}', query('count.test', TXT))[-3:].decode('latin1') if c.isdigit()))
start = asked()
for turn in range(5): ask('{DNS4}', 'web.test')
equal(asked() - start, 6)"
    );
    bed.run_names("--dns-cache 0", &script).ok();
}

fn long_answers_are_cut_to_what_the_client_takes(bed: &Bed) {
    bed.nsd(Side::World, &[WORLD4], &zone());
    let script = format!(
        "for name, size in (('t600', 600), ('t1400', 1400), ('t5000', 5000), ('t40000', 40000), ('many', 1900)):
    for edns in (None, 512, 1232, 4096, 65535):
        limit = max(512, edns or 0)
        for turn in range(3):
            reply = send('{DNS4}', query(name + '.example', A if name == 'many' else TXT, edns=edns)); got = Got(reply)
            check(len(reply) <= limit, name, edns, len(reply)); equal(got.rcode, NOERROR)
            equal(got.truncated, size > limit, (name, edns, turn, len(reply)))
            equal(got.options is not None, edns is not None, 'EDNS is for those who know it')
    whole = Got(send_tcp('{DNS4}', query(name + '.example', A if name == 'many' else TXT))); check(len(whole.message) >= size and not whole.truncated, name)"
    );
    bed.run_names("", &script).limit(60).ok();
}

fn queries_on_one_connection_are_answered_out_of_order(bed: &Bed) {
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via):
    if question(message)[1][0] == b'slow': time.sleep(1)
    return [answer(message, address('192.0.2.1'))]
serve('{WORLD4}', respond)"
        ),
    );
    for server in [DNS4, DNS6] {
        let script = format!(
            "sock = connect('{server}', 53)
for ident, name in ((1, 'slow.test'), (2, 'a.test'), (3, 'b.test')):
    message = query(name, ident=ident); sock.sendall(struct.pack('!H', len(message))); time.sleep(0.05); sock.sendall(message[:7]); time.sleep(0.05); sock.sendall(message[7:])
equal([Got(receive_tcp(sock)).ident for _ in range(3)], [2, 3, 1])
messages = [query(f'n{{n}}.test', ident=n) for n in range(100)]
sock.sendall(b''.join(struct.pack('!H', len(m)) + m for m in messages)); sock.shutdown(socket.SHUT_WR)
equal(sorted(Got(receive_tcp(sock)).ident for _ in range(100)), list(range(100)), 'all that was asked before the end'); equal(sock.recv(1), b'')"
        );
        bed.run_names("", &script).ok();
    }
}

fn zones_are_transferred(bed: &Bed) {
    // In many messages, as servers send large zones.
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via):
    if question(message)[2] != 252: return [answer(message, address('192.0.2.1'))]
    start = [soa()]
    return [answer(message, *start)] + [answer(message, *[address(f'192.0.{{n}}.{{m}}') for m in range(100)]) for n in range(50)] + [answer(message, *start)]
serve('{WORLD4}', respond)"
        ),
    );
    let out = bed.run("", &format!("dig +noall +answer @{DNS4} zone.test AXFR | grep -c '[[:space:]]A[[:space:]]'; dig +short +tcp @{DNS4} web.test")).ok();
    assert_eq!(out, "5000\n192.0.2.1");
}

fn several_threads_answer(bed: &Bed) {
    bed.names_server(Side::World, &format!("serve_one('{WORLD4}', '192.0.2.1')"));
    let script = format!(
        "socks = [udp('{DNS4}') for _ in range(64)]
for turn in range(10):
    for n, s in enumerate(socks): s.sendto(query(f'n{{turn}}-{{n}}.test', ident=n), ('{DNS4}', 53))
    for n, s in enumerate(socks): got = Got(s.recv(512)); equal((got.ident, got.addresses), (n, ['192.0.2.1']))
for n in range(40): equal(Got(send_tcp(('{DNS4}', '{DNS6}')[n % 2], query(f'tcp{{n}}.test'))).addresses, ['192.0.2.1'])"
    );
    bed.run_names("--threads 4", &script).ok();
}
