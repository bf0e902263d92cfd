//! The side of setup and teardown: calls, one or two at once.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::SERVICE;
use super::frame::{decode, framed, from_header, read};
use crate::bridge::error::{During, Error, Result};

/// A proxy may be told to look for a server for long; one that does not answer by then does not.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to the proxy.
pub struct Connection(SendRequest<Bytes>);

impl Connection {
    /// Connects. Must be called on a tokio runtime, where the connection is driven.
    pub async fn open(socket: &Path) -> Result<Connection> {
        let absent = || format!("socket {socket:?}");
        let hint =
            |error: std::io::Error| Error::text(format!("{error}, is the netavark-dhcp-proxy.socket unit enabled?"));
        let stream = UnixStream::connect(socket).await.map_err(hint).during(absent)?;
        let (requests, connection) = handshake(stream).await.map_err(failed).during(absent)?;
        tokio::spawn(connection);
        Ok(Connection(requests))
    }

    /// Calls a method and waits for what it says.
    pub async fn call<R: Message + Default>(&self, method: &str, message: &impl Message) -> Result<R> {
        let answer = timeout(PATIENCE, self.exchange(method, message));
        answer.await.map_err(|_| Error::text(format!("no answer within {} s", PATIENCE.as_secs())))?
    }

    async fn exchange<R: Message + Default>(&self, method: &str, message: &impl Message) -> Result<R> {
        let request = Request::post(format!("http://localhost{SERVICE}{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|error| Error::text(error.to_string()))?;
        let mut requests = self.0.clone().ready().await.map_err(failed)?;
        let (response, mut body) = requests.send_request(request, false).map_err(failed)?;
        body.send_data(framed(message).into(), true).map_err(failed)?;
        let response = response.await.map_err(failed)?;
        status(response.headers())?;
        let mut body = response.into_body();
        let bytes = read(&mut body).await.map_err(|status| Error::text(status.message))?;
        if let Some(trailers) = body.trailers().await.map_err(failed)? {
            status(&trailers)?;
        }
        let bytes = bytes.ok_or_else(|| Error::text("the answer is empty"))?;
        decode(&bytes).map_err(|status| Error::text(status.message))
    }
}

/// Whether these headers, or trailers, tell of a failure.
fn status(headers: &HeaderMap) -> Result<()> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => Err(Error::text(match text("grpc-message") {
            Some(message) => from_header(message),
            None => format!("gRPC status {code}"),
        })),
    }
}

fn failed(error: h2::Error) -> Error {
    Error::text(error.to_string())
}
