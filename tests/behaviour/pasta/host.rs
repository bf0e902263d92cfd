//! Addresses that stand for the host.

use super::{NO_PORTS, OURS, PROGRAMS, spawn_python};
use crate::bed::{Bed, HOST4, HOST6, Side, WORLD4, WORLD6};

only!(Plain as_user: the_gateway_stands_for_the_host, not_if_told, another_address_does, an_address_for_the_hosts_own,
    outbound_sockets_have_the_given_address, outbound_sockets_of_one_family_have_an_interface);

/// A web server on the host's loopback and one in the world, both at port 8000.
fn servers(bed: &Bed) {
    bed.http(Side::Host, 8000, "127.0.0.1");
    bed.http(Side::World, 8001, "::");
}

fn the_gateway_stands_for_the_host(bed: &Bed) {
    servers(bed);
    for program in PROGRAMS {
        let script = format!("connect('{WORLD4}', 8000, timeout=5).close()");
        spawn_python(bed, program, &format!("--config-net {NO_PORTS}"), &script).ok();
    }
    let script = format!(
        "equal(attempt('{WORLD4}', 8001)[0], 'ECONNREFUSED'); equal(attempt('{WORLD6}', 8001)[0], 'ECONNREFUSED')"
    );
    spawn_python(bed, OURS, &format!("--config-net {NO_PORTS}"), &script).ok();
}

fn not_if_told(bed: &Bed) {
    servers(bed);
    for program in PROGRAMS {
        let script =
            format!("connect('{WORLD4}', 8001, timeout=5).close(); connect('{WORLD6}', 8001, timeout=5).close()");
        spawn_python(bed, program, &format!("--config-net --no-map-gw {NO_PORTS}"), &script).ok();
    }
    let script = format!("equal(attempt('{WORLD4}', 8000)[0], 'ECONNREFUSED')");
    spawn_python(bed, OURS, &format!("--config-net --map-host-loopback none {NO_PORTS}"), &script).ok();
}

fn another_address_does(bed: &Bed) {
    servers(bed);
    bed.http(Side::Host, 8000, "::1");
    let script = format!(
        "connect('192.0.2.9', 8000, timeout=5).close(); connect('2001:db8:9::9', 8000, timeout=5).close(); connect('{WORLD4}', 8001, timeout=5).close()
u = udp('192.0.2.9', timeout=1); u.sendto(b'x', ('192.0.2.9', 9))"
    );
    let options =
        format!("--config-net --no-map-gw --map-host-loopback 192.0.2.9 --map-host-loopback 2001:db8:9::9 {NO_PORTS}");
    spawn_python(bed, OURS, &options, &script).ok();
}

fn an_address_for_the_hosts_own(bed: &Bed) {
    bed.http(Side::Host, 8000, HOST4);
    bed.http(Side::Host, 8000, HOST6);
    let script = format!(
        "connect('169.254.1.2', 8000, timeout=5).close(); connect('fd09::2', 8000, timeout=5).close(); equal(attempt('{HOST4}', 8000)[0], 'ECONNREFUSED')"
    );
    let options = format!("--config-net --no-map-gw --map-guest-addr 169.254.1.2 --map-guest-addr fd09::2 {NO_PORTS}");
    spawn_python(bed, OURS, &options, &script).ok();
}

fn outbound_sockets_have_the_given_address(bed: &Bed) {
    let _peer = bed.peer();
    bed.root(Side::Host, "ip address add 203.0.113.44/32 dev eth0").ok();
    for program in PROGRAMS {
        let script =
            format!("equal(read_line(connect('{}', WHO, timeout=5)).split()[0], '203.0.113.44')", crate::bed::FAR4[0]);
        spawn_python(bed, program, &format!("--config-net -o 203.0.113.44 {NO_PORTS}"), &script).ok();
    }
    let script = format!("connect('{}', ECHO, timeout=5).close()", crate::bed::FAR4[0]);
    spawn_python(bed, OURS, &format!("--config-net --outbound-if4 eth0 {NO_PORTS}"), &script).ok();
    bed.root(Side::Host, "ip address del 203.0.113.44/32 dev eth0").ok();
}

fn outbound_sockets_of_one_family_have_an_interface(bed: &Bed) {
    let _peer = bed.peer();
    // Nothing comes back from there: who is bound to it hears nobody.
    bed.root(
        Side::Host,
        "ip link add nowhere type veth peer name nobody; ip link set nobody up; ip link set nowhere up; ip address add 2001:db8:77::2/64 dev nowhere nodad
ip route add default via 2001:db8:77::1 dev nowhere metric 4000",
    )
    .ok();
    let far = crate::bed::FAR6[0];
    for program in PROGRAMS {
        let script = format!(
            "import subprocess; addresses = subprocess.getoutput('ip -o address')
check('{HOST4}/24' in addresses and '2001:db8:77::2/64' in addresses and '{HOST6}' not in addresses)
connect('{}', ECHO, timeout=5).close(); equal(attempt('{far}', ECHO, timeout=1)[0], 'timeout')",
            crate::bed::FAR4[0]
        );
        let options = format!("--config-net --outbound-if6 nowhere {NO_PORTS}");
        spawn_python(bed, program, &options, &script).ok();
        // The template may be another interface.
        let script = format!(
            "import subprocess; addresses = subprocess.getoutput('ip -o address')
check('{HOST6}/64' in addresses and '2001:db8:77::2' not in addresses); equal(attempt('{far}', ECHO, timeout=1)[0], 'timeout')"
        );
        spawn_python(bed, program, &format!("{options} -i eth0"), &script).ok();
    }
    // The peer goes on without.
    let out = bed.sh(&format!("exec {OURS} --config-net --outbound-if6 nope -- true")).output();
    out.assert_code(1).assert_stderr(&["Invalid interface name nope: No such device"]);
    for program in PROGRAMS {
        let out = bed.sh(&format!("exec {program} --config-net --outbound-if6 lo -- true")).output();
        out.assert_code(1).assert_stderr(&["External interface not usable"]);
    }
    bed.root(Side::Host, "ip link del nowhere").ok();
}
