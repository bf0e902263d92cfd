//! Published ports.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::bridge::error::Error;

/// A published port, or a range of them, as it was given.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct PortMapping {
    /// The first port in the container.
    pub container_port: u16,
    /// The host's address; empty for all.
    pub host_ip: String,
    /// The first port on the host.
    pub host_port: u16,
    /// `tcp`, `udp`, `sctp`, …
    pub protocol: String,
    /// How many ports; 0 means 1.
    pub range: u16,
}

/// The protocols that have ports, by the names that nftables knows them by, with their IP protocol numbers.
pub const PROTOCOLS: [(&str, u8); 5] = [("tcp", 6), ("udp", 17), ("sctp", 132), ("dccp", 33), ("udplite", 136)];

impl PortMapping {
    /// How many ports it names.
    pub fn count(&self) -> u16 {
        self.range.max(1)
    }

    /// The last port on the host.
    pub fn host_end(&self) -> u16 {
        self.host_port.saturating_add(self.count() - 1)
    }

    /// The host's address; `None` for all.
    pub fn address(&self) -> Result<Option<IpAddr>, Error> {
        if self.host_ip.is_empty() {
            return Ok(None);
        }
        let wrong =
            || Error::text(format!("invalid host ip \"{}\" provided for port {}", self.host_ip, self.host_port));
        self.host_ip.parse().map(Some).map_err(|_| wrong())
    }

    /// The protocol's number.
    pub fn number(&self) -> Option<u8> {
        PROTOCOLS.iter().find(|(name, _)| *name == self.protocol).map(|(_, number)| *number)
    }

    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<Error> {
        let mut faults = Vec::new();
        faults.extend(self.address().err());
        let port = self.host_port;
        if self.number().is_none() {
            let known = PROTOCOLS.map(|(name, _)| name).join(", ");
            faults.push(Error::text(format!(
                "unknown protocol \"{}\" for port {port}: {known} are known",
                self.protocol
            )));
        }
        for (side, first) in [("host", self.host_port), ("container", self.container_port)] {
            if first == 0 {
                faults.push(Error::text(format!("{side} port 0 cannot be published")));
            } else if first.checked_add(self.count() - 1).is_none() {
                let end = u32::from(first) + u32::from(self.count()) - 1;
                faults.push(Error::text(format!("{side} ports {first}-{end} go beyond 65535")));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_before_anything_is_done() {
        let mut port = PortMapping {
            container_port: 80,
            host_ip: String::new(),
            host_port: 8080,
            protocol: "tcp".into(),
            range: 0,
        };
        assert!(port.faults().is_empty());
        assert_eq!((port.count(), port.host_end()), (1, 8080));
        port = PortMapping { host_ip: "abcd".into(), protocol: "TCP".into(), host_port: 65535, range: 2, ..port };
        let faults: Vec<_> = port.faults().iter().map(Error::to_string).collect();
        assert_eq!(faults.len(), 3);
        assert_eq!(faults[0], "invalid host ip \"abcd\" provided for port 65535");
        assert_eq!(faults[2], "host ports 65535-65536 go beyond 65535");
    }
}
