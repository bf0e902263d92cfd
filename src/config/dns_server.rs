//! A name server as users write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use rnet_dns::Name;

const PORT: u16 = 53;
const TLS_PORT: u16 = 853;
const HTTPS_PORT: u16 = 443;
const HTTPS_PATH: &str = "/dns-query";

/// A name server, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsServer {
    /// By datagrams, and by TCP where they do not do.
    Plain(SocketAddr),
    /// Encrypted, by somebody who proves to be who is meant.
    Encrypted(EncryptedServer),
}

/// A name server that proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedServer {
    /// What is spoken.
    pub protocol: Encryption,
    /// Whom its certificate must name: a domain name or an address.
    pub name: String,
    /// Where it is; `None` is to be looked up with the host's name servers.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
}

/// How messages are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484), with the path of its URL.
    Https(String),
}

impl FromStr for DnsServer {
    type Err = String;

    /// `ADDR[%SCOPE][#PORT]`, `tls://HOST[:PORT][#NAME or ADDR]` or `https://HOST[:PORT][/PATH][#NAME or ADDR]`. The error says
    /// what is wrong.
    fn from_str(text: &str) -> Result<DnsServer, String> {
        if let Some(rest) = text.strip_prefix("tls://") {
            return encrypted(rest, Encryption::Tls, TLS_PORT).map(DnsServer::Encrypted);
        }
        if let Some(rest) = text.strip_prefix("https://") {
            let (url, tail) = rest.split_once('#').map_or((rest, None), |(url, tail)| (url, Some(tail)));
            let (authority, path) = url
                .split_once('/')
                .map_or((url, HTTPS_PATH.to_owned()), |(authority, path)| (authority, format!("/{path}")));
            if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}\"<>\\^`".contains(&byte)) {
                return Err(format!("`{path}` is not the path of a URL"));
            }
            let rest = tail.map_or_else(|| authority.to_owned(), |tail| format!("{authority}#{tail}"));
            return encrypted(&rest, Encryption::Https(path), HTTPS_PORT).map(DnsServer::Encrypted);
        }
        if text.contains("://") {
            return Err("must be an address, tls://… or https://…".into());
        }
        plain(text).map(DnsServer::Plain)
    }
}

fn plain(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { Err("port 0 is no port".into()) } else { usable(address) };
    }
    let (address, port) = match text.split_once('#') {
        Some((address, number)) => (address, port(number)?),
        None => (text, PORT),
    };
    let wrong = || {
        format!("`{address}` is not the address of a name server, such as 192.0.2.7, 192.0.2.7#5353 or tls://192.0.2.7")
    };
    let mut server = scoped(address).ok_or_else(wrong)?;
    server.set_port(port);
    usable(server)
}

fn usable(server: SocketAddr) -> Result<SocketAddr, String> {
    match server {
        _ if server.ip().is_multicast() => Err("is a multicast address".into()),
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            Err(format!("is a link-local address, which means nothing without its interface: {}%eth0", v6.ip()))
        }
        server => Ok(server),
    }
}

/// An address with an optional scope (`fe80::1%eth0`), port 53. "Any address" means this host.
pub(super) fn scoped(word: &str) -> Option<SocketAddr> {
    let Some((address, scope)) = word.split_once('%') else {
        let address = match word.parse().ok()? {
            IpAddr::V4(address) if address.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        return Some(SocketAddr::new(address, PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = scope.parse().or_else(|_| nix::net::if_::if_nametoindex(scope)).ok()?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port @ 1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(format!("`{text}` is not a port from 1 to 65535")),
    }
}

/// `HOST[:PORT][#NAME or ADDR]`: one of both may be an address, the other is the name in the certificate.
fn encrypted(text: &str, protocol: Encryption, default_port: u16) -> Result<EncryptedServer, String> {
    let (authority, tail) = text.split_once('#').map_or((text, None), |(authority, tail)| (authority, Some(tail)));
    let (host, port) = split_port(authority, default_port)?;
    let (name, address) = match (host.parse::<IpAddr>(), tail) {
        (Ok(address), None) => (address.to_string(), Some(address)),
        (Ok(address), Some(name)) => (domain(name)?, Some(address)),
        (Err(_), None) => (domain(host)?, None),
        (Err(_), Some(address)) => {
            let address = address.parse().map_err(|_| format!("`{address}` is not the address of {host}"))?;
            (domain(host)?, Some(address))
        }
    };
    Ok(EncryptedServer { protocol, name, address, port })
}

fn split_port(authority: &str, default_port: u16) -> Result<(&str, u16), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        return match rest.strip_prefix(':') {
            Some(number) => Ok((address, port(number)?)),
            None if rest.is_empty() => Ok((address, default_port)),
            None => Err("a colon and a port must follow the bracket".into()),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') => Ok((host, port(number)?)),
        _ => Ok((authority, default_port)),
    }
}

fn domain(text: &str) -> Result<String, String> {
    let is_host = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let bare = text.strip_suffix('.').unwrap_or(text);
    match Name::parse(text) {
        Ok(_) if is_host && bare.parse::<IpAddr>().is_err() && !text.is_empty() && text != "." => {
            Ok(bare.to_ascii_lowercase())
        }
        _ => Err(format!("`{text}` is neither an address nor the name of a server")),
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsServer::Plain(address) => write!(f, "{address}"),
            DnsServer::Encrypted(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for EncryptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() };
        match &self.protocol {
            Encryption::Tls => write!(f, "tls://{host}:{}", self.port)?,
            Encryption::Https(path) => write!(f, "https://{host}:{}{path}", self.port)?,
        }
        match self.address {
            Some(address) if address.to_string() != self.name => write!(f, "#{address}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<DnsServer>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn all_forms() {
        for (text, is) in [
            ("192.0.2.7", "192.0.2.7:53"),
            ("192.0.2.7#5353", "192.0.2.7:5353"),
            ("192.0.2.7:5353", "192.0.2.7:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("2001:db8::1#99", "[2001:db8::1]:99"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
            ("fe80::1%1", "[fe80::1%1]:53"),
            ("fe80::1%lo", "[fe80::1%1]:53"),
            ("0.0.0.0", "127.0.0.1:53"),
            ("tls://192.0.2.7", "tls://192.0.2.7:853"),
            ("tls://192.0.2.7#dns.example", "tls://dns.example:853#192.0.2.7"),
            ("tls://dns.example:99#192.0.2.7", "tls://dns.example:99#192.0.2.7"),
            ("tls://[2001:db8::1]:99", "tls://[2001:db8::1]:99"),
            ("tls://2001:db8::1", "tls://[2001:db8::1]:853"),
            ("https://dns.example", "https://dns.example:443/dns-query"),
            ("https://DNS.example:8443/q?x=1#192.0.2.7", "https://dns.example:8443/q?x=1#192.0.2.7"),
        ] {
            assert_eq!(parsed(text), is, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            "",
            "x",
            "1.2.3",
            "1.2.3.4#0",
            "1.2.3.4#x",
            "1.2.3.4:0",
            "fe80::1",
            "fe80::1%nosuchif",
            "224.0.0.1",
            "tls://",
            "tls://a b",
            "tls://a..b",
            "tls://a#b",
            "tls://1.2.3.4#5.6.7.8.",
            "https://",
            "https://a/b c",
            "http://1.2.3.4",
            "tls://[::1",
            "tls://[::1]x",
        ] {
            assert!(wrong.parse::<DnsServer>().is_err(), "{wrong}");
        }
    }
}
