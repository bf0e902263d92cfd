//! rnet by the name of slirp4netns: whatever the two have in common is asked of both, and the original is right.

mod api;
mod command_line;
mod device;
mod life;
mod lockdown;
mod network;

use std::time::Duration;

use crate::attach::Container;
use crate::bed::{Bed, Proc, eventually};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Rnet,
    Original,
}

const BOTH_PROGRAMS: [Program; 2] = [Program::Original, Program::Rnet];

impl Program {
    fn path(self) -> &'static str {
        match self {
            Program::Rnet => "/mnt/as/slirp4netns",
            Program::Original => "/usr/bin/slirp4netns",
        }
    }

    /// Starts it; it has said that it is ready.
    fn start(self, bed: &Bed, arguments: &str) -> Proc {
        let ready = bed.path("/tmp/ready");
        let path = self.path();
        let process = bed.sh(&format!("exec {path} -r 3 {arguments} 3>/tmp/ready")).spawn();
        let said =
            eventually(Duration::from_secs(10), || std::fs::read_to_string(&ready).is_ok_and(|text| text == "1"));
        assert!(said, "{self:?} is not ready: {}{}", process.stdout(), process.stderr());
        std::fs::remove_file(ready).unwrap();
        bed.note_processes();
        process
    }

    /// Gives a container its network.
    fn serve(self, bed: &Bed, container: &Container<'_>, options: &str) -> Proc {
        self.start(bed, &format!("{options} {} tap0", container.pid))
    }
}

/// The same with both programs, each in a container of its own.
fn of_both(bed: &Bed, options: &str, question: impl Fn(Program, &Container<'_>, &Proc)) {
    for program in BOTH_PROGRAMS {
        let container = Container::new(bed);
        let process = program.serve(bed, &container, options);
        question(program, &container, &process);
        drop(process);
        container.end();
    }
}
