//! Runs the command-line parser until it has nothing more to complain about, so that all complaints come at once.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::faults::Faults;
use super::low::argument_place;
use super::options::{ATTACH, NETWORK, RUN};
use super::suggest::nearest;
use super::{Request, attach, command, containers, control, reference, run};

/// More wrong flags than this are not looked for.
const MAX_COMPLAINTS: usize = 64;

/// Turns the arguments into a request.
pub(super) fn parse(mut args: Vec<OsString>) -> Result<Request, Faults> {
    let mut faults = Faults::default();
    for _ in 0..MAX_COMPLAINTS {
        let error = match command().try_get_matches_from(&args) {
            Ok(matches) => {
                return match matches.subcommand() {
                    Some(("run", matches)) => run::request(matches, faults),
                    Some(("attach", matches)) => attach::request(matches, faults),
                    Some(("list", matches)) => control::list_request(matches, faults),
                    Some(("ports", matches)) => control::ports_request(matches, faults),
                    Some(("stats", matches)) => control::stats_request(matches, faults),
                    Some(("flows", matches)) => control::flows_request(matches, faults),
                    Some(("dns", matches)) => containers::request(matches, faults),
                    Some(("completions", matches)) => reference::completions_request(matches, faults),
                    Some(("man", matches)) => reference::man_request(matches, faults),
                    _ => Err(faults),
                };
            }
            Err(error) => error,
        };
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Ok(Request::Print(error.to_string()));
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            if args.iter().any(|arg| arg == "ports") {
                faults.push("ports", "what is to be done? list, add, remove or replace; see rnet ports --help");
                return Err(faults);
            }
            if args.iter().any(|arg| arg == "dns") {
                faults.push("dns", "what is to be done? serve; see rnet dns serve --help");
                return Err(faults);
            }
            faults.push(
                "command",
                "what is to be done? run, attach, list, ports, stats, flows, dns, completions or man; see --help",
            );
            return Err(faults);
        }
        let culprit = context(&error, ContextKind::InvalidArg);
        faults.push(place(&error, culprit.as_deref()), message(&error));
        if !culprit.is_some_and(|culprit| remove(&mut args, &culprit)) {
            return Err(faults);
        }
    }
    Err(faults)
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

fn place(error: &clap::Error, culprit: Option<&str>) -> String {
    let subcommand = || context(error, ContextKind::InvalidSubcommand);
    culprit.map(str::to_owned).or_else(subcommand).unwrap_or_else(|| "command line".into())
}

fn message(error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let typed = context(error, ContextKind::InvalidArg).unwrap_or_default();
            let known = [NETWORK, RUN, ATTACH].into_iter().flatten().map(|option| option.name);
            match typed.strip_prefix("--").and_then(|name| nearest(name, known)) {
                Some(name) => format!("unknown argument; is --{name} meant?"),
                None => "unknown argument".into(),
            }
        }
        ErrorKind::InvalidSubcommand => match context(error, ContextKind::SuggestedSubcommand) {
            Some(name) => format!("unknown command; is {name} meant?"),
            None => "unknown command".into(),
        },
        ErrorKind::InvalidValue | ErrorKind::NoEquals => "needs a value".into(),
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").into()
        }
    }
}

/// Takes an argument that the parser complained about out of `args`, and its value too when one seems to follow.
fn remove(args: &mut Vec<OsString>, culprit: &str) -> bool {
    // The parser names flags as `--mtu <BYTES>`.
    let flag = culprit.split([' ', '=']).next().unwrap_or(culprit);
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let names = |arg: &OsStr| {
        let text = argument_place(arg);
        text == flag || text == culprit || text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
    };
    let is_short_in_group = |arg: &OsStr| {
        let text = argument_place(arg);
        let short = flag.strip_prefix('-').filter(|short| short.chars().count() == 1);
        short.is_some_and(|short| text.starts_with('-') && !text.starts_with("--") && text.contains(short))
    };
    let find = |test: &dyn Fn(&OsStr) -> bool| args.iter().take(end).skip(1).position(|arg| test(arg)).map(|at| at + 1);
    let Some(at) = find(&names).or_else(|| find(&is_short_in_group)) else {
        return false;
    };
    let removed = args.remove(at);
    let has_value = removed.as_encoded_bytes().contains(&b'=');
    let is_flag = removed.as_encoded_bytes().starts_with(b"-");
    // Before a `--` a bare word can only be a value; without one it may be the command.
    if is_flag && !has_value && end < args.len() + 1 && at + 1 < end {
        let is_word = |arg: &OsString| !arg.as_encoded_bytes().starts_with(b"-");
        if args.get(at).is_some_and(is_word) {
            args.remove(at);
        }
    }
    true
}
