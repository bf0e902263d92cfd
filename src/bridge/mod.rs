//! The privileged backend: container networks in the kernel, by netavark's protocol.

mod commands;
mod conntrack;
mod create;
mod dhcp;
mod dns;
mod driver;
mod error;
mod firewall;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod ipam;
mod kernel;
mod lock;
mod log;
mod netlink;
mod netns;
mod protocol;
mod run;
mod sysctl;
mod undo;

use std::io::Write;
use std::process::ExitCode;

use crate::config::{Netavark, NetavarkCommand};
use error::Error;

/// The version of netavark that the protocol is that of.
pub use commands::VERSION;

/// Does what was asked. What goes wrong is told as JSON on standard output, as callers of netavark expect it.
pub fn main(how: &Netavark) -> ExitCode {
    log::init(how.log.as_deref().unwrap_or_default());
    let outcome = match &how.command {
        NetavarkCommand::Setup(netns) => commands::setup(how, netns).map(Some),
        NetavarkCommand::Teardown(netns) => commands::teardown(how, netns).map(|()| None),
        NetavarkCommand::Update { network, servers } => commands::update(how, network, servers).map(|()| None),
        NetavarkCommand::FirewallReload => commands::reload(how).map(|()| None),
        NetavarkCommand::FirewalldReload => commands::reload_with_firewalld(how).map(|()| None),
        NetavarkCommand::DhcpProxy(proxy) => dhcp::serve(proxy).map(|()| None),
        NetavarkCommand::Create => commands::create(how).map(Some),
        NetavarkCommand::Version => Ok(Some(commands::version())),
    };
    match outcome {
        Ok(text) => {
            let told = text.map_or(Ok(()), |text| say(&text));
            if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = say(&failure(&error));
            ExitCode::FAILURE
        }
    }
}

/// `{"error":"…"}` and nothing else: podman refuses other keys.
fn failure(error: &Error) -> String {
    serde_json::json!({ "error": error.to_string() }).to_string()
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
