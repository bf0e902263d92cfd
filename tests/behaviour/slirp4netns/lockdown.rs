//! `--enable-sandbox` and `--enable-seccomp`, looked at from outside as the original's own tests do.

use super::{Program, of_both};
use crate::attach::Container;
use crate::bed::{Bed, Proc, Side, User, WORLD4, eventually};

both!(little_is_left_to_the_process, and_yet_all_works);

/// A line of /proc/PID/status.
fn status(bed: &Bed, process: &Proc, name: &str) -> String {
    let text = std::fs::read_to_string(bed.path(&format!("/proc/{}/status", process.pid_in_bed()))).unwrap();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap().trim().to_owned()
}

fn little_is_left_to_the_process(bed: &Bed) {
    const NET_BIND_SERVICE: &str = "0000000000000400";
    of_both(bed, "-c --enable-sandbox --enable-seccomp", |program, _, process| {
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(status(bed, process, set), NET_BIND_SERVICE, "{program:?}: {set}");
        }
        assert_eq!(status(bed, process, "NoNewPrivs"), "1", "{program:?}");
        assert_eq!(status(bed, process, "Seccomp"), "2", "{program:?}");
        let root = format!("/proc/{}/root", process.pid_in_bed());
        assert_eq!(bed.root(Side::Host, &format!("ls {root}")).ok(), "etc\nrun", "{program:?}");
        let writes = bed.root(Side::Host, &format!("touch {root}/x || touch {root}/etc/x")).output();
        assert!(writes.code() != 0, "{program:?} has a root to write to");
    });
    // Nothing of that without the options.
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, "-c");
    assert_eq!(status(bed, &process, "Seccomp"), "0");
    drop(process);
    container.end();
    bed.assert_nothing_left();
}

fn and_yet_all_works(bed: &Bed) {
    let _peer = bed.peer();
    bed.name_server(Side::World, WORLD4);
    bed.name_server(Side::Host, "127.0.0.1");
    let container = Container::new(bed);
    let process = Program::Rnet.serve(
        bed,
        &container,
        "-c --enable-sandbox --enable-seccomp --disable-host-loopback -a /tmp/api.sock",
    );
    let ask = |server: &str| {
        bed.resolv_conf(&format!("nameserver {server}\n"));
        eventually(std::time::Duration::from_secs(3), || {
            container.sh("dig +short +time=1 +tries=1 @10.0.2.3 web.example A || :") == WORLD4
        })
    };
    // The host's file is followed as it changes, and a server on the loopback is one.
    assert!(ask("127.0.0.1") && ask(WORLD4));
    container.python(&format!("equal(attempt('{WORLD4}', ECHO)[0], 'connected')"));
    let add = r#"{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":18080,"guest_port":80}}"#;
    let added = bed.sh(&format!("printf '%s' '{add}' | python3 -c \"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect('/tmp/api.sock'); s.sendall(sys.stdin.buffer.read()); s.shutdown(1); print(s.recv(4096).decode())\"")).ok();
    assert_eq!(added, r#"{"return":{"id":1}}"#);
    if bed.user == User::Root {
        let low = add.replace("18080", "81");
        let out = bed.sh(&format!("printf '%s' '{low}' | python3 -c \"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect('/tmp/api.sock'); s.sendall(sys.stdin.buffer.read()); s.shutdown(1); print(s.recv(4096).decode())\"")).ok();
        assert_eq!(out, r#"{"return":{"id":2}}"#, "root may have low ports");
    }
    drop(process);
    container.end();
    bed.assert_nothing_left();
}
