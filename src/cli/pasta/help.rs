//! `--help` and `--version`, as callers look for them.

use std::fmt::Write;

use super::options::{OPTIONS, Opt};

/// The day of the pasta whose command line this one is.
const INTERFACE: &str = "2026_10_02";

/// How the program is used, by the name that it was called by.
pub(super) fn usage(program: &str) -> String {
    let mut text = format!(
        "Usage: {program} [OPTION]... [COMMAND] [ARGS]...\n       {program} [OPTION]... PID\n       {program} [OPTION]... --netns \
         [PATH|NAME]\n\nWithout PID or --netns a command, or a shell, is run in a new network and user\nnamespace that rnet \
         connects.\n\n"
    );
    for option in OPTIONS.iter().filter(|option| !option.help.is_empty()) {
        let mut lines = option.help.lines();
        let _ = writeln!(text, "  {}\t{}", names(option), lines.next().unwrap_or_default());
        lines.for_each(|line| {
            let _ = writeln!(text, "    {line}");
        });
    }
    text
}

fn names(option: &Opt) -> String {
    let letter = option.short.map_or_else(String::new, |letter| format!("-{letter}, "));
    let value = option.value.map_or_else(String::new, |value| format!(" {value}"));
    format!("{letter}--{}{value}", option.name)
}

/// The version, in pasta's form in the first line.
pub(super) fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("pasta {INTERFACE}.rnet-{own}\nrnet {own}, with the command line of pasta {INTERFACE}\n")
}

/// The version in one word.
pub(super) fn short_version() -> String {
    format!("{INTERFACE}.rnet-{}", env!("CARGO_PKG_VERSION"))
}
