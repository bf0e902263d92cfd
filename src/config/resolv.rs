//! resolv.conf(5): what the host's says, and the one a container gets.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

const DNS_PORT: u16 = 53;

/// The parts of a resolv.conf that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers in order.
    pub nameservers: Vec<SocketAddr>,
    /// `search`, `domain`, `options` and `sortlist` lines as they stand.
    pub other_lines: Vec<String>,
}

impl ResolvConf {
    /// Reads the text of a resolv.conf; lines that mean nothing are passed over, as the C library does.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines().map(str::trim) {
            let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match keyword {
                "nameserver" => conf.nameservers.extend(rest.split_whitespace().next().and_then(nameserver)),
                "search" | "domain" | "options" | "sortlist" => conf.other_lines.push(line.to_owned()),
                _ => {}
            }
        }
        conf
    }

    /// The host's resolv.conf; an absent one is empty.
    pub fn of_host() -> ResolvConf {
        std::fs::read("/etc/resolv.conf")
            .map(|text| ResolvConf::parse(&String::from_utf8_lossy(&text)))
            .unwrap_or_default()
    }

    /// The text of a resolv.conf with other name servers.
    pub fn with_nameservers(&self, servers: &[IpAddr]) -> String {
        let mut text = String::from("# Made by rnet\n");
        for line in &self.other_lines {
            let _ = writeln!(text, "{line}");
        }
        for server in servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        text
    }
}

/// An address with an optional scope (`fe80::1%eth0`).
fn nameserver(word: &str) -> Option<SocketAddr> {
    let Some((address, scope)) = word.split_once('%') else {
        // "Any address" means this host, and its answers come from the loopback address.
        let address = match word.parse().ok()? {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        return Some(SocketAddr::new(address, DNS_PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = scope.parse().or_else(|_| nix::net::if_::if_nametoindex(scope)).ok()?;
    Some(SocketAddrV6::new(address, DNS_PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_and_passes_over_the_rest() {
        let conf = ResolvConf::parse(
            "# comment\nnameserver 127.0.0.53\nnameserver\tfe80::1%7 trailing\nnameserver nonsense\nsearch a.example\n\
             options edns0\nunknown x\n",
        );
        assert_eq!(conf.nameservers[0], "127.0.0.53:53".parse().unwrap());
        assert_eq!(conf.nameservers[1], SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7).into());
        assert_eq!(conf.nameservers.len(), 2);
        assert_eq!(conf.other_lines, ["search a.example", "options edns0"]);
    }

    #[test]
    fn any_address_is_this_host() {
        let conf = ResolvConf::parse("nameserver 0.0.0.0\nnameserver ::\n");
        assert_eq!(conf.nameservers, ["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    #[test]
    fn a_container_keeps_the_search_list_but_not_the_servers() {
        let conf = ResolvConf::parse("search a.example\nnameserver 192.0.2.1\n");
        let text = conf.with_nameservers(&["10.0.2.3".parse().unwrap(), "fd00::3".parse().unwrap()]);
        assert_eq!(text, "# Made by rnet\nsearch a.example\nnameserver 10.0.2.3\nnameserver fd00::3\n");
    }
}
