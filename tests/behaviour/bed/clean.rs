//! Whether a bed is as empty as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::{Bed, process::eventually};

/// How long rnet may take to vanish after its end was caused.
const VANISH: Duration = Duration::from_secs(3);

/// What a bed holds besides processes: files where anyone can write, mounts, links, and the processes that belong there.
#[derive(Clone, Default)]
pub struct Files {
    paths: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
    processes: BTreeSet<u32>,
}

impl Files {
    /// As it is now.
    pub fn of(bed: &Bed) -> Files {
        let mut paths = BTreeSet::new();
        for top in ["/tmp", "/var/tmp", "/run", "/dev/shm"] {
            walk(&bed.path(top), top, &mut paths);
        }
        walk(&bed.path(&bed.account.home), &bed.account.home, &mut paths);
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", bed.init.id())).unwrap();
        let links = std::fs::read_dir(bed.path("/sys/class/net")).unwrap();
        Files {
            paths,
            mounts: mounts.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned()).collect(),
            links: links.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
            processes: processes(bed).into_iter().map(|(pid, _)| pid).collect(),
        }
    }

    /// What of `now` was not there before, in words.
    fn extras(&self, now: &Files, bed: &Bed) -> Vec<String> {
        let mut extras = Vec::new();
        let excused = bed.excused.borrow();
        let ours = |path: &&String| !excused.iter().any(|start| path.starts_with(start));
        extras.extend(now.paths.difference(&self.paths).filter(ours).map(|path| format!("file {path}")));
        extras.extend(now.mounts.difference(&self.mounts).map(|path| format!("mount {path}")));
        extras.extend(now.links.symmetric_difference(&self.links).map(|name| format!("link {name}")));
        for (pid, command) in processes(bed) {
            if !self.processes.contains(&pid) {
                extras.push(format!("process {pid}: {command}"));
            }
        }
        extras
    }
}

impl Bed {
    /// Takes note that what runs now belongs to the bed, and the sockets by which it is found.
    pub fn note_processes(&self) {
        let mut files = self.files.borrow_mut();
        files.processes = processes(self).into_iter().map(|(pid, _)| pid).collect();
        walk(&self.path("/run/user"), "/run/user", &mut files.paths);
    }

    /// What is in the bed that was not there before.
    pub fn extras(&self) -> Vec<String> {
        self.files.borrow().extras(&Files::of(self), self)
    }

    /// Waits until nothing is left of rnet: no process, no file, no mount, no link.
    pub fn assert_nothing_left(&self) {
        let mut extras = Vec::new();
        let empty = eventually(VANISH, || {
            extras = self.extras();
            extras.is_empty()
        });
        assert!(empty, "left behind after {VANISH:?}:\n{}", extras.join("\n"));
    }

    /// The end of every test: the servers go, and then nothing may be left.
    pub(super) fn finish(&self) {
        self.assert_nothing_left();
        self.background.borrow_mut().clear();
    }

    /// All processes of the bed but its first, zombies too: PID as the bed counts, and command line.
    pub fn processes(&self) -> Vec<(u32, String)> {
        processes(self)
    }
}

fn processes(bed: &Bed) -> Vec<(u32, String)> {
    let proc = bed.path("/proc");
    let pids = std::fs::read_dir(&proc).unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid: &u32| pid != 1)
        .filter_map(|pid| {
            let dir = proc.join(pid.to_string());
            let command = std::fs::read_to_string(dir.join("cmdline")).ok()?.replace('\0', " ");
            let comm = std::fs::read_to_string(dir.join("comm")).ok()?;
            Some((
                pid,
                if command.is_empty() { format!("[{}]", comm.trim()) } else { command.chars().take(200).collect() },
            ))
        })
        .collect()
}

fn walk(real: &Path, shown: &str, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(real).into_iter().flatten().flatten() {
        let shown = format!("{shown}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &shown, into);
        }
        into.insert(shown);
    }
}
