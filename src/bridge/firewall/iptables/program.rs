//! The programs.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Changes, Present};
use crate::bridge::error::{Error, Result};

/// Which of the twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// iptables-…
    V4,
    /// ip6tables-…
    V6,
}

/// So long the lock of legacy iptables is waited for, in seconds.
const WAIT: &str = "30";

impl Family {
    fn program(self, what: &str) -> String {
        format!("{}-{what}", if self == Family::V4 { "iptables" } else { "ip6tables" })
    }

    /// All chains and rules of the tables that are used.
    pub fn save(self) -> Result<Present> {
        let program = self.program("save");
        let mut present = Vec::new();
        let output = Command::new(&program).stdin(Stdio::null()).output().map_err(|error| missing(&program, &error))?;
        if !output.status.success() {
            return Err(failed(&program, &output.stderr));
        }
        let mut table = String::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match line.strip_prefix('*') {
                Some(name) => table = name.into(),
                None if table == "filter" || table == "nat" => present.push((table.clone(), line.into())),
                None => {}
            }
        }
        Ok(Present(present))
    }

    /// Applies the changes.
    pub fn restore(self, changes: &Changes) -> Result<()> {
        let Some(text) = changes.text() else { return Ok(()) };
        let program = self.program("restore");
        let mut command = Command::new(&program);
        command.args(["--noflush", "-w", WAIT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| missing(&program, &error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // The program that refuses what it reads says why below.
            let _ = stdin.write_all(text.as_bytes());
        }
        let output = child.wait_with_output()?;
        if output.status.success() { Ok(()) } else { Err(failed(&program, &output.stderr)) }
    }
}

fn missing(program: &str, error: &std::io::Error) -> Error {
    Error::text(format!("iptables error: run {program}: {error} (install iptables, or use --firewall-driver nftables)"))
}

fn failed(program: &str, stderr: &[u8]) -> Error {
    Error::text(format!("iptables error: {program}: {}", String::from_utf8_lossy(stderr).trim()))
}
