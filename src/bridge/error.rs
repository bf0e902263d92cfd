//! What can go wrong, in the words that callers of netavark match: contexts are chained `outer: inner`.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// A failure, or several.
#[derive(Debug)]
pub enum Error {
    /// A complete sentence.
    Text(String),
    /// What was being done, and why it failed.
    During(String, Box<Error>),
    /// The kernel refused a netlink request.
    Netlink(Errno),
    /// A file, process or socket could not be used.
    Io(io::Error),
    /// Several failures that do not depend on each other.
    Several(Vec<Error>),
}

/// What the backend's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure that one sentence describes.
    pub fn text(text: impl Into<String>) -> Error {
        Error::Text(text.into())
    }

    /// Says during what it happened.
    pub fn during(self, what: impl Into<String>) -> Error {
        Error::During(what.into(), Box::new(self))
    }

    /// `Ok` when nothing was collected; lists within the list are flattened.
    pub fn collected(errors: Vec<Error>) -> Result<()> {
        let mut flat = Vec::new();
        for error in errors {
            match error {
                Error::Several(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Ok(()),
            1 => Err(flat.remove(0)),
            _ => Err(Error::Several(flat)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Text(text) => f.write_str(text),
            Error::During(what, cause) => write!(f, "{what}: {cause}"),
            Error::Netlink(errno) => write!(f, "Netlink error: {}", io::Error::from_raw_os_error(*errno as i32)),
            Error::Io(error) => write!(f, "IO error: {error}"),
            Error::Several(errors) => {
                f.write_str("netavark encountered multiple errors:")?;
                errors.iter().try_for_each(|error| write!(f, "\n\t- {error}"))
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error::Io(errno.into())
    }
}

/// Adds what was being done to whatever fails.
pub trait During<T> {
    /// `what` is evaluated only on failure.
    fn during<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> During<T> for std::result::Result<T, E> {
    fn during<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().during(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_chained_and_lists_flattened() {
        let one = Error::Netlink(Errno::ENODEV).during("get bridge");
        assert_eq!(one.to_string(), "get bridge: Netlink error: No such device (os error 19)");
        let several = Error::Several(vec![Error::text("a"), Error::text("b")]);
        let all = Error::collected(vec![several, Error::text("c")]).unwrap_err();
        assert_eq!(all.to_string(), "netavark encountered multiple errors:\n\t- a\n\t- b\n\t- c");
        assert_eq!(Error::collected(vec![Error::text("a")]).unwrap_err().to_string(), "a");
        assert!(Error::collected(Vec::new()).is_ok());
    }
}
