//! What is logged, in which form, and where to.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

/// Where log lines go and which ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// The form of a line.
    pub format: LogFormat,
    /// The file that lines are appended to; `None` is standard error.
    pub file: Option<PathBuf>,
    /// The file is this program's alone, and of a bounded size.
    pub bounded: Option<LogFile>,
    /// Lines that come first, at the level of information.
    pub preface: Vec<String>,
}

/// A log file that is begun anew, and whose oldest lines go when it is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Most that it holds.
    pub bytes: u64,
    /// Its first line.
    pub header: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing but what there is to say.
    Bare,
    /// That behind the seconds since the start and the level.
    Timed,
}
