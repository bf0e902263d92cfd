//! DNS at an address of the caller's choice.

use super::{NO_PORTS, OURS, PROGRAMS, spawn};
use crate::bed::{Bed, Side, WORLD4, WORLD6};

only!(Plain as_user: queries_are_forwarded, over_ipv6_and_tcp, to_a_given_server, a_server_on_the_hosts_loopback,
    names_of_the_host_lead_to_what_stands_for_it);

fn queries_are_forwarded(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    for program in PROGRAMS {
        let options = format!("--config-net --dns-forward 198.51.100.53 --no-map-gw {NO_PORTS}");
        let out = spawn(bed, program, &options, "dig +short +time=3 web.example @198.51.100.53").ok();
        assert_eq!(out, WORLD4, "{program}");
    }
    // Another port of that address is somebody else's.
    let options = format!("--config-net --dns-forward {} --no-map-gw {NO_PORTS}", crate::bed::FAR4[0]);
    let _peer = bed.peer();
    let script =
        format!("python3 -c \"from peer import *; connect('{}', ECHO, timeout=5).close()\"", crate::bed::FAR4[0]);
    spawn(bed, OURS, &options, &script).ok();
}

fn over_ipv6_and_tcp(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    bed.name_server(Side::World, WORLD6);
    bed.resolv_conf(&format!("nameserver {WORLD4}\nnameserver {WORLD6}\n"));
    for program in PROGRAMS {
        let options = format!("--config-net --dns-forward 198.51.100.53 --dns-forward fd53::53 --no-map-gw {NO_PORTS}");
        let script =
            "dig +short +time=3 AAAA web.example @fd53::53; dig +tcp +short +time=3 web.example @198.51.100.53";
        assert_eq!(spawn(bed, program, &options, script).ok(), format!("{WORLD6}\n{WORLD4}"), "{program}");
    }
}

fn to_a_given_server(bed: &Bed) {
    bed.name_server(Side::World, crate::bed::FAR4[1]);
    let options = format!("--config-net --dns-forward 198.51.100.53 --dns-host {} {NO_PORTS}", crate::bed::FAR4[1]);
    assert_eq!(spawn(bed, OURS, &options, "dig +short +time=3 web.example @198.51.100.53").ok(), WORLD4);
}

fn a_server_on_the_hosts_loopback(bed: &Bed) {
    // As systemd-resolved has it: reached where the gateway stands for the host.
    bed.name_server(Side::Host, "127.0.0.53");
    bed.resolv_conf("nameserver 127.0.0.53\n");
    let options = format!("--config-net {NO_PORTS}");
    assert_eq!(spawn(bed, OURS, &options, &format!("dig +short +time=3 web.example @{WORLD4}")).ok(), WORLD4);
    let options = format!("--config-net --no-map-gw --dns-forward 169.254.1.1 {NO_PORTS}");
    for program in PROGRAMS {
        assert_eq!(
            spawn(bed, program, &options, "dig +short +time=3 web.example @169.254.1.1").ok(),
            WORLD4,
            "{program}"
        );
    }
}

fn names_of_the_host_lead_to_what_stands_for_it(bed: &Bed) {
    bed.name_server(Side::World, WORLD4);
    let options = format!("--config-net --no-map-gw --map-guest-addr 169.254.1.2 --dns-forward 169.254.1.1 {NO_PORTS}");
    let out = spawn(bed, OURS, &options, "dig +short +time=3 host.containers.internal @169.254.1.1").ok();
    assert_eq!(out, "169.254.1.2");
}
