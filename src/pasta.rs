//! Runs what pasta's command line asks for, with its exit codes and in its words.

use std::io::{self, Write};
use std::process::ExitCode;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::cli::{Action, Pasta};
use crate::namespace::{self, Error};

/// Everything that is wrong.
const EXIT_FAILURE: u8 = 1;

/// Makes the network; returns when it is ready or when it has ended, as was asked for.
pub fn main(pasta: Pasta) -> ExitCode {
    pasta.notes.iter().for_each(|note| tell(note));
    if let Some((uid, gid)) = pasta.become_user
        && let Err(errno) = become_user(Uid::from_raw(uid), Gid::from_raw(gid))
    {
        tell(&format!("Can't become user {uid}, group {gid}: {}", errno.desc()));
        return EXIT_FAILURE.into();
    }
    let outcome = match pasta.action {
        Action::Spawn(run) => namespace::run(&run),
        Action::Attach(attach) => namespace::attach(*attach),
    };
    match outcome {
        Ok(code) => code.into(),
        Err(Error::Exec { message, .. }) => {
            tell(&format!("Failed to start command or shell: {message}"));
            EXIT_FAILURE.into()
        }
        Err(error) => {
            if !error.is_silent() {
                tell(&error.to_string());
            }
            error.exit_code().into()
        }
    }
}

fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    setgroups(&[])?;
    setgid(gid)?;
    setuid(uid)
}

/// When even standard error fails there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
