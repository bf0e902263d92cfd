//! Port forwards in both directions.

use std::time::Duration;

use super::{OURS, PEER, PROGRAMS, spawn_python};
use crate::bed::{Bed, HOST4, HOST6, Proc, Side, WORLD4, WORLD6};
use crate::published::{host, world};

only!(Plain as_user: tcp_ports_lead_in, udp_ports_lead_in, ranges_and_exclusions, addresses_and_interfaces,
    clients_are_known_by_their_addresses, loopback_to_loopback, without_splice, ports_follow_what_listens_inside,
    the_hosts_ports_follow_too, the_hosts_ports_by_number, udp_follows_tcp, a_link_local_name_for_the_host,
    targets_of_the_other_family);

/// Says on connection who it talks to; echoes datagrams with the name of the sender.
const SERVER: &str = "import threading
def tcp(port, address='::'):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = socket.create_server((address, port), family=family, dualstack_ipv6=address == '::')
    def serve():
        while True:
            c, a = s.accept(); c.sendall(a[0].removeprefix('::ffff:').encode()); c.close()
    threading.Thread(target=serve, daemon=True).start()
def datagrams(port, address='::'):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM); s.bind((address, port))
    def serve():
        while True:
            data, a = s.recvfrom(70000); s.sendto(data + b' ' + a[0].removeprefix('::ffff:').encode(), a)
    threading.Thread(target=serve, daemon=True).start()
";

/// A client's side of that.
const CLIENT: &str = "
def who(host, port):
    s = connect(host, port, timeout=5); name = b''
    while (more := s.recv(99)): name += more
    return name.decode()
def ask(host, port):
    u = udp(host); u.sendto(b'hello', (host, port)); return u.recv(99).decode()
";

/// A server inside; it is ready when this returns.
fn server(bed: &Bed, program: &str, options: &str, script: &str) -> Proc {
    let script = format!("{SERVER}{script}\nreport(ready=True)\ntime.sleep(99)");
    let process = spawn_python(bed, program, options, &script).spawn();
    process.wait_for("\"ready\"");
    // Ports follow within a second, with the peer once a second.
    std::thread::sleep(Duration::from_millis(if program == PEER { 2500 } else { 1000 }));
    process
}

fn clients(bed: &Bed, place: &str, script: &str) -> String {
    let script = format!("{CLIENT}{script}");
    if place == "world" { world(bed, &script) } else { host(bed, &script) }
}

/// Ends a server; rnet takes it along when it is killed itself, the peer leaves it behind.
fn end(bed: &Bed, program: &str, process: Proc) {
    drop(process);
    if program == PEER {
        let left =
            bed.processes().into_iter().filter(|(_, command)| command.starts_with("python3 -c from peer import"));
        for (pid, _) in left {
            bed.sh(&format!("kill -KILL {pid} 2>/dev/null")).output();
        }
    }
    bed.assert_nothing_left();
}

fn tcp_ports_lead_in(bed: &Bed) {
    for program in PROGRAMS {
        let options = "--config-net -t 18080:8080 -t 18081-18081:8080-8080,18083 -u none -T none -U none";
        let process = server(bed, program, options, "tcp(8080); tcp(18083)");
        for address in [HOST4, HOST6] {
            let script = format!("for port in [18080, 18081, 18083]: check(who('{address}', port))");
            clients(bed, "world", &script);
        }
        clients(
            bed,
            "host",
            "for at in ['127.0.0.1', '::1']:\n  for port in [18080, 18081, 18083]: check(who(at, port))",
        );
        end(bed, program, process);
    }
}

fn udp_ports_lead_in(bed: &Bed) {
    for program in PROGRAMS {
        let process = server(bed, program, "--config-net -t none -u 15353:5353 -T none -U none", "datagrams(5353)");
        clients(
            bed,
            "world",
            &format!(
                "check(ask('{HOST4}', 15353).startswith('hello')); check(ask('{HOST6}', 15353).startswith('hello'))"
            ),
        );
        clients(
            bed,
            "host",
            "check(ask('127.0.0.1', 15353).startswith('hello')); check(ask('::1', 15353).startswith('hello'))",
        );
        end(bed, program, process);
    }
}

fn ranges_and_exclusions(bed: &Bed) {
    for program in PROGRAMS {
        let options = "--config-net -t 18000-18004:9000-9004,~18002 -u none -T none -U none";
        let process = server(bed, program, options, "for port in range(9000, 9005): tcp(port)");
        clients(
            bed,
            "world",
            &format!(
                "for port in [18000, 18001, 18003, 18004]: check(who('{HOST4}', port))
equal(attempt('{HOST4}', 18002)[0], 'ECONNREFUSED')"
            ),
        );
        end(bed, program, process);
    }
}

