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
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
