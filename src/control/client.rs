//! The other end of a control socket: asks a running network.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::protocol::VERSION;
use super::socket;

/// How long a network may take to reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a reply.
const REPLY_MAX: u64 = 16 << 20;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be connected to.
    #[error("connect to the control socket {path}: {source}{hint}")]
    Connect {
        /// Its path.
        path: String,
        /// Why not.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The connection broke.
    #[error("ask at the control socket: {0}")]
    Broken(io::Error),
    /// What came is no reply.
    #[error("the control socket answers what is not understood: is it rnet's?")]
    Nonsense,
    /// The network has refused.
    #[error("{message}")]
    Refused {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
}

/// A connection to a control socket.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> Result<Client, Error> {
        let connected = socket::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        let stream = connected.map_err(|source| {
            let hint = match source.kind() {
                io::ErrorKind::ConnectionRefused => "; whoever listened there has ended",
                io::ErrorKind::NotFound => "; `rnet list` tells of the instances that there are",
                io::ErrorKind::PermissionDenied => "; it is for its owner alone",
                _ => "",
            };
            Error::Connect { path: path.display().to_string(), source, hint }
        })?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for its result.
    ///
    /// # Errors
    /// When the connection breaks or the network refuses.
    pub fn ask(&mut self, method: &str, params: Value) -> Result<Value, Error> {
        let mut line = json!({ "v": VERSION, "method": method, "params": params }).to_string();
        line.push('\n');
        // Somebody who is turned away is told so before a word was heard.
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        let mut reply = Vec::new();
        let read = io::Read::take(&mut self.stream, REPLY_MAX).read_until(b'\n', &mut reply);
        if reply.is_empty() {
            let nothing = || io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(Error::Broken(read.err().or(sent.err()).unwrap_or_else(nothing)));
        }
        let mut reply: Value = serde_json::from_slice(&reply).map_err(|_| Error::Nonsense)?;
        if let Some(error) = reply.get("error") {
            let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(Error::Refused { code: text("code"), message: text("message") });
        }
        reply.get_mut("result").map(Value::take).ok_or(Error::Nonsense)
    }
}