fn addresses_and_interfaces(bed: &Bed) {
    for program in PROGRAMS {
        let options = format!(
            "--config-net -t 127.0.0.1/18080:8080 -t {HOST4}/18081:8080 -t %eth0/18082:8080 -u none -T none -U none"
        );
        let process = server(bed, program, &options, "tcp(8080)");
        clients(
            bed,
            "world",
            &format!(
                "equal(attempt('{HOST4}', 18080)[0], 'ECONNREFUSED'); check(who('{HOST4}', 18081)); check(who('{HOST4}', 18082))"
            ),
        );
        clients(
            bed,
            "host",
            "check(who('127.0.0.1', 18080)); equal(attempt('127.0.0.1', 18081)[0], 'ECONNREFUSED'); equal(attempt('127.0.0.1', 18082)[0], 'ECONNREFUSED')",
        );
        end(bed, program, process);
    }
    let process = server(
        bed,
        OURS,
        "--config-net -t [127.0.0.1]/18080:8080 -t ::1/18080:8080 -u none -T none -U none",
        "tcp(8080)",
    );
    clients(bed, "host", "check(who('127.0.0.1', 18080)); check(who('::1', 18080))");
    end(bed, OURS, process);
    bed.sh("exec /mnt/as/pasta --config-net -t %nope/80 -- true").output().assert_code(1).assert_stderr(&["nope"]);
    // An address that the host is to have some day.
    let options = "--config-net --freebind -t 203.0.113.99/18080:8080 -u none -T none -U none";
    let process = server(bed, OURS, options, "tcp(8080)");
    bed.root(Side::Host, "ip address add 203.0.113.99/32 dev eth0").ok();
    clients(bed, "world", "check(who('203.0.113.99', 18080))");
    bed.root(Side::Host, "ip address del 203.0.113.99/32 dev eth0").ok();
    end(bed, OURS, process);
}

fn clients_are_known_by_their_addresses(bed: &Bed) {
    // podman's options.
    let options = "--config-net -t 18080:8080 -u 15353:5353 -T none -U none --no-map-gw --map-guest-addr 169.254.1.2";
    // By default the gateway stands for the host, and is a machine nevertheless.
    for options in [options, "--config-net -t 18080:8080 -u 15353:5353 -T none -U none"] {
        let process = server(bed, OURS, options, "tcp(8080); datagrams(5353)");
        for (address, name) in [(HOST4, WORLD4), (HOST6, WORLD6)] {
            let script =
                format!("equal(who('{address}', 18080), '{name}'); equal(ask('{address}', 15353), 'hello {name}')");
            clients(bed, "world", &script);
        }
        end(bed, OURS, process);
    }
    let process = server(bed, OURS, options, "tcp(8080); datagrams(5353)");
    for (address, name) in [(HOST4, WORLD4), (HOST6, WORLD6)] {
        clients(
            bed,
            "world",
            &format!("equal(who('{address}', 18080), '{name}'); equal(ask('{address}', 15353), 'hello {name}')"),
        );
    }
    clients(
        bed,
        "host",
        &format!(
            "equal(who('127.0.0.1', 18080), '{HOST4}'); equal(who('::1', 18080), '{HOST6}'); equal(who('{HOST4}', 18080), '169.254.1.2'); equal(ask('{HOST4}', 15353), 'hello 169.254.1.2')"
        ),
    );
    end(bed, OURS, process);
}

fn a_link_local_name_for_the_host(bed: &Bed) {
    // The gateway's address is the real gateway's, and no other stands for the host.
    let options = "--config-net --no-map-gw -t 18080:8080 -u 15353:5353 -T none -U none";
    let process = server(bed, OURS, options, "tcp(8080); datagrams(5353)");
    clients(bed, "world", &format!("equal(ask('{HOST6}', 15353), 'hello {WORLD6}')"));
    clients(
        bed,
        "host",
        &format!(
            "check(who('{HOST6}', 18080).startswith('fe80::1')); check(ask('{HOST6}', 15353).startswith('hello fe80::1')); equal(who('{HOST4}', 18080), '{WORLD4}')"
        ),
    );
    end(bed, OURS, process);
}

fn loopback_to_loopback(bed: &Bed) {
    let options = "--config-net -t 18080:8080 -u none -T none -U none";
    let script = "tcp(8080, '127.0.0.1'); tcp(8080, '::1')";
    // A service that trusts its own loopback is not reached unless that was asked for.
    let process = server(bed, OURS, options, script);
    clients(bed, "host", "equal(attempt('127.0.0.1', 18080)[0], 'ECONNREFUSED')");
    end(bed, OURS, process);
    let process = server(bed, OURS, &format!("{options} --host-lo-to-ns-lo"), script);
    clients(bed, "host", "equal(who('127.0.0.1', 18080), '127.0.0.1'); equal(who('::1', 18080), '::1')");
    end(bed, OURS, process);
}

