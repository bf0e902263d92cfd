//! Everything that is wrong with what was given, collected, and told at once.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    place: String,
    message: String,
}

/// What is wrong with the flags and the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes that what stands at `place` (a flag, or `file: key`) is wrong.
    pub(super) fn push(&mut self, place: impl Into<String>, message: impl Into<String>) {
        let fault = Fault { place: place.into(), message: message.into() };
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// `value` if nothing is wrong.
    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, Faults> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |fault: &Fault| format!("{}: {}", fault.place, fault.message);
        match self.0.as_slice() {
            [] => f.write_str("nothing was done"),
            [one] => f.write_str(&line(one)),
            many => {
                write!(f, "{} faults, nothing was done:", many.len())?;
                many.iter().try_for_each(|fault| write!(f, "\n  {}", line(fault)))
            }
        }
    }
}
