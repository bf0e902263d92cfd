//! What the container finds: addresses, what answers there, and what the options change of that.

use super::{Program, of_both};
use crate::attach::Container;
use crate::bed::{Bed, Side, User, WORLD4};

both!(
    configures_the_device,
    carries_what_the_original_carries,
    cidr_mtu_and_name,
    the_ethernet_address,
    loopback_of_the_host,
    loopback_of_the_host_can_be_refused,
    names_can_be_switched_off,
    the_outbound_address_can_be_chosen,
    by_path_with_a_user_namespace,
    ipv6,
    options_may_stand_behind,
);

/// What `ip` tells of the device and its routes, without what is random or the kernel's.
const DEVICE: &str = "ip -o -4 address show dev tap0 | awk '{ print $4, $6 }'; ip -o link show dev tap0 | grep -o 'mtu [0-9]*'; ip -4 route | sed 's/ proto static//'; \
                      ip -o link show dev lo | grep -c LOOPBACK,UP";

fn configures_the_device(bed: &Bed) {
    let seen = std::cell::RefCell::new(Vec::new());
    of_both(bed, "-c", |_, container, _| seen.borrow_mut().push(container.sh(DEVICE)));
    let seen = seen.into_inner();
    assert_eq!(seen[1], seen[0]);
    assert!(seen[1].contains("10.0.2.100/24 10.0.2.255") && seen[1].contains("mtu 1500"), "{}", seen[1]);
}

fn carries_what_the_original_carries(bed: &Bed) {
    let _peer = bed.peer();
    bed.name_server(Side::World, WORLD4);
    of_both(bed, "--configure --mtu=65520", |_, container, _| {
        container.python(&format!(
            "s = connect('{WORLD4}', SUM); [s.sendall(p) for p in pattern(5 << 20)]; s.shutdown(socket.SHUT_WR)
equal(read_line(s), f'{{5 << 20}} {{sha(5 << 20)}}')
s = udp('{WORLD4}'); s.sendto(b'x' * 30000, ('{WORLD4}', UDP_ECHO)); equal(len(s.recv(65535)), 30000)
equal(attempt('{WORLD4}', 4)[0], 'ECONNREFUSED')"
        ));
        assert_eq!(container.sh("dig +short @10.0.2.3 web.example A"), WORLD4);
        assert_eq!(container.sh("dig +tcp +short @10.0.2.3 web.example A"), WORLD4);
        container.sh(&format!("ping -n -c 1 -W 2 {WORLD4}; ping -n -c 1 -W 2 10.0.2.2"));
    });
}

fn cidr_mtu_and_name(bed: &Bed) {
    let _peer = bed.peer();
    for program in [Program::Original, Program::Rnet] {
        let container = Container::new(bed);
        let process = program.start(bed, &format!("-c -m 2000 --cidr=10.9.8.0/23 {} eth7", container.pid));
        let out = container.sh("ip -o -4 address show dev eth7; ip -o link show dev eth7; ip route");
        for word in ["10.9.8.100/23 brd 10.9.9.255", " mtu 2000 ", "default via 10.9.8.2 dev eth7"] {
            assert!(out.contains(word), "{program:?}: {word} is missing in\n{out}");
        }
        container.python(&format!("connect('{WORLD4}', ECHO).close()"));
        drop(process);
        container.end();
    }
}

fn the_ethernet_address(bed: &Bed) {
    of_both(bed, "-c --macaddress=0e:d4:18:d9:38:fb", |program, container, _| {
        let out = container.sh("ip -o link show dev tap0");
        assert!(out.contains("0e:d4:18:d9:38:fb"), "{program:?}: {out}");
    });
}

fn loopback_of_the_host(bed: &Bed) {
    bed.http(Side::Host, 8080, "127.0.0.1");
    of_both(bed, "-c", |_, container, process| {
        let out = container.sh("curl -sS --max-time 5 http://10.0.2.2:8080/");
        assert!(out.contains("hello from the world, 127.0.0.1"), "{out}");
        assert!(!process.stderr().contains("rror"), "{}", process.stderr());
    });
}

