//! Ports that cannot be published: what is said, and that nothing is half-done.

use crate::bed::{Bed, HOST4, Out, Side};
use crate::published::Server;

both!(
    a_port_in_use_is_named,
    all_ports_or_none,
    an_address_that_the_host_does_not_have,
    every_wrong_rule_is_named_at_once,
    more_ports_than_descriptors,
    a_file_lists_them,
);

only!(Plain as_user: a_low_port_is_for_root, a_port_of_another_user);
only!(Root as_root: root_may_publish_low_ports);

fn fails(bed: &Bed, options: &str, code: i32, words: &[&str]) -> Out {
    let out = bed.run_argv(options, &["echo", "started"]).output();
    out.assert_code(code).assert_stderr(words);
    assert_eq!(out.stdout, "", "{out}");
    assert!(!out.stderr.contains("panicked"), "{out}");
    bed.assert_nothing_left();
    out
}

fn a_port_in_use_is_named(bed: &Bed) {
    let holder = "from peer import *
tcp = socket.create_server(('127.0.0.1', 8080)); other = udp('127.0.0.1', bind=('127.0.0.1', 8081)); report(ready=True); time.sleep(60)";
    let holder = bed.sh("exec python3 -").stdin(holder).spawn();
    holder.wait_for("ready");
    bed.note_processes();
    let who = format!("by python3 (process {})", holder.pid_in_bed());
    fails(bed, "-p 8080:80", 1, &["publish 0.0.0.0:8080/tcp", "in use", &who, "another port"]);
    fails(bed, "-p 8081:80/udp", 1, &["publish 0.0.0.0:8081/udp", "in use", &who, "another port"]);
    bed.run_argv("-p [::1]:8080:80 -p 8081:80", &["true"]).ok();
    drop(holder);
    bed.run_argv("-p 8080:80 -p 8081:80/udp", &["true"]).ok();
}

fn a_port_of_another_user(bed: &Bed) {
    bed.python_server(Side::Host, "s = socket.create_server(('0.0.0.0', 8080)); report(ready=True); time.sleep(60)");
    fails(bed, "-p 8080:80", 1, &["publish 0.0.0.0:8080/tcp", "in use by a process of user 0", "ss -ltnp"]);
}

fn all_ports_or_none(bed: &Bed) {
    let server = Server::start(bed, "-p 8010:7001");
    bed.note_processes();
    fails(bed, "-p 8000-8020:7000-7020", 1, &["publish 0.0.0.0:8010/tcp"]);
    // Those before it are free again, and the other container goes on.
    bed.run_argv("-p 8000-8009:7000-7009", &["true"]).ok();
    crate::published::world(bed, &format!("s = connect('{HOST4}', 8010); s.sendall(b'x'); equal(s.recv(1), b'x')"));
    server.end(bed);
}

fn an_address_that_the_host_does_not_have(bed: &Bed) {
    fails(bed, "-p 192.0.2.99:8080:80", 1, &["publish 192.0.2.99:8080/tcp", "ip address"]);
    fails(bed, "-p [2001:db8::99]:8080:80/udp", 1, &["publish [2001:db8::99]:8080/udp", "ip address"]);
}

fn a_low_port_is_for_root(bed: &Bed) {
    fails(bed, "-p 80:80", 1, &["publish 0.0.0.0:80/tcp", "1024", "net.ipv4.ip_unprivileged_port_start=80"]);
}

fn root_may_publish_low_ports(bed: &Bed) {
    let server = Server::start(bed, "-p 80:7001");
    crate::published::world(bed, &format!("s = connect('{HOST4}', 80); s.sendall(b'x'); equal(s.recv(1), b'x')"));
    server.end(bed);
}

fn every_wrong_rule_is_named_at_once(bed: &Bed) {
    let wrong = "-p nonsense -p 80:80/sctp -p 8000-8001:9000 -p 1.2.3:80:80 -p ::1:80:80 -p 0:1 --mtu 7 -p 8080:1 -p 127.0.0.1:8080:2";
    let words = [
        "--publish nonsense",
        "sctp",
        "8000-8001:9000",
        "1.2.3",
        "brackets",
        "--publish 0:1",
        "--mtu 7",
        "127.0.0.1:8080:2",
        "as does --publish 8080:1",
    ];
    fails(bed, wrong, 2, &words);
    fails(bed, "-4 -p [::1]:8080:80 -p 8080:80", 2, &["[::1]:8080:80", "IPv6 is switched off"]);
    fails(bed, "-6 -p 127.0.0.1:8080:80", 2, &["127.0.0.1:8080:80", "IPv4 is switched off"]);
}

fn more_ports_than_descriptors(bed: &Bed) {
    let run = |ports: &str| bed.sh(&format!("ulimit -n 512; exec rnet run -p {ports} -- echo started")).output();
    let out = run("20000-20299");
    out.assert_code(1).assert_stderr(&["600", "512", "ulimit -Hn"]);
    assert_eq!(out.stdout, "", "{out}");
    // A soft limit is no obstacle, and the command's stays what it was.
    let soft = "ulimit -Sn 256; exec rnet run -p 20000-20299 -- sh -c 'ulimit -Sn'";
    assert_eq!(bed.sh(soft).ok(), "256");
}

fn a_file_lists_them(bed: &Bed) {
    bed.write("/tmp/net.toml", "publish = [\"8001:7001\", \"127.0.0.1:9011:9001/udp\"]\n");
    let server = Server::start(bed, "--config /tmp/net.toml");
    crate::published::world(bed, &format!("s = connect('{HOST4}', 8001); s.sendall(b'x'); equal(s.recv(1), b'x')"));
    server.end(bed);
}
