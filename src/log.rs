//! Log lines: short ones for people, or JSON, to standard error or a file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat};

/// The log file, which a forked process must keep open.
pub type LogFile = Option<Arc<File>>;

/// A log file that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the log file {path}: {cause}", path = .path.display())]
pub struct Error {
    path: std::path::PathBuf,
    cause: io::Error,
}

/// Starts logging in this process and in those that it forks.
pub fn init(log: &Log) -> Result<LogFile, Error> {
    match &log.file {
        None => {
            install(log, io::stderr);
            Ok(None)
        }
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let file = Arc::new(file.map_err(|cause| Error { path: path.clone(), cause })?);
            install(log, Arc::clone(&file));
            Ok(Some(file))
        }
    }
}

fn install<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(log: &Log, writer: W) {
    // A line that cannot be written is lost: complaining about it on a closed standard error would panic.
    let builder = tracing_subscriber::fmt().with_max_level(log.level).log_internal_errors(false).with_writer(writer);
    let installed = match log.format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().with_target(true).finish()),
        LogFormat::Text => tracing::subscriber::set_global_default(builder.event_format(Plain).finish()),
    };
    debug_assert!(installed.is_ok(), "logging is started once");
}

/// `rnet: warning: what happened key=value`.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warning",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        write!(writer, "rnet: {level}: ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
