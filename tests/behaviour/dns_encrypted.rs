//! Servers that are asked over TLS and HTTPS: what they say comes through, and who cannot prove who he is is not believed.

use crate::bed::{Bed, Cmd, DNS4, Side, WORLD4};

both!(
    tls_and_https_servers_are_asked,
    only_the_right_certificate_is_believed,
    encrypted_servers_are_found_by_name,
    idle_connections_are_made_anew
);

fn trusting<'b>(bed: &'b Bed, options: &str, script: &str) -> Cmd<'b> {
    bed.run(options, script).env("SSL_CERT_FILE", "/mnt/ca/ca.pem")
}

const DIG: &str = "dig +short +time=5 +tries=1 @10.0.2.3";

fn tls_and_https_servers_are_asked(bed: &Bed) {
    bed.unbound(WORLD4);
    for server in [
        format!("tls://{WORLD4}"),
        format!("tls://{WORLD4}#dns.example"),
        format!("tls://dns.example:853#{WORLD4}"),
        format!("https://{WORLD4}"),
        format!("https://dns.example/dns-query#{WORLD4}"),
    ] {
        let script = format!(
            "{DIG} web.example; {DIG} +tcp web.example; {DIG} odd.example TYPE65280; dig @{DNS4} no.example | grep -o NXDOMAIN; for i in $(seq 30); do {DIG} web$i.example +norec & done >/dev/null; wait; {DIG} WEB.example AAAA; {DIG} web.example"
        );
        let out = trusting(bed, &format!("--dns {server}"), &script).ok();
        assert_eq!(out, "192.0.2.80\n192.0.2.80\n\\# 4 01020304\nNXDOMAIN\n192.0.2.80", "{server}");
    }
    bed.name_server(Side::World, "198.51.100.1");
    let options = format!("--dns 198.51.100.1 --dns-for odd.example=tls://{WORLD4}");
    let out = trusting(bed, &options, &format!("{DIG} odd.example TYPE65280; {DIG} web.example A")).ok();
    assert_eq!(out, format!("\\# 4 01020304\n{WORLD4}"));
}

fn only_the_right_certificate_is_believed(bed: &Bed) {
    bed.unbound(WORLD4);
    let told = |options: &str, file: &str| {
        let script = format!("dig +time=6 +tries=1 @{DNS4} web.example");
        bed.run(options, &script).env("SSL_CERT_FILE", file).ok()
    };
    for (server, file) in [
        (format!("tls://{WORLD4}"), "/mnt/ca/other.pem"),
        (format!("https://{WORLD4}"), "/mnt/ca/other.pem"),
        (format!("tls://{WORLD4}#wrong.example"), "/mnt/ca/ca.pem"),
        (format!("https://wrong.example#{WORLD4}"), "/mnt/ca/ca.pem"),
    ] {
        let out = told(&format!("--dns {server}"), file);
        assert!(out.contains("SERVFAIL") && out.contains("EDE") && !out.contains("192.0.2.80"), "{server}: {out}");
    }
    // Without any certificate there is no name server, and the reason is told; the rest of the network is there.
    let out = bed
        .run(&format!("--dns tls://{WORLD4}"), &format!("{DIG} web.example; echo code $?"))
        .env("SSL_CERT_FILE", "/mnt/nothing")
        .output();
    assert!(out.stdout.contains("code 9") && out.stderr.contains("ca-certificates"), "{out}");
}

fn encrypted_servers_are_found_by_name(bed: &Bed) {
    bed.unbound(WORLD4);
    // The host's own server knows where it is, and nothing else.
    bed.names_server(
        Side::World,
        &format!(
            "def respond(message, via):
    _, labels, kind, _ = question(message)
    return [answer(message, address('{WORLD4}'))] if kind == A and labels == [b'dns', b'example'] else [answer(message, authority=[soa()])]
serve('198.51.100.1', respond)"
        ),
    );
    bed.resolv_conf("nameserver 198.51.100.1\n");
    for server in ["tls://dns.example", "https://dns.example"] {
        assert_eq!(
            trusting(bed, &format!("--dns {server}"), &format!("{DIG} web.example")).ok(),
            "192.0.2.80",
            "{server}"
        );
    }
}

fn idle_connections_are_made_anew(bed: &Bed) {
    bed.unbound(WORLD4);
    for server in [format!("tls://{WORLD4}"), format!("https://{WORLD4}")] {
        let process = trusting(bed, &format!("--dns {server} --dns-cache 0"), &format!("{DIG} web.example; echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; {DIG} web.example; echo second")).spawn();
        process.wait_for("first");
        // All connections to it end, as when it is started anew.
        bed.root(Side::World, "ss -K -t sport = 853 >/dev/null 2>&1; ss -K -t sport = 443 >/dev/null 2>&1; true").ok();
        bed.write("/tmp/go", "");
        process.wait_for("second");
        assert_eq!(process.stdout(), "192.0.2.80\nfirst\n192.0.2.80\nsecond\n", "{server}");
        drop(process);
        std::fs::remove_file(bed.path("/tmp/go")).unwrap();
        bed.write("/tmp/noted", "");
    }
}
