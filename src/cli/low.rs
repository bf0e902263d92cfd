//! Low arguments: what was typed and what the configuration file says, merged and not yet judged.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::faults::Faults;
use super::options::{CONFIG, Opt, Takes};
use super::suggest::nearest;

/// A value as it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    text: OsString,
    place: Place,
}

/// Where a value was given.
#[derive(Clone, Debug)]
enum Place {
    Flag(&'static str),
    File(String),
}

impl Given {
    /// The place with the value, for a fault.
    pub(super) fn place(&self) -> String {
        match &self.place {
            Place::Flag(name) => format!("--{name} {}", self.text.display()),
            Place::File(place) => format!("{place} = {}", self.text.display()),
        }
    }

    /// Whether it is a flag on the command line.
    pub(super) fn is_flag(&self) -> bool {
        matches!(self.place, Place::Flag(_))
    }

    /// The value as a path.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.text)
    }
}

/// All options that were given.
#[derive(Debug, Default)]
pub(super) struct Low(BTreeMap<&'static str, Vec<Given>>);

impl Low {
    /// Takes the flags, and then for what they leave open the file that `--config` names.
    pub(super) fn gather(matches: &ArgMatches, tables: &[&'static [Opt]], faults: &mut Faults) -> Low {
        let options = || tables.iter().flat_map(|table| table.iter());
        let mut low = Low::default();
        for option in options() {
            let values: Vec<_> = matches.get_many::<OsString>(option.name).into_iter().flatten().collect();
            if !values.is_empty() {
                let given = |text: &&OsString| Given { text: (*text).clone(), place: Place::Flag(option.name) };
                low.0.insert(option.name, values.iter().map(given).collect());
            }
        }
        if let Some(file) = matches.get_one::<OsString>(CONFIG.name) {
            for (option, given) in read_file(Path::new(file), &options().collect::<Vec<_>>(), faults) {
                low.0.entry(option.name).or_insert(given);
            }
        }
        low
    }

    /// The one value of an option.
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.0.get(name)?.last()
    }

    /// All values of an option.
    pub(super) fn all(&self, name: &str) -> &[Given] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of an option, judged by `parse`.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.get(name)?;
        let parsed = given.text.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(parse);
        parsed.map_err(|message| faults.push(given.place(), message)).ok()
    }

    /// The values of an option, each judged by `parse`, with their places.
    pub(super) fn parse_all<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<(String, T)> {
        let mut all = Vec::new();
        for given in self.all(name) {
            let parsed = given.text.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(&parse);
            match parsed {
                Ok(value) => all.push((given.place(), value)),
                Err(message) => faults.push(given.place(), message),
            }
        }
        all
    }

    /// Whether a switch is on.
    pub(super) fn switch(&self, name: &str, faults: &mut Faults) -> bool {
        self.parse(name, faults, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".into()),
        })
        .unwrap_or(false)
    }
}

/// A configuration file is a few lines; what never ends is none.
const FILE_MAX: u64 = 1 << 20;

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// The options in a configuration file.
fn read_file<'a>(path: &Path, options: &[&'a Opt], faults: &mut Faults) -> Vec<(&'a Opt, Vec<Given>)> {
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("--{} {}", CONFIG.name, path.display()), format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            faults.push(path.display().to_string(), format!("is not TOML: {}", error.to_string().trim_end()));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (key, value) in &table {
        let place = format!("{}: {key}", path.display());
        match options.iter().find(|option| option.name == key) {
            None => faults.push(place, unknown_key(key, options)),
            Some(option) => match texts(option, value) {
                Ok(texts) => {
                    let given = |text| Given { text, place: Place::File(place.clone()) };
                    found.push((*option, texts.into_iter().map(given).collect()));
                }
                Err(message) => faults.push(place, message),
            },
        }
    }
    found
}

fn unknown_key(key: &str, options: &[&Opt]) -> String {
    match nearest(key, options.iter().map(|option| option.name)) {
        Some(name) => format!("unknown key; is {name} meant?"),
        None => "unknown key".into(),
    }
}

/// A TOML value as what would have been typed.
fn texts(option: &Opt, value: &toml::Value) -> Result<Vec<OsString>, String> {
    let one = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(OsString::from(text)),
        toml::Value::Integer(number) => Some(number.to_string().into()),
        _ => None,
    };
    match (&option.takes, value) {
        (Takes::Switch, toml::Value::Boolean(on)) => Ok(vec![on.to_string().into()]),
        (Takes::Switch, _) => Err("must be true or false".into()),
        (Takes::Paths(..) | Takes::Values(_), toml::Value::Array(values)) => {
            values.iter().map(one).collect::<Option<_>>().ok_or_else(|| "must be a list of strings".into())
        }
        (_, value) => one(value).map(|text| vec![text]).ok_or_else(|| "must be a string or a number".into()),
    }
}

/// The argument as a place for a fault.
pub(super) fn argument_place(argument: &OsStr) -> String {
    argument.display().to_string()
}
