//! Many at once, and ends that come too early.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::room::{Room, network, on, port, publishing};
use crate::bed::Bed;

only!(Root as_root: many_at_once, killed_during_setup, killed_during_teardown);

const MANY: usize = 20;

fn input(n: usize) -> Value {
    let ports = [port("", 8000 + n as u16, 80, "tcp", 1), port("", 9000 + 10 * n as u16, 100, "udp", 5)];
    publishing(on(&format!("container{n}"), 10 + n, &network(n % 3)), &ports)
}

/// Without a lock around them.
fn many_at_once(bed: &Bed) {
    let room = Room::new(bed);
    for n in 0..MANY {
        room.container(&format!("c{n}"));
    }
    for round in 0..2 {
        let all = |command: &str| {
            let started: Vec<_> =
                (0..MANY).map(|n| room.netavark(&[command, &format!("/run/netns/c{n}")], &input(n)).spawn()).collect();
            for process in started {
                process.wait(Duration::from_secs(60)).assert_code(0);
            }
        };
        all("setup");
        let rules = room.ruleset();
        for n in 0..MANY {
            let found = rules.matches(&format!("tcp dport {} ", 8000 + n)).count();
            // A jump, a hairpin and a forward for each family, and localhost for IPv4.
            assert_eq!(found, 7, "round {round}, container {n}\n{rules}");
        }
        assert_eq!(rules.matches("jump NETAVARK-ISOLATION-1").count(), 1, "{rules}");
        all("teardown");
        room.assert_clean();
    }
}

/// However far it came, the next teardown takes all of it away, and nothing of the neighbour's.
fn killed_during_setup(bed: &Bed) {
    killed(bed, "setup");
}

fn killed_during_teardown(bed: &Bed) {
    killed(bed, "teardown");
}

fn killed(bed: &Bed, command: &str) {
    let room = Room::new(bed);
    for name in ["c0", "c3"] {
        room.container(name);
    }
    for neighbour in [false, true] {
        if neighbour {
            room.setup("c3", &input(3));
        }
        let rules = room.ruleset();
        let (mut early, mut late) = (0, 0);
        for step in 0..40 {
            if command == "teardown" {
                room.setup("c0", &input(0));
            }
            let mut process = room.netavark(&[command, "/run/netns/c0"], &input(0)).spawn();
            sleep(Duration::from_micros(500 * step));
            if process.is_running() {
                early += 1;
                process.signal(Signal::SIGKILL);
            } else {
                late += 1;
            }
            process.wait(Duration::from_secs(10));
            room.teardown("c0", &input(0));
            if !neighbour {
                room.assert_clean();
            } else {
                assert_eq!(room.ruleset(), rules, "the neighbour's rules");
                assert_eq!(room.links().lines().count(), 2, "the neighbour's bridge and port\n{}", room.links());
            }
        }
        assert!(early > 0, "{late} of 40 had ended before they were killed");
    }
    room.teardown("c3", &input(3));
    room.assert_clean();
}
