//! Runs what pasta's command line asks for, with its exit codes and in its words.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::process::ExitCode;

use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::cli::{Action, Pasta};
use crate::namespace::{self, Error};

/// Everything that is wrong.
const EXIT_FAILURE: u8 = 1;

/// Makes the network; returns when it is ready or when it has ended, as was asked for.
pub fn main(pasta: Pasta) -> ExitCode {
    pasta.notes.iter().for_each(|note| tell(note));
    let (pid_file, log, network) = match &pasta.action {
        Action::Spawn(run) => (run.surroundings.pid_file.clone(), &run.log, &run.network),
        Action::Attach(attach) => (attach.pid_file.clone(), &attach.log, &attach.network),
    };
    if let Some((uid, gid)) = pasta.become_user {
        let written = [pid_file.as_deref(), log.file.as_deref(), network.link.capture.as_deref()];
        let files = written.into_iter().flatten();
        if let Err(error) = become_user(Uid::from_raw(uid), Gid::from_raw(gid), files) {
            tell(&format!("Can't become user {uid}, group {gid}: {error}"));
            return EXIT_FAILURE.into();
        }
    }
    let outcome = match pasta.action {
        Action::Spawn(run) => namespace::run(&run),
        Action::Attach(attach) => namespace::attach(*attach),
    };
    if let (Err(_), Some(path)) = (&outcome, pid_file) {
        remove_unwritten(&path);
    }
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

/// Takes back the file that was opened for the process id: without a number in it nobody can read it.
fn remove_unwritten(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        let _ = fs::remove_file(path);
    }
}

/// Files that are written later on become the new user's, who could not make them in directories of root's.
fn become_user<'p>(uid: Uid, gid: Gid, files: impl Iterator<Item = &'p Path>) -> io::Result<()> {
    for path in files {
        let named = |error| io::Error::other(format!("{}: {error}", path.display()));
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        // Nobody's link may say which file is given away, by whatever name.
        let file = options.custom_flags(libc::O_NOFOLLOW).open(path).map_err(named)?;
        if file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1) {
            fchown(&file, Some(uid.as_raw()), Some(gid.as_raw())).map_err(named)?;
        }
    }
    setgroups(&[])?;
    setgid(gid)?;
    setuid(uid)?;
    // The change of ids has made /proc/PID root's, where the command's ids are written.
    set_dumpable(true)?;
    Ok(())
}

/// When even standard error fails there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
