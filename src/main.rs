//! rnet gives containers a network.

pub mod agent;
pub mod bridge;
mod cli;
pub mod config;
pub mod control;
pub mod dns;
pub mod log;
pub mod namespace;
mod pasta;
pub mod rootless;
pub mod sys;
pub mod tap;

use std::io::{self, Write};
use std::process::ExitCode;

use cli::Request;

/// Wrong flags or configuration.
const EXIT_USAGE: u8 = 2;
/// Something could not be done.
const EXIT_FAILURE: u8 = 1;

fn main() -> ExitCode {
    let request = match cli::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(faults) => {
            tell(&faults);
            return EXIT_USAGE.into();
        }
    };
    let done = match request {
        Request::Run(run) => return finish(namespace::run(&run)),
        Request::Attach(attach) => return finish(namespace::attach(*attach)),
        Request::Pasta(pasta) => return pasta::main(*pasta),
        Request::Netavark(netavark) => return bridge::main(&netavark),
        Request::Names(names) => return dns::containers::main(&names),
        Request::Control(command) => match control::commands::run(&command) {
            Ok(text) => io::stdout().write_all(text.as_bytes()),
            Err(error) => {
                tell(&error);
                return EXIT_FAILURE.into();
            }
        },
        Request::Refuse(refusal) => {
            let _ = io::stdout().write_all(refusal.output.as_bytes());
            let _ = io::stderr().write_all(refusal.error.as_bytes());
            return refusal.code.into();
        }
        Request::Print(text) => io::stdout().write_all(text.as_bytes()),
        Request::Completions(shell) => io::stdout().write_all(&cli::completions(shell)),
        Request::Man(directory) => cli::man(directory.as_deref()),
    };
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(&error);
            EXIT_FAILURE.into()
        }
        _ => ExitCode::SUCCESS,
    }
}

fn finish(outcome: Result<u8, namespace::Error>) -> ExitCode {
    match outcome {
        Ok(code) => code.into(),
        Err(error) => {
            if !error.is_silent() {
                tell(&error);
            }
            error.exit_code().into()
        }
    }
}

/// Says what is wrong on standard error; when even that fails there is nobody to tell.
fn tell(what: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "rnet: {what}");
}