fn loopback_of_the_host_can_be_refused(bed: &Bed) {
    bed.http(Side::Host, 8080, "127.0.0.1");
    of_both(bed, "-c --disable-host-loopback", |_, container, _| {
        container.python("equal(attempt('10.0.2.2', 8080)[0], 'ENETUNREACH')");
        container.sh("ping -n -c 1 -W 2 10.0.2.2");
    });
}

fn names_can_be_switched_off(bed: &Bed) {
    let _peer = bed.peer();
    bed.name_server(Side::World, WORLD4);
    of_both(bed, "-c --disable-dns", |_, container, _| {
        container.python(&format!(
            "equal(attempt('10.0.2.3', 53, timeout=1.5)[0], 'timeout'); equal(attempt('{WORLD4}', ECHO)[0], 'connected')"
        ));
    });
}

fn the_outbound_address_can_be_chosen(bed: &Bed) {
    let _peer = bed.peer();
    bed.root(Side::Host, "ip address add 203.0.113.9/24 dev eth0; ip address add 2001:db8:cafe::9/64 dev eth0 nodad; ip link add second type veth peer name other; ip address add 203.0.113.10/32 dev second; ip link set second up; ip link set other up").ok();
    for (address, seen) in [("203.0.113.9", "203.0.113.9"), ("eth0", "203.0.113.2"), ("second", "203.0.113.10")] {
        of_both(bed, &format!("-c --outbound-addr={address}"), |program, container, _| {
            container.python(&format!(
                "equal(read_line(connect('{WORLD4}', WHO)).split()[0], '{seen}', '{program:?}')
s = udp('{WORLD4}'); s.sendto(b'who', ('{WORLD4}', UDP_WHO)); equal(s.recv(100).decode().split()[0], '{seen}')"
            ));
        });
    }
    // The original takes the address for servers on the host's loopback, too.
    bed.http(Side::Host, 8080, "127.0.0.1");
    bed.http(Side::Host, 8080, "::1");
    of_both(bed, "-c --outbound-addr=203.0.113.9", |program, container, _| {
        let out = container.sh("curl -sS --max-time 5 http://10.0.2.2:8080/");
        assert!(out.contains("hello from the world, 203.0.113.9"), "{program:?}: {out}");
    });
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, "-c -6 --outbound-addr6=2001:db8:cafe::9");
    container.python("equal(read_line(connect('2001:db8:cafe::1', WHO)).split()[0], '2001:db8:cafe::9')");
    let out = container.sh("curl -sS --max-time 5 http://[fd00::2]:8080/");
    assert!(out.contains("hello from the world, 2001:db8:cafe::9"), "{out}");
    drop(process);
    container.end();
    bed.root(Side::Host, "ip link del second").ok();
}

fn by_path_with_a_user_namespace(bed: &Bed) {
    let _peer = bed.peer();
    for program in [Program::Original, Program::Rnet] {
        let container = Container::new(bed);
        let ns = format!("/proc/{}/ns", container.pid);
        let userns = if bed.user == User::Root { String::new() } else { format!("--userns-path={ns}/user") };
        let process = program.start(bed, &format!("-c --netns-type=path {userns} {ns}/net tap0"));
        container.python(&format!("connect('{WORLD4}', ECHO).close()"));
        drop(process);
        container.end();
    }
}

fn ipv6(bed: &Bed) {
    let _peer = bed.peer();
    bed.http(Side::Host, 8080, "::1");
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, "-c --enable-ipv6");
    container.python("connect('2001:db8:cafe::1', ECHO).close()");
    let out = container.sh("ip -o -6 address show dev tap0; ip -6 route; curl -sS http://[fd00::2]:8080/");
    assert!(out.contains("fd00::100/64") && out.contains("default via fd00::2") && out.contains("hello from"), "{out}");
    drop(process);
    container.end();
}

fn options_may_stand_behind(bed: &Bed) {
    let _peer = bed.peer();
    for program in [Program::Original, Program::Rnet] {
        let container = Container::new(bed);
        let process = program.start(bed, &format!("-c {} --cidr 10.0.5.0/24 tap11 --mtu 1400", container.pid));
        let out = container.sh("ip -o address show dev tap11; ip -o link show dev tap11");
        assert!(out.contains("10.0.5.100/24") && out.contains("mtu 1400"), "{program:?}: {out}");
        drop(process);
        container.end();
    }
}
