//! A process in the bed, and what came of it. Every wait is bounded and says what it saw when the bound is hit.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::join::Ground;

/// Asks every few milliseconds until the answer is yes (true) or `limit` is over (false).
pub fn eventually(limit: Duration, mut question: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if question() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A stream that is read as it comes.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<(Vec<u8>, bool)>>);

impl Stream {
    fn of(mut source: impl Read + Send + 'static) -> Stream {
        let stream = Stream::default();
        let into = stream.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                into.0.lock().unwrap().0.extend(&buffer[..length]);
            }
            into.0.lock().unwrap().1 = true;
        });
        stream
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().0).into_owned()
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

/// A running process. Dropping it kills it (and only it).
pub struct Proc {
    ground: Arc<Ground>,
    child: Child,
    argv: Vec<String>,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
}

/// How a process ended.
#[derive(Debug)]
pub struct Out {
    pub argv: Vec<String>,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    /// Whether nothing held the output open any more soon after the end.
    pub closed: bool,
}

impl Proc {
    pub(super) fn new(ground: Arc<Ground>, mut child: Child, argv: Vec<String>, input: Vec<u8>) -> Proc {
        let mut stdin = child.stdin.take().unwrap();
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = Stream::of(child.stdout.take().unwrap());
        let stderr = Stream::of(child.stderr.take().unwrap());
        Proc { ground, child, argv, stdout, stderr, started: Instant::now() }
    }

    /// The PID as the machine counts, not the bed.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The PID as the bed counts.
    pub fn pid_in_bed(&self) -> u32 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap_or_else(|e| panic!("{signal} to {:?}: {e}", self.argv));
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has complained about so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until its output contains `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("output with {text:?}"), |out| out.contains(text).then_some(()));
    }

    /// Waits until its output satisfies `look`, up to 20 s.
    #[track_caller]
    pub fn wait_until<T>(&self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let mut found = None;
        let seen = eventually(Duration::from_secs(20), || {
            let ended = self.stdout.ended();
            found = look(&self.stdout.text());
            found.is_some() || ended
        });
        match found {
            Some(found) => found,
            None => self.give_up(&if seen { format!("ended without {what}") } else { format!("20 s without {what}") }),
        }
    }

    /// Waits for its end; after `limit` it is killed and the test fails.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Out {
        let mut status = None;
        eventually(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let elapsed = self.started.elapsed();
        let Some(status) = status else { self.give_up(&format!("not done after {limit:?}")) };
        let closed = eventually(Duration::from_secs(1), || self.stdout.ended() && self.stderr.ended());
        let (stdout, stderr) = (self.stdout(), self.stderr());
        Out { argv: self.argv.clone(), status, stdout, stderr, elapsed, closed }
    }

    /// Fails the test with all there is to know.
    #[track_caller]
    fn give_up(&self, why: &str) -> ! {
        let (out, err) = (self.stdout(), self.stderr());
        panic!("{:?}: {why}\n--- stdout\n{out}\n--- stderr\n{err}\n{}", self.argv, self.ground.diagnostics())
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Out {
    /// The exit code as a shell has it: 128+n for signal n.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap())
    }

    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), code, "exit code of {:?}\n{self}", self.argv);
        self
    }

    /// Fails unless standard error has all of these words.
    #[track_caller]
    pub fn assert_stderr(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in the message of {:?}\n{self}", self.argv);
        }
        self
    }
}

impl std::fmt::Display for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Out { status, stdout, stderr, elapsed, .. } = self;
        write!(f, "{status} after {elapsed:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
