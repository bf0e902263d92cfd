//! Options as getopt_long(3) reads them, with its words for what is wrong: callers of pasta know both.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::options::{OPTIONS, Opt};

/// An option with its value.
pub(super) type Given = (&'static str, OsString);

/// What was typed: the options in their order, and what follows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Options by their long names; those that take no value have an empty one.
    pub options: Vec<Given>,
    /// From the first word on that is no option.
    pub rest: Vec<OsString>,
}

/// Reads arguments, the program's name first, up to the first that is no option or is wrong. Then there is getopt's message too.
pub(super) fn read(arguments: &[OsString]) -> (Typed, Option<String>) {
    let mut typed = Typed::default();
    let Some((program, mut words)) = arguments.split_first() else { return (typed, None) };
    while let Some((word, after)) = words.split_first() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            words = after;
            break;
        }
        let mut following = after;
        let mut next = || {
            let (value, rest) = following.split_first()?;
            following = rest;
            Some(value.clone())
        };
        let read = if let Some(long) = bytes.strip_prefix(b"--") {
            read_long(long, &mut next).map(|given| vec![given])
        } else if bytes.len() > 1 && bytes.first() == Some(&b'-') {
            read_short(&bytes[1..], &mut next)
        } else {
            break;
        };
        match read {
            Ok(given) => typed.options.extend(given),
            Err(message) => return (typed, Some(format!("{}: {message}", program.display()))),
        }
        words = following;
    }
    typed.rest = words.to_vec();
    (typed, None)
}

fn read_long(word: &[u8], next: &mut dyn FnMut() -> Option<OsString>) -> Result<Given, String> {
    let mut parts = word.splitn(2, |byte| *byte == b'=');
    let (typed, value) = (parts.next().unwrap_or_default(), parts.next());
    let typed = String::from_utf8_lossy(typed);
    let option = find(&typed, &String::from_utf8_lossy(word))?;
    match (option.value, value) {
        (None, Some(_)) => Err(format!("option '--{}' doesn't allow an argument", option.name)),
        (None, None) => Ok((option.name, OsString::new())),
        (Some(_), Some(value)) => Ok((option.name, OsStr::from_bytes(value).to_owned())),
        (Some(_), None) => {
            let value = next().ok_or_else(|| format!("option '--{}' requires an argument", option.name))?;
            Ok((option.name, value))
        }
    }
}

/// The option of this name, or the only one that begins so.
fn find(typed: &str, word: &str) -> Result<&'static Opt, String> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name == typed) {
        return Ok(option);
    }
    let alike: Vec<&Opt> = OPTIONS.iter().filter(|option| option.name.starts_with(typed)).collect();
    match alike.as_slice() {
        [] => Err(format!("unrecognized option '--{word}'")),
        [option] => Ok(option),
        many => {
            let names: String = many.iter().map(|option| format!(" '--{}'", option.name)).collect();
            Err(format!("option '--{word}' is ambiguous; possibilities:{names}"))
        }
    }
}

fn read_short(letters: &[u8], next: &mut dyn FnMut() -> Option<OsString>) -> Result<Vec<Given>, String> {
    let mut given = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let letter = char::from(*letter);
        let option = OPTIONS.iter().find(|option| option.short == Some(letter));
        let option = option.ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        if option.value.is_none() {
            given.push((option.name, OsString::new()));
            continue;
        }
        let attached =
            letters.get(at + 1..).filter(|rest| !rest.is_empty()).map(|rest| OsStr::from_bytes(rest).to_owned());
        let value = attached.or_else(next).ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
        given.push((option.name, value));
        break;
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> Result<Typed, String> {
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let (typed, fault) = read(&words);
        fault.map_or(Ok(typed), Err)
    }

    #[test]
    fn all_forms_of_values() {
        for words in ["pasta -P file", "pasta -Pfile", "pasta --pid file", "pasta --pid=file", "pasta --pi=file"] {
            assert_eq!(typed(words).unwrap().options, [("pid", "file".into())], "{words}");
        }
        let many = typed("pasta -qft 80 --config-net -4 -- sh -c x").unwrap();
        let names: Vec<_> = many.options.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["quiet", "foreground", "tcp-ports", "config-net", "ipv4-only"]);
        assert_eq!(many.rest, ["sh", "-c", "x"]);
        assert_eq!(typed("pasta -q 4711 -d").unwrap().rest, ["4711", "-d"]);
    }

    #[test]
    fn faults_in_the_words_of_getopt() {
        for (words, message) in [
            ("p --foo", "p: unrecognized option '--foo'"),
            ("p --foo=1", "p: unrecognized option '--foo=1'"),
            ("/x/p -z", "/x/p: invalid option -- 'z'"),
            ("p -t", "p: option requires an argument -- 't'"),
            ("p --netns", "p: option '--netns' requires an argument"),
            ("p --debug=1", "p: option '--debug' doesn't allow an argument"),
        ] {
            assert_eq!(typed(words).unwrap_err(), message);
        }
        assert!(typed("p --dns-").unwrap_err().contains("is ambiguous; possibilities: '--dns-forward' '--dns-host'"));
    }
}
