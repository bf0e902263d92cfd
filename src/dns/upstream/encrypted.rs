//! A server that is asked over TLS or HTTPS, by hickory, and that proves who it is. One connection carries all queries.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_net::h2::HttpsClientStream;
use hickory_net::tls::tls_exchange;
use hickory_net::xfer::{DnsExchange, DnsHandle};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message};
use rnet_dns::wire::{Records, kind};
use rnet_dns::{Name, Query};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;

use super::provider::Provider;
use super::{Common, Fetched};
use crate::config::{EncryptedServer, Encryption};
use crate::dns::forwarder::Via;

/// How long one query may take on a connection.
const QUERY: Duration = Duration::from_secs(4);

/// Queries at once on a connection; the bound on all that wait stands elsewhere.
const AT_ONCE: usize = 1024;

/// Whose certificates are believed.
pub struct Trust(ClientConfig);

impl Trust {
    /// The host's certificates; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    ///
    /// # Errors
    /// In words, when there are none.
    pub fn of_host() -> Result<Trust, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            let why = found.errors.first().map_or_else(|| "none is installed".into(), ToString::to_string);
            return Err(format!(
                "read the certificates that encrypted name servers are checked by: {why}; install the package ca-certificates, or \
                 name a file with SSL_CERT_FILE"
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("set up TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Trust(config))
    }
}

/// A server with its connection.
pub struct Encrypted {
    server: EncryptedServer,
    common: Rc<Common>,
    connection: Mutex<Option<DnsExchange<Provider>>>,
}

impl Encrypted {
    pub fn new(server: EncryptedServer, common: Rc<Common>) -> Encrypted {
        Encrypted { server, common, connection: Mutex::new(None) }
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, query: &Query<'_>) -> io::Result<Fetched> {
        let message = query.upstream(self.common.random.number()?);
        let mut outcome = self.ask_once(&message).await;
        if outcome.is_err() {
            // The server may have closed the connection, as it may at any time; a new one is tried once.
            outcome = self.ask_once(&message).await;
        }
        outcome.map(|full| Fetched { full, short: None })
    }

    async fn ask_once(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let exchange = self.connected().await?;
        let request = Message::from_vec(message).map_err(io::Error::other)?;
        let request = DnsRequest::new(request, DnsRequestOptions::default());
        let reply = match exchange.send(request).next().await {
            Some(Ok(response)) => Ok(response.into_buffer()),
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        match reply {
            Ok(mut reply) => {
                // HTTPS has no need of numbers (RFC 8484 section 4.1); ours is put back for the check.
                rnet_dns::wire::put_u16(&mut reply, 0, rnet_dns::wire::id(message).unwrap_or(0));
                if rnet_dns::is_answer_to(message, &reply) {
                    return Ok(reply);
                }
                Err(io::Error::other("it answers what it was not asked"))
            }
            Err(error) => {
                *self.connection.lock().await = None;
                Err(error)
            }
        }
    }

    /// The connection, made if there is none. All who need it wait for the same one.
    async fn connected(&self) -> io::Result<DnsExchange<Provider>> {
        let mut connection = self.connection.lock().await;
        if let Some(exchange) = &*connection {
            return Ok(exchange.clone());
        }
        let exchange = self.connect().await?;
        *connection = Some(exchange.clone());
        Ok(exchange)
    }

    async fn connect(&self) -> io::Result<DnsExchange<Provider>> {
        let mut last = io::Error::other(format!("{} has no address", self.server.name));
        let addresses = match self.server.address {
            Some(address) => vec![address],
            None => self.find().await?,
        };
        for address in addresses {
            match self.connect_to(SocketAddr::new(address, self.server.port)).await {
                Ok(exchange) => return Ok(exchange),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<DnsExchange<Provider>> {
        let Some(Trust(config)) = &self.common.trust else {
            return Err(io::Error::other("no certificates are trusted"));
        };
        let provider = self.common.provider.clone();
        let name = self.server.name.as_str();
        match &self.server.protocol {
            Encryption::Tls => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                tls_exchange(address, name, config.clone(), QUERY, Some(AT_ONCE), provider).await
            }
            Encryption::Https(path) => {
                let mut builder = HttpsClientStream::builder(Arc::new(config.clone()), provider);
                builder.request_timeout(QUERY);
                builder.exchange(address, name.into(), path.as_str().into()).await
            }
        }
        .map_err(io::Error::other)
    }

    /// Looks the server up with the host's own name servers.
    async fn find(&self) -> io::Result<Vec<IpAddr>> {
        let name = Name::parse(&self.server.name).map_err(|error| io::Error::other(error.to_string()))?;
        let host = self.common.host.borrow().clone();
        let mut found = Vec::new();
        for wanted in [kind::AAAA, kind::A] {
            let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            message.extend_from_slice(name.wire());
            message.extend_from_slice(&wanted.to_be_bytes());
            message.extend_from_slice(&rnet_dns::wire::CLASS_IN.to_be_bytes());
            let query = Query::judge(&message).map_err(|_| io::Error::other("no query"))?;
            // Boxed, since the servers of the host could be encrypted too as far as the compiler knows.
            let fetched = Box::pin(host.ask(&query, Via::Udp)).await;
            let fetched =
                fetched.map_err(|failure| io::Error::other(format!("find {}: {failure}", self.server.name)))?;
            found.extend(addresses(&fetched.full));
        }
        Ok(found)
    }
}

/// The addresses in an answer.
fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let records = Records::of(reply).into_iter().flatten();
    let address = |record: rnet_dns::wire::Record| {
        let data = reply.get(record.data.clone())?;
        match record.kind {
            kind::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            kind::AAAA => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
            _ => None,
        }
    };
    records.filter_map(address).collect()
}
