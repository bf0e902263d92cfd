//! `rnet completions` and `rnet man`: what a packager installs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

use super::faults::Faults;
use super::{Request, command};

/// `rnet completions` as clap knows it.
pub(super) fn completions_command() -> Command {
    Command::new("completions")
        .about("Print a completion script for a shell")
        .after_help("Example:\n  rnet completions bash >~/.local/share/bash-completion/completions/rnet")
        .arg(Arg::new("shell").value_name("SHELL").help("bash, elvish, fish, powershell or zsh").required(true))
}

/// `rnet man` as clap knows it.
pub(super) fn man_command() -> Command {
    Command::new("man")
        .about("Print the manual, or write its pages")
        .after_help("Examples:\n  rnet man | man -l -\n  rnet man ~/.local/share/man/man1")
        .arg(
            Arg::new("dir")
                .value_name("DIR")
                .help("Write one page a command here; it is made if it does not exist")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath),
        )
}

/// Judges what was typed.
pub(super) fn completions_request(matches: &ArgMatches, mut faults: Faults) -> Result<Request, Faults> {
    let shell = matches.get_one::<String>("shell").and_then(|shell| match shell.parse::<Shell>() {
        Ok(shell) => Some(Request::Completions(shell)),
        Err(_) => {
            faults.push(shell, "is not bash, elvish, fish, powershell or zsh");
            None
        }
    });
    faults.into_result(shell)
}

/// Judges what was typed.
pub(super) fn man_request(matches: &ArgMatches, faults: Faults) -> Result<Request, Faults> {
    faults.into_result(Some(Request::Man(matches.get_one::<PathBuf>("dir").cloned())))
}

/// The completion script for a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "rnet", &mut script);
    script
}

/// Prints the manual, or writes `rnet.1`, `rnet-run.1` and so on to a directory.
pub(crate) fn man(directory: Option<&Path>) -> io::Result<()> {
    if let Some(directory) = directory {
        std::fs::create_dir_all(directory)
            .map_err(|error| io::Error::new(error.kind(), format!("make {}: {error}", directory.display())))?;
    }
    let mut whole = command();
    whole.build();
    for page in pages(&whole) {
        let page = page.disable_help_flag(true);
        let title = page.get_display_name().unwrap_or_else(|| page.get_name()).replace(' ', "-");
        let mut text = Vec::new();
        Man::new(page).title(title.to_uppercase()).render(&mut text)?;
        match directory {
            Some(directory) => {
                let path = directory.join(format!("{title}.1"));
                std::fs::write(&path, text)
                    .map_err(|error| io::Error::new(error.kind(), format!("write {}: {error}", path.display())))?;
            }
            None => io::stdout().write_all(&text)?,
        }
    }
    Ok(())
}

/// A command and all below it.
fn pages(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().flat_map(pages);
    std::iter::once(command.clone()).chain(below).collect()
}
