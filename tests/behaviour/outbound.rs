//! Which of the host's addresses and interfaces the container's traffic leaves by.

use crate::bed::{Bed, HOST4, HOST6, Side, WORLD4, WORLD6};

both!(
    leaves_by_the_hosts_address,
    the_address_can_be_chosen,
    the_interface_can_be_chosen,
    an_address_that_is_not_the_hosts_is_an_error
);

/// What the world sees as the source of TCP and of UDP, both families.
const SOURCES: &str = "def sources(host):
    s = udp(host); s.sendto(b'who', (host, UDP_WHO)); return {read_line(connect(host, WHO)).split()[0], s.recv(100).decode().split()[0]}
";

fn seen(four: &str, six: &str) -> String {
    format!("{SOURCES}\nequal(sources('{WORLD4}'), {{'{four}'}}); equal(sources('{WORLD6}'), {{'{six}'}})")
}

fn leaves_by_the_hosts_address(bed: &Bed) {
    let _peer = bed.peer();
    bed.run_python("", &seen(HOST4, HOST6)).ok();
}

fn the_address_can_be_chosen(bed: &Bed) {
    let _peer = bed.peer();
    bed.root(Side::Host, "ip address add 203.0.113.9/24 dev eth0; ip address add 2001:db8:cafe::9/64 dev eth0 nodad")
        .ok();
    let options = "--outbound-addr 203.0.113.9 --outbound-addr6 2001:db8:cafe::9";
    bed.run_python(options, &seen("203.0.113.9", "2001:db8:cafe::9")).ok();
    bed.run("--outbound-addr 203.0.113.9", &format!("ping -n -c 1 -W 2 {WORLD4}")).ok();
}

fn the_interface_can_be_chosen(bed: &Bed) {
    let _peer = bed.peer();
    bed.run_python("--outbound-if eth0", &seen(HOST4, HOST6)).ok();
    // A link to nowhere: nothing gets out, and nothing falls back to another link.
    bed.root(
        Side::Host,
        "ip link add nowhere type veth peer name nowhere2; ip address add 192.0.2.1/24 dev nowhere; ip link set nowhere up; ip link set nowhere2 up",
    )
    .ok();
    let script = format!(
        "outcome, _ = attempt('{WORLD4}', WHO, timeout=3); check(outcome != 'connected', outcome)
s = udp('{WORLD4}', timeout=1)
try: s.sendto(b'who', ('{WORLD4}', UDP_WHO)); check(False, s.recv(100))
except OSError: pass"
    );
    bed.run_python("--outbound-if nowhere", &script).ok();
    bed.root(Side::Host, "ip link del nowhere").ok();
}

fn an_address_that_is_not_the_hosts_is_an_error(bed: &Bed) {
    let out = bed.run("--outbound-addr 192.0.2.55", "echo started").output();
    assert!(out.code() != 0 && out.stdout.is_empty(), "{out}");
    out.assert_stderr(&["192.0.2.55"]);
    let out = bed.run("--outbound-if nothere0", "echo started").output();
    assert!(out.code() != 0 && out.stdout.is_empty(), "{out}");
    out.assert_stderr(&["nothere0"]);
}
