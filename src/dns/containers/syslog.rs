//! Log lines to syslog (RFC 3164), which is where aardvark-dns' users look for them. Where there is no syslog there is no log.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Where syslog listens.
const PATH: &str = "/dev/log";

/// Bytes of a line at the most (RFC 3164 section 4.1).
const LINE_MAX: usize = 1024;

/// Facility user (RFC 3164 section 4.1.1).
const FACILITY: u8 = 1 << 3;

/// The connection, made when there is something to say, and made anew when syslog was.
#[derive(Default)]
pub struct Syslog(Mutex<Option<UnixDatagram>>);

/// One line of a severity.
pub struct Line<'a> {
    syslog: &'a Syslog,
    severity: u8,
}

/// Starts logging in this process and in those that it forks.
pub fn init(level: LevelFilter) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .log_internal_errors(false)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .with_writer(Syslog::default());
    let installed = tracing::subscriber::set_global_default(builder.finish());
    debug_assert!(installed.is_ok(), "logging is started once");
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { syslog: self, severity: 6 }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        let severity = match *metadata.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        Line { syslog: self, severity }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = text.trim_ascii();
        let mut message = format!("<{}>aardvark-dns[{}]: ", FACILITY | self.severity, std::process::id()).into_bytes();
        message.extend_from_slice(line.get(..line.len().min(LINE_MAX)).unwrap_or_default());
        self.syslog.send(&message);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Syslog {
    /// A line that cannot be sent is lost: waiting for syslog would keep queries waiting.
    fn send(&self, message: &[u8]) {
        let Ok(mut socket) = self.0.lock() else { return };
        for _ in 0..2 {
            if socket.is_none() {
                *socket = connect().ok();
            }
            match socket.as_ref().map(|socket| socket.send(message)) {
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => *socket = None,
                _ => return,
            }
        }
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(PATH)?;
    Ok(socket)
}
