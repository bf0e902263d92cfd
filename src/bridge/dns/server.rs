//! The name server's process: told of changes, and started when it does not run.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::level_filters::LevelFilter;

use super::Names;
use crate::bridge::error::{During, Error, Result};

/// sd_booted(3)
const SYSTEMD: &str = "/run/systemd/system";

/// How the name server is run.
#[derive(Clone, Debug)]
pub struct Server {
    /// The program; where there is none, this one does its work.
    pub program: PathBuf,
    /// Where it listens.
    pub port: u16,
    /// Whether it is run by a user.
    pub rootless: bool,
    /// The level that it logs from.
    pub level: LevelFilter,
}

impl Server {
    /// Makes the running server read its files, or starts one.
    pub fn reload_or_start(&self, names: &Names) -> Result<()> {
        if reload(names, true)? { Ok(()) } else { self.start(names) }
    }

    fn start(&self, names: &Names) -> Result<()> {
        let mut command = self.command()?;
        command.arg("--config").arg(names.directory()).arg("-p").arg(self.port.to_string()).arg("run");
        command.env("RUST_LOG", self.level.to_string().to_uppercase());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let failed = |what: &str| Error::text(format!("aardvark-dns failed to start: {what}"));
        let mut child = command.spawn().map_err(|error| failed(&Error::from(error).to_string()))?;
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            /// More than that of complaints is not handed on.
            const MOST: u64 = 64 << 10;
            // Ends when the server has become a daemon, which lets go of the stream.
            let _ = stderr.take(MOST).read_to_end(&mut said);
        }
        let status = child.wait().during(|| "wait for aardvark-dns")?;
        if status.success() {
            return Ok(());
        }
        match String::from_utf8_lossy(&said).trim() {
            "" => Err(Error::text("aardvark-dns exited unexpectedly without error message")),
            said => Err(failed(said)),
        }
    }

    /// In a scope of its own where systemd runs, so that it is not ended with the service that started it.
    fn command(&self) -> Result<Command> {
        let mut argv: Vec<OsString> = Vec::new();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let systemd_run =
            std::env::split_paths(&path).map(|directory| directory.join("systemd-run")).find(|file| file.is_file());
        if let Some(systemd_run) = systemd_run.filter(|_| Path::new(SYSTEMD).is_dir()) {
            argv.extend([systemd_run.into(), "-q".into(), "--scope".into()]);
            argv.extend(self.rootless.then(|| "--user".into()));
        }
        // What is there but is no program was meant to be one, and is told of.
        if self.program.exists() {
            argv.push(self.program.clone().into());
        } else {
            // The name is what the running server is known by.
            argv.push(std::env::current_exe().during(|| "find this program")?.into());
            argv.push("aardvark-dns".into());
        }
        let mut command = Command::new(argv.remove(0));
        command.args(argv);
        Ok(command)
    }
}

/// Makes a running server read its files. `false`: none runs.
pub fn reload(names: &Names, check_network: bool) -> Result<bool> {
    let Some(pid) = pid(&names.directory().join("aardvark.pid"))? else { return Ok(false) };
    match kill(pid, Signal::SIGHUP) {
        Ok(()) => {}
        Err(Errno::ESRCH) => return Ok(false),
        Err(errno) => return Err(Error::from(errno).during("failed to send SIGHUP to aardvark")),
    }
    if check_network && !is_in_our_network(pid) {
        tracing::error!(
            target: "netavark::dns::aardvark",
            "aardvark-dns runs in a different netns, dns will not work for this container. To resolve please stop all \
             containers, kill the aardvark-dns process, remove the {} directory and then start the containers again",
            names.directory().display()
        );
    }
    Ok(true)
}

/// The server's process, if it still is one: a number that was given to another program meanwhile must not be signalled.
fn pid(file: &Path) -> Result<Option<Pid>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::from(error).during("failed to get aardvark pid")),
    };
    let Ok(number @ 1..) = text.trim().parse::<i32>() else { return Ok(None) };
    let Ok(arguments) = fs::read(format!("/proc/{number}/cmdline")) else { return Ok(None) };
    let name = b"aardvark-dns";
    Ok(arguments.windows(name.len()).any(|part| part == name).then(|| Pid::from_raw(number)))
}

fn is_in_our_network(pid: Pid) -> bool {
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net"));
    match (network("self"), network(&pid.to_string())) {
        (Ok(ours), Ok(its)) => ours == its,
        _ => true,
    }
}
