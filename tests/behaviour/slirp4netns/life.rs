//! Readiness and the end.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{BOTH_PROGRAMS, Program, of_both};
use crate::attach::Container;
use crate::bed::Bed;

both!(
    says_what_it_has_set_up,
    the_exit_descriptor_ends_it,
    an_early_exit_is_an_end_in_order,
    a_signal_ends_it_and_its_parent_sees_that,
    ends_with_the_namespace,
    a_namespace_that_is_not_there,
    nothing_stays_of_one_that_is_killed,
);

fn says_what_it_has_set_up(bed: &Bed) {
    of_both(bed, "-c --cidr=10.9.0.0/16 --mtu=3000 -e 0", |program, _, process| {
        // The original's words are seen when it ends. Ready does not mean that the bed has read them.
        let last = "WARNING: 127.0.0.1:* on the host is accessible as 10.9.0.2";
        let words = process.wait_until(last, |said| said.contains(last).then(|| said.to_owned()));
        for line in [
            "Starting slirp",
            "* MTU:             3000",
            "* Network:         10.9.0.0",
            "* Netmask:         255.255.0.0",
            "* Gateway:         10.9.0.2",
            "* DNS:             10.9.0.3",
            "* DHCP begin:      10.9.0.15",
            "* DHCP end:        10.9.0.30",
            "* Recommended IP:  10.9.0.100",
            last,
        ] {
            assert!(words.lines().any(|said| said.starts_with(line)), "{program:?}: {line} is missing in\n{words}");
        }
    });
}

/// Starts it by python, which holds the other end of the exit descriptor, and runs `script` when it is ready.
fn with_exit_fd(bed: &Bed, program: Program, container: &Container<'_>, script: &str) {
    let script = format!(
        "exec python3 -c \"from peer import *
import subprocess
def start(): return subprocess.Popen(['{}', '-c', '-e', str(r), '-r', str(w2), '{}', 'tap0'], pass_fds=[r, w2], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
r, w = os.pipe(); r2, w2 = os.pipe()
{script}\"",
        program.path(),
        container.pid
    );
    bed.sh(&script).ok();
}

fn the_exit_descriptor_ends_it(bed: &Bed) {
    for program in BOTH_PROGRAMS {
        let container = Container::new(bed);
        with_exit_fd(
            bed,
            program,
            &container,
            "p = start(); os.close(r); os.close(w2); equal(os.read(r2, 10), b'1'); equal(os.read(r2, 10), b'')
time.sleep(0.3); equal(p.poll(), None); os.close(w); equal(p.wait(3), 0)
check(b'do_slirp is exiting' in p.stderr.read(), 'words')",
        );
        assert!(!container.sh("ip -o link").contains("tap0"), "{program:?}: the tap went with it");
        container.end();
    }
}

fn an_early_exit_is_an_end_in_order(bed: &Bed) {
    // A container that ends at once; its engine still waits for the byte.
    for program in BOTH_PROGRAMS {
        let container = Container::new(bed);
        with_exit_fd(
            bed,
            program,
            &container,
            "os.close(w); p = start(); os.close(r); os.close(w2); equal(os.read(r2, 10), b'1'); equal(p.wait(3), 0)",
        );
        container.end();
    }
}

fn a_signal_ends_it_and_its_parent_sees_that(bed: &Bed) {
    for signal in ["TERM", "INT"] {
        for program in BOTH_PROGRAMS {
            let container = Container::new(bed);
            let script = format!(
                "import signal as s; s.signal(s.SIGINT, s.SIG_DFL); p = start(); os.read(r2, 10); p.send_signal(s.SIG{signal}); equal(p.wait(5), -s.SIG{signal})"
            );
            with_exit_fd(bed, program, &container, &script);
            container.end();
        }
    }
    bed.assert_nothing_left();
}

fn ends_with_the_namespace(bed: &Bed) {
    // The original never notices.
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, "-c -a /tmp/api.sock");
    container.end();
    process.wait(Duration::from_secs(5)).assert_code(0);
    bed.assert_nothing_left();
}

fn a_namespace_that_is_not_there(bed: &Bed) {
    for program in BOTH_PROGRAMS {
        let out = bed.sh(&format!("exec {} -c 99999999 tap0", program.path())).output();
        out.assert_code(1).assert_stderr(&["/proc/99999999/ns/net", "o such file"]);
    }
}

fn nothing_stays_of_one_that_is_killed(bed: &Bed) {
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, "-c --enable-sandbox --enable-seccomp");
    process.signal(Signal::SIGKILL);
    drop(process);
    assert!(crate::bed::eventually(Duration::from_secs(3), || !container.sh("ip -o link").contains("tap0")), "a tap");
    container.end();
    bed.assert_nothing_left();
}