fn without_splice(bed: &Bed) {
    let options = "--config-net --no-splice -t 18080:8080 -u none -T none -U none";
    let process = server(bed, OURS, options, "tcp(8080)");
    clients(bed, "host", &format!("equal(who('127.0.0.1', 18080), '{WORLD4}')"));
    end(bed, OURS, process);
}

fn ports_follow_what_listens_inside(bed: &Bed) {
    for program in PROGRAMS {
        let process = server(bed, program, "--config-net -T none -U none", "tcp(18123); datagrams(15123)");
        clients(
            bed,
            "world",
            &format!("check(who('{HOST4}', 18123)); check(who('{HOST6}', 18123)); check(ask('{HOST4}', 15123))"),
        );
        end(bed, program, process);
    }
    let process = server(
        bed,
        OURS,
        "--config-net -t 127.0.0.1/auto,~18200-18210 -t 18200-18210,auto -u none -T none -U none",
        "tcp(18123); tcp(18205)",
    );
    clients(
        bed,
        "world",
        &format!("equal(attempt('{HOST4}', 18123)[0], 'ECONNREFUSED'); check(who('{HOST4}', 18205))"),
    );
    clients(bed, "host", "check(who('127.0.0.1', 18123))");
    end(bed, OURS, process);
}

fn the_hosts_ports_follow_too(bed: &Bed) {
    let script = format!(
        "{SERVER}\ntcp(18300, '127.0.0.1'); datagrams(15300, '127.0.0.1'); tcp(18301, '::1'); report(ready=True); time.sleep(99)"
    );
    bed.python_server(Side::Host, &script);
    let client = format!(
        "{CLIENT}
start = time.monotonic()
while attempt('127.0.0.1', 18300)[0] != 'connected': check(time.monotonic() - start < 4, 'not exposed'); time.sleep(0.1)
equal(who('127.0.0.1', 18300), '127.0.0.1'); check(ask('127.0.0.1', 15300).startswith('hello'))"
    );
    for program in PROGRAMS {
        spawn_python(bed, program, "--config-net -t none -u none", &client).ok();
    }
    // A port that leads in does not lead back.
    let script = format!(
        "{SERVER}{CLIENT}
tcp(18400); time.sleep(1.5)
equal(who('127.0.0.1', 18400), '127.0.0.1'); check(who('::1', 18301)); equal(attempt('127.0.0.1', 18302)[0], 'ECONNREFUSED')"
    );
    spawn_python(bed, OURS, "--config-net", &script).ok();
    let excluded = "time.sleep(1); equal(attempt('127.0.0.1', 18300)[0], 'ECONNREFUSED'); equal(attempt('::1', 18301)[0], 'connected')";
    spawn_python(bed, OURS, "--config-net -t none -u none -T ~18300 -U none", excluded).ok();
}

fn the_hosts_ports_by_number(bed: &Bed) {
    let script =
        format!("{SERVER}\ntcp(18300, '127.0.0.1'); datagrams(15300, '127.0.0.1'); report(ready=True); time.sleep(99)");
    bed.python_server(Side::Host, &script);
    for program in PROGRAMS {
        let client =
            format!("{CLIENT}\ncheck(who('127.0.0.1', 9000)); check(ask('127.0.0.1', 15300).startswith('hello'))");
        spawn_python(bed, program, "--config-net -t none -u none -T 9000:18300 -U 15300", &client).ok();
    }
}

fn udp_follows_tcp(bed: &Bed) {
    // As iperf3 has it: the UDP socket is made when a client has come by TCP, and must be reached at once.
    let script = "a = socket.create_server(('', 18501)); report(ready=True); a.accept(); datagrams(18501, '0.0.0.0')";
    let process = server(bed, OURS, "--config-net -T none -U none", script);
    assert!(
        bed.sh("ss -Hlun sport = :18501").ok().contains("18501"),
        "the host's port is there before the container's"
    );
    clients(bed, "world", &format!("connect('{HOST4}', 18501); time.sleep(0.5); check(ask('{HOST4}', 18501))"));
    end(bed, OURS, process);
}

fn targets_of_the_other_family(bed: &Bed) {
    // The peer of Debian 13 knows no targets.
    let options = format!(
        "--config-net -t 0.0.0.0/18080:[{HOST6}]/8080 -t [::]/18081:{HOST4}/8081 -u 0.0.0.0/15353:[{HOST6}]/5353 -u [::]/15354:{HOST4}/5354 -T none -U none"
    );
    let script = "tcp(8080); tcp(8081, '0.0.0.0'); datagrams(5353); datagrams(5354, '0.0.0.0')";
    let process = server(bed, OURS, &options, script);
    let client = format!(
        "check(who('{HOST4}', 18080)); check(who('{HOST6}', 18081))
check(ask('{HOST4}', 15353).startswith('hello ')); check(ask('{HOST6}', 15354).startswith('hello '))"
    );
    clients(bed, "world", &client);
    end(bed, OURS, process);
}
