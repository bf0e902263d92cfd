//! What a server has granted.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::timing::INFINITE;

/// More addresses of one sort than this are not taken from a server.
pub const ADDRESSES_MAX: usize = 16;
/// The longest domain that is taken from a server, in bytes (RFC 1035).
const DOMAIN_MAX: usize = 253;

/// Which server it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Server {
    /// The server identifier of DHCPv4, which is its address.
    V4(Ipv4Addr),
    /// The DUID of a DHCPv6 server.
    V6(Vec<u8>),
}

/// An address, for a time, and what came with it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// The address with its prefix; DHCPv6 gives no prefix, which leaves 128.
    pub address: IpNet,
    /// Who granted it.
    pub server: Server,
    /// When, in seconds on the client's clock.
    pub obtained: u64,
    /// After so many seconds the server is asked to renew it.
    pub t1: u32,
    /// After so many seconds any server is.
    pub t2: u32,
    /// After so many seconds it ends; `u32::MAX` is never.
    pub lifetime: u32,
    /// Routers, the best first.
    pub gateways: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Time servers.
    pub ntp: Vec<IpAddr>,
    /// The domain, or nothing.
    pub domain: String,
    /// The name that the server gave the client, or nothing.
    pub host_name: String,
    /// The MTU of the link.
    pub mtu: Option<u16>,
}

impl Lease {
    /// When the server is to be asked.
    pub fn renew_at(&self) -> Option<Duration> {
        self.after(self.t1)
    }

    /// When any server is.
    pub fn rebind_at(&self) -> Option<Duration> {
        self.after(self.t2)
    }

    /// When it ends.
    pub fn ends_at(&self) -> Option<Duration> {
        self.after(self.lifetime)
    }

    fn after(&self, time: u32) -> Option<Duration> {
        (time != INFINITE).then(|| Duration::from_secs(self.obtained.saturating_add(time.into())))
    }

    /// The seconds that are left of it.
    pub fn left(&self, now: Duration) -> u32 {
        match self.ends_at() {
            None => INFINITE,
            Some(end) => u32::try_from(end.saturating_sub(now).as_secs()).unwrap_or(INFINITE),
        }
    }

    /// Sets the times, which must rise; where they do not, those that the standards name are taken.
    pub fn set_times(&mut self, now: Duration, (t1, t2, lifetime): (Option<u32>, Option<u32>, u32)) {
        self.obtained = now.as_secs();
        self.lifetime = lifetime;
        if lifetime == INFINITE {
            (self.t1, self.t2) = (INFINITE, INFINITE);
            return;
        }
        let share = |eighths: u64| u32::try_from(u64::from(lifetime) * eighths / 8).unwrap_or(INFINITE).max(1);
        (self.t1, self.t2) = match (t1.unwrap_or(share(4)), t2.unwrap_or(share(7))) {
            (t1, t2) if 0 < t1 && t1 <= t2 && t2 <= lifetime => (t1, t2),
            _ => (share(4), share(7)),
        };
    }
}

/// The first of these addresses that can be somebody's.
pub fn usable<A: Copy + Into<IpAddr>>(addresses: &[A]) -> Vec<IpAddr> {
    let all = addresses.iter().map(|address| (*address).into());
    all.filter(|address: &IpAddr| !address.is_unspecified() && !address.is_multicast()).take(ADDRESSES_MAX).collect()
}

/// A name as a server wrote it, if it is one: it ends up in files and in other programs' input.
pub fn name(text: &str) -> String {
    let text = text.trim_end_matches(['\0', '.']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= DOMAIN_MAX && text.chars().all(is_name) { text.to_owned() } else { String::new() }
}
