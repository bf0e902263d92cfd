//! A command to be run in the bed.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::{Account, Bed, LIMIT, Out, PATH, Proc};

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Host,
    World,
}

/// A command with its environment, input and bound in time.
#[must_use]
pub struct Cmd<'b> {
    bed: &'b Bed,
    side: Side,
    account: Account,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl<'b> Cmd<'b> {
    pub(super) fn new(bed: &'b Bed, side: Side, account: Account, argv: Vec<String>) -> Cmd<'b> {
        Cmd { bed, side, account, argv, env: Vec::new(), stdin: Vec::new(), limit: LIMIT }
    }

    /// Sets a variable in the otherwise clean environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What the command reads; nothing by default.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = text.as_ref().to_vec();
        self
    }

    /// How long it may take before it is killed and the test fails.
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// The `std` form: environment and program, without the streams.
    pub(super) fn command(&self) -> Command {
        let uid = self.account.uid;
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).env_clear().env("PATH", PATH).env("HOME", &self.account.home);
        command.env("USER", &self.account.name).env("LOGNAME", &self.account.name).env("SHELL", "/bin/bash");
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{uid}")).env("LANG", "C.UTF-8").env("TERM", "xterm");
        command.env("PYTHONPATH", "/mnt/lib").env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(self.env.iter().cloned());
        command
    }

    /// Starts `command` where this one would run, as this one's user.
    pub(super) fn launch(&self, command: Command) -> std::process::Child {
        self.bed.ground.spawn(self.side, command, &self.account)
    }

    /// Starts it, with its output collected; it is killed when the result is dropped.
    pub fn spawn(self) -> Proc {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.launch(command);
        Proc::new(Arc::clone(&self.bed.ground), child, self.argv, self.stdin)
    }

    /// Starts it and keeps it until the end of the test.
    pub fn keep(self) {
        let bed = self.bed;
        bed.keep(self.spawn());
        bed.note_processes();
    }

    /// Starts it, waits until it says that it is ready, and keeps it until the end of the test.
    pub fn keep_when_ready(self) {
        let bed = self.bed;
        let process = self.spawn();
        process.wait_for("\"ready\"");
        bed.keep(process);
        bed.note_processes();
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Out {
        let limit = self.limit;
        self.spawn().wait(limit)
    }

    /// Runs it to its end, which must be success; gives its standard output without the last line's end.
    #[track_caller]
    pub fn ok(self) -> String {
        let out = self.output();
        out.assert_code(0);
        out.stdout.trim_end_matches('\n').to_owned()
    }
}
