//! What hickory needs to connect: sockets that are bound to what the configuration says.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::runtime::{RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime};

use super::socket;
use crate::config::Outbound;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(4);

/// tokio, with sockets of our own.
#[derive(Clone)]
pub struct Provider {
    outbound: Outbound,
    tokio: TokioRuntimeProvider,
}

impl Provider {
    /// Sockets are bound to `outbound`.
    pub fn new(outbound: Outbound) -> Provider {
        Provider { outbound, tokio: TokioRuntimeProvider::new() }
    }
}

impl RuntimeProvider for Provider {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = tokio::net::UdpSocket;
    type Tcp = AsyncIoTokioAsStd<tokio::net::TcpStream>;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _bind_addr: Option<SocketAddr>,
        wait_for: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        let outbound = self.outbound.clone();
        Box::pin(async move {
            let connected = socket::connect(&outbound, server);
            let stream = tokio::time::timeout(wait_for.unwrap_or(CONNECT), connected).await??;
            stream.set_nodelay(true)?;
            Ok(AsyncIoTokioAsStd(stream))
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        self.tokio.bind_udp(local, server)
    }
}
