//! The proxy's side: one connection with several calls at once.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::frame::{decode, framed, read, to_header};
use super::{Code, Empty, Lease, NetworkConfig, OperationResponse, SERVICE, Status};

/// A client that has said nothing sensible by then is let go.
const GREETING: Duration = Duration::from_secs(10);
/// So many calls a connection may make at once.
const CALLS: u32 = 64;
/// The headers of a call may have this length in bytes.
const HEADERS: u32 = 16 << 10;

/// What the calls do. A call whose client is gone is dropped where it waits.
pub trait Handler {
    /// Gets an address.
    async fn setup(&self, config: NetworkConfig) -> Result<Lease, Status>;
    /// Gives one back.
    async fn teardown(&self, config: NetworkConfig) -> Result<Lease, Status>;
    /// Gives all back.
    async fn clean(&self) -> Result<OperationResponse, Status>;
}

/// Serves a connection to its end.
pub async fn serve(stream: UnixStream, handler: Rc<impl Handler>) -> Result<(), h2::Error> {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(CALLS).max_header_list_size(HEADERS);
    let Ok(connection) = timeout(GREETING, builder.handshake::<_, bytes::Bytes>(stream)).await else { return Ok(()) };
    let mut connection = connection?;
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            call = connection.accept() => match call {
                Some(call) => {
                    let (request, respond) = call?;
                    calls.push(answer(request, respond, &*handler));
                }
                None => return Ok(()),
            },
            Some(()) = calls.next(), if !calls.is_empty() => {}
        }
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<bytes::Bytes>, handler: &impl Handler) {
    let outcome = tokio::select! {
        outcome = call(request, handler) => outcome,
        // The client does not want to know any more.
        _ = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    let _ = send(&mut respond, outcome);
}

async fn call(request: Request<RecvStream>, handler: &impl Handler) -> Result<Vec<u8>, Status> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let late = |_| Status::new(Code::DeadlineExceeded, "the message does not come");
    let bytes = timeout(GREETING, read(&mut body)).await.map_err(late)??.unwrap_or_default();
    match path.strip_prefix(SERVICE) {
        Some("Setup") => handler.setup(decode(&bytes)?).await.map(|lease| framed(&lease)),
        Some("Teardown") => handler.teardown(decode(&bytes)?).await.map(|lease| framed(&lease)),
        Some("Clean") => {
            decode::<Empty>(&bytes)?;
            handler.clean().await.map(|done| framed(&done))
        }
        _ => Err(Status::new(Code::Unimplemented, format!("unknown method {path}"))),
    }
}

fn send(respond: &mut SendResponse<bytes::Bytes>, outcome: Result<Vec<u8>, Status>) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    let mut trailers = HeaderMap::new();
    match outcome {
        Ok(message) => {
            stream.send_data(message.into(), false)?;
            trailers.insert("grpc-status", HeaderValue::from(0_u16));
        }
        Err(status) => {
            trailers.insert("grpc-status", HeaderValue::from(status.code as u16));
            trailers.extend(HeaderValue::try_from(to_header(&status.message)).map(|text| (GRPC_MESSAGE, text)));
        }
    }
    stream.send_trailers(trailers)
}

const GRPC_MESSAGE: http::HeaderName = http::HeaderName::from_static("grpc-message");
