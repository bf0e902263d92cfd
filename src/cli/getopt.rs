//! Command lines as getopt_long(3) of the GNU C library reads them: long options cut short, `--` ends them.
//!
//! For the names by which rnet takes another program's place: its callers may write whatever that program reads.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// The long form, without its dashes.
    pub long: &'static str,
    /// The short form.
    pub short: Option<char>,
    /// Whether an argument goes with it.
    pub argument: Argument,
}

/// Whether an argument goes with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// None does.
    None,
    /// One does.
    Required,
}

/// Where options may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Anywhere.
    Any,
    /// Before all else: what follows is somebody else's command line.
    First,
}

/// What was found on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An option by its long name, with its argument.
    Option(&'static str, Option<OsString>),
    /// Something that is none.
    Operand(OsString),
    /// What is wrong, in getopt's words but for the program's name before them.
    Fault(String),
}

/// Reads the arguments behind the program's name.
pub(super) fn read(args: &[OsString], specs: &[Spec], order: Order) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            found.extend(rest.by_ref().cloned().map(Found::Operand));
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            found.push(read_long(long, specs, || rest.next().cloned()));
        } else if bytes.len() > 1 && bytes.starts_with(b"-") {
            read_short(&bytes[1..], specs, || rest.next().cloned(), &mut found);
        } else {
            found.push(Found::Operand(arg.clone()));
            if order == Order::First {
                found.extend(rest.by_ref().cloned().map(Found::Operand));
            }
        }
    }
    found
}

fn read_long(text: &[u8], specs: &[Spec], next: impl FnOnce() -> Option<OsString>) -> Found {
    let (name, value) = match text.iter().position(|&byte| byte == b'=') {
        Some(at) => (&text[..at], Some(OsString::from_vec(text[at + 1..].to_vec()))),
        None => (text, None),
    };
    let told = OsStr::from_bytes(text).to_string_lossy();
    let exact = specs.iter().find(|spec| spec.long.as_bytes() == name);
    let begun: Vec<&Spec> = specs.iter().filter(|spec| spec.long.as_bytes().starts_with(name)).collect();
    let spec = match (exact, begun.as_slice()) {
        (Some(spec), _) => spec,
        (None, [spec]) => *spec,
        (None, []) => return Found::Fault(format!("unrecognized option '--{told}'")),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|spec| format!("'--{}'", spec.long)).collect();
            return Found::Fault(format!("option '--{told}' is ambiguous; possibilities: {}", names.join(" ")));
        }
    };
    match (spec.argument, value) {
        (Argument::None, Some(_)) => Found::Fault(format!("option '--{}' doesn't allow an argument", spec.long)),
        (Argument::None, None) => Found::Option(spec.long, None),
        (Argument::Required, value) => match value.or_else(next) {
            Some(value) => Found::Option(spec.long, Some(value)),
            None => Found::Fault(format!("option '--{}' requires an argument", spec.long)),
        },
    }
}

/// `-abc`: several options in one, of which the last may take what follows it.
fn read_short(letters: &[u8], specs: &[Spec], next: impl FnOnce() -> Option<OsString>, found: &mut Vec<Found>) {
    for (at, &letter) in letters.iter().enumerate() {
        let letter = char::from(letter);
        let Some(spec) = specs.iter().find(|spec| spec.short == Some(letter)) else {
            found.push(Found::Fault(format!("invalid option -- '{letter}'")));
            continue;
        };
        if spec.argument == Argument::None {
            found.push(Found::Option(spec.long, None));
            continue;
        }
        let attached = letters.get(at + 1..).filter(|rest| !rest.is_empty());
        let value = attached.map(|rest| OsString::from_vec(rest.to_vec())).or_else(next);
        found.push(match value {
            Some(value) => Found::Option(spec.long, Some(value)),
            None => Found::Fault(format!("option requires an argument -- '{letter}'")),
        });
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec] = &[
        Spec { long: "configure", short: Some('c'), argument: Argument::None },
        Spec { long: "mtu", short: Some('m'), argument: Argument::Required },
        Spec { long: "enable-sandbox", short: None, argument: Argument::None },
        Spec { long: "enable-seccomp", short: None, argument: Argument::None },
        Spec { long: "enable", short: None, argument: Argument::None },
    ];

    fn told(line: &str) -> String {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let words = words(read(&args, SPECS, Order::Any));
        words.join(", ")
    }

    fn words(found: Vec<Found>) -> Vec<String> {
        let words = found.into_iter().map(|found| match found {
            Found::Option(name, None) => name.to_owned(),
            Found::Option(name, Some(value)) => format!("{name}={}", value.to_string_lossy()),
            Found::Operand(operand) => format!("({})", operand.to_string_lossy()),
            Found::Fault(fault) => fault,
        });
        words.collect()
    }

    #[test]
    fn options_may_stand_anywhere() {
        assert_eq!(told("-c 12 --mtu 9 tap0"), "configure, (12), mtu=9, (tap0)");
        assert_eq!(told("-cm 9 - -- -c"), "configure, mtu=9, (-), (-c)");
        assert_eq!(told("-m9 --mtu= --mt=8 --enable"), "mtu=9, mtu=, mtu=8, enable");
    }

    #[test]
    fn or_before_all_else() {
        let args = ["-c", "sh", "-c", "--", "-x"].map(OsString::from);
        assert_eq!(words(read(&args, SPECS, Order::First)), ["configure", "(sh)", "(-c)", "(--)", "(-x)"]);
        let args = ["-c", "--", "-x"].map(OsString::from);
        assert_eq!(words(read(&args, SPECS, Order::First)), ["configure", "(-x)"]);
    }

    #[test]
    fn faults_are_told_as_the_c_library_does() {
        assert_eq!(told("--foo=1"), "unrecognized option '--foo=1'");
        assert_eq!(told("--foo"), "unrecognized option '--foo'");
        assert_eq!(
            told("--enable-s"),
            "option '--enable-s' is ambiguous; possibilities: '--enable-sandbox' '--enable-seccomp'"
        );
        assert_eq!(told("--conf=1"), "option '--configure' doesn't allow an argument");
        assert_eq!(told("--mtu"), "option '--mtu' requires an argument");
        assert_eq!(told("-cm"), "configure, option requires an argument -- 'm'");
        assert_eq!(told("-cx 1"), "configure, invalid option -- 'x', (1)");
    }
}
