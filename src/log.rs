//! Log lines: short ones for people, or JSON, to standard error or a file.

mod bounded;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat};
use bounded::Bounded;

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
    let file = start(log)?;
    log.preface.iter().for_each(|line| tracing::info!("{line}"));
    Ok(file)
}

fn start(log: &Log) -> Result<LogFile, Error> {
    match &log.file {
        None => {
            install(log, io::stderr);
            Ok(None)
        }
        Some(path) => {
            let wrong = |cause| Error { path: path.clone(), cause };
            match &log.bounded {
                None => {
                    let file = OpenOptions::new().append(true).create(true).open(path).map_err(wrong)?;
                    let file = Arc::new(file);
                    install(log, Arc::clone(&file));
                    Ok(Some(file))
                }
                Some(bounded) => {
                    let bounded = Bounded::begin(path, bounded).map_err(wrong)?;
                    let file = bounded.file();
                    install(log, bounded);
                    Ok(Some(file))
                }
            }
        }
    }
}

fn install<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(log: &Log, writer: W) {
    // A line that cannot be written is lost: complaining about it on a closed standard error would panic.
    let builder = tracing_subscriber::fmt().with_max_level(log.level).log_internal_errors(false).with_writer(writer);
    let installed = match log.format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().with_target(true).finish()),
        LogFormat::Bare => tracing::subscriber::set_global_default(builder.event_format(Bare).finish()),
        LogFormat::Timed => {
            let timed = Timed { start: Instant::now() };
            tracing::subscriber::set_global_default(builder.event_format(timed).finish())
        }
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
        write!(writer, "rnet: {}: ", level(event))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// What there is to say, and nothing else.
struct Bare;

impl<S, N> FormatEvent<S, N> for Bare
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// `1.2345: info:    what happened key=value`, in seconds since the start.
struct Timed {
    start: Instant,
}

impl<S, N> FormatEvent<S, N> for Timed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let since = self.start.elapsed();
        let fraction = since.subsec_micros() / 100;
        write!(writer, "{}.{fraction:04}: {:<9}", since.as_secs(), format!("{}:", level(event)))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The level in words.
fn level(event: &Event<'_>) -> &'static str {
    match *event.metadata().level() {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warning",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}
