//! resolv.conf(5): what the host's says, and the one a container gets.

use std::fmt::Write;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Dns;
use super::dns::Asking;
use super::dns_server::scoped;

/// Where the host's is.
pub const PATH: &str = "/etc/resolv.conf";

/// A file that is longer is read up to there.
pub const LEN_MAX: usize = 64 << 10;

/// Servers that are heeded. The C library heeds three.
const SERVERS_MAX: usize = 8;

/// The parts of a resolv.conf that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers in order.
    pub nameservers: Vec<SocketAddr>,
    /// Domains in which short names are looked for.
    pub search: Vec<String>,
    /// Options as they stand.
    pub options: Vec<String>,
    /// `sortlist` lines as they stand.
    other_lines: Vec<String>,
}

/// How servers are to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: u32,
    /// Whether another server is asked first each time.
    pub rotate: bool,
    /// Whether only TCP is used.
    pub only_tcp: bool,
    /// In which order, and what becomes of a query that nobody answers.
    pub asking: Asking,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { timeout: Duration::from_secs(5), attempts: 2, rotate: false, only_tcp: false, asking: Asking::Raced }
    }
}

impl ResolvConf {
    /// Reads the text of a resolv.conf; lines that mean nothing are passed over, as the C library does.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines().map(str::trim) {
            let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let words = || rest.split_whitespace().map(str::to_owned);
            match keyword {
                "nameserver" if conf.nameservers.len() < SERVERS_MAX => {
                    conf.nameservers.extend(rest.split_whitespace().next().and_then(scoped));
                }
                // The last one counts.
                "search" => conf.search = words().collect(),
                "domain" => conf.search = words().take(1).collect(),
                "options" => conf.options.extend(words()),
                "sortlist" => conf.other_lines.push(line.to_owned()),
                _ => {}
            }
        }
        conf
    }

    /// The host's resolv.conf; an absent one is empty.
    pub fn of_host() -> ResolvConf {
        ResolvConf::read_host().unwrap_or_default()
    }

    /// The host's resolv.conf.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_host() -> std::io::Result<ResolvConf> {
        let mut text = Vec::new();
        std::fs::File::open(PATH)?.take(LEN_MAX as u64).read_to_end(&mut text)?;
        Ok(ResolvConf::parse(&String::from_utf8_lossy(&text)))
    }

    /// The same as a text that [`ResolvConf::parse`] reads. Interfaces have their numbers.
    pub fn to_text(&self) -> String {
        let name = |server: &SocketAddr| match server {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            server => server.ip().to_string(),
        };
        self.text(self.nameservers.iter().map(name))
    }

    /// The same with the search list of a network, and with the further options that the user wants.
    pub fn adapted(mut self, dns: &Dns) -> ResolvConf {
        self.search.clone_from(&dns.search);
        let key = |option: &str| option.split(':').next().unwrap_or_default().to_owned();
        for option in &dns.options {
            self.options.retain(|other| key(other) != key(option));
            self.options.push(option.clone());
        }
        self
    }

    /// How its options want servers to be asked.
    pub fn manner(&self) -> Manner {
        let mut manner = Manner::default();
        for option in &self.options {
            let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
            match option.split_once(':') {
                // The bounds are those of the C library (RES_MAXRETRANS, RES_MAXRETRY).
                Some(("timeout", text)) => {
                    manner.timeout =
                        number(text).map_or(manner.timeout, |secs| Duration::from_secs(secs.min(30).into()));
                }
                Some(("attempts", text)) => {
                    manner.attempts = number(text).map_or(manner.attempts, |count| count.min(5))
                }
                None if option == "rotate" => manner.rotate = true,
                None if option == "use-vc" => manner.only_tcp = true,
                _ => {}
            }
        }
        manner
    }

    /// The text of a resolv.conf with other name servers.
    pub fn with_nameservers(&self, servers: &[IpAddr]) -> String {
        format!("# Made by rnet\n{}", self.text(servers.iter().map(IpAddr::to_string)))
    }

    fn text(&self, servers: impl Iterator<Item = String>) -> String {
        let mut text = String::new();
        for (keyword, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                let _ = writeln!(text, "{keyword} {}", words.join(" "));
            }
        }
        for line in &self.other_lines {
            let _ = writeln!(text, "{line}");
        }
        for server in servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;

    #[test]
    fn reads_what_matters_and_passes_over_the_rest() {
        let conf = ResolvConf::parse(
            "# comment\nnameserver 127.0.0.53\nnameserver\tfe80::1%7 trailing\nnameserver nonsense\ndomain b.example\n\
             search a.example c.example\noptions edns0 timeout:1\noptions attempts:9 rotate timeout:x\nunknown x\n",
        );
        assert_eq!(conf.nameservers[0], "127.0.0.53:53".parse().unwrap());
        assert_eq!(conf.nameservers[1], SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7).into());
        assert_eq!(conf.nameservers.len(), 2);
        assert_eq!(ResolvConf::parse(&conf.to_text()), conf);
        assert_eq!(conf.search, ["a.example", "c.example"]);
        let manner = Manner { timeout: Duration::from_secs(1), attempts: 5, rotate: true, ..Manner::default() };
        assert_eq!(conf.manner(), manner);
    }

    #[test]
    fn any_address_is_this_host() {
        let conf = ResolvConf::parse("nameserver 0.0.0.0\nnameserver ::\n");
        assert_eq!(conf.nameservers, ["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    #[test]
    fn a_container_keeps_the_search_list_but_not_the_servers() {
        let conf = ResolvConf::parse("search a.example\nnameserver 192.0.2.1\nsortlist 10.0.0.0\n");
        let text = conf.with_nameservers(&["10.0.2.3".parse().unwrap(), "fd00::3".parse().unwrap()]);
        assert_eq!(
            text,
            "# Made by rnet\nsearch a.example\nsortlist 10.0.0.0\nnameserver 10.0.2.3\nnameserver fd00::3\n"
        );
    }

    #[test]
    fn the_users_wishes_come_first() {
        let conf = ResolvConf::parse("search a.example\noptions ndots:2 edns0\n");
        let dns = Dns { search: vec!["b".into()], options: vec!["ndots:5".into(), "rotate".into()], ..Dns::default() };
        let adapted = conf.adapted(&dns);
        assert_eq!(
            (&adapted.search[..], &adapted.options[..]),
            (&["b".to_owned()][..], &["edns0", "ndots:5", "rotate"].map(String::from)[..])
        );
    }
}
