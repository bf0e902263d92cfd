//! Answers that lead a name from outside to an address inside (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{Records, kind};

/// Whether an answer has an address of a private network, of this link, or of this host.
pub fn is_rebinding(reply: &[u8]) -> bool {
    let Some(mut records) = Records::of(reply) else { return false };
    records.any(|record| {
        let data = reply.get(record.data.clone()).unwrap_or_default();
        match record.kind {
            kind::A => data.try_into().is_ok_and(|octets: [u8; 4]| is_inside(Ipv4Addr::from(octets).into())),
            kind::AAAA => data.try_into().is_ok_and(|octets: [u8; 16]| is_inside(Ipv6Addr::from(octets).into())),
            _ => false,
        }
    })
}

fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || shared
                || address.octets()[0] == 0
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_and_outside() {
        for inside in [
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.1", "8.8.8.8", "172.32.0.1", "2001:db8::1", "100.128.0.1"] {
            assert!(!is_inside(outside.parse().unwrap()), "{outside}");
        }
    }
}
