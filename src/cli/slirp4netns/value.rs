//! Single values as slirp4netns reads them. The error is what it says.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use rnet_stack::frame::MacAddr;

use crate::cli::value;
use crate::config::Subnet;

/// The longest packet that a frame of 65535 bytes has room for.
const MTU_MAX: u16 = 65521;
/// The least MTU of a tap device (ETH_MIN_MTU of linux/if_ether.h); a link with less carries nothing in any case.
const MTU_MIN: u16 = 68;

/// The MTU, at least what a device can have.
pub(super) fn mtu(text: &OsStr) -> Result<u16, String> {
    let number = text.to_str().and_then(|text| text.parse::<u16>().ok()).filter(|mtu| (1..=MTU_MAX).contains(mtu));
    number.map(|mtu| mtu.max(MTU_MIN)).ok_or_else(|| format!("MTU must be a positive integer (< {})", MTU_MAX + 1))
}

/// The number of a descriptor.
pub(super) fn descriptor(name: &str, text: &OsStr) -> Result<i32, String> {
    let number = text.to_str().and_then(|text| text.parse::<i32>().ok()).filter(|number| *number >= 0);
    number.ok_or_else(|| format!("{name} must be a non-negative integer"))
}

/// `10.0.2.0/24`: the container is 100, the gateway 2, the name server 3.
pub(super) fn cidr(text: &OsStr) -> Result<Subnet<Ipv4Addr>, String> {
    let text = text.to_string_lossy();
    let parsed = || {
        let (address, prefix) = text.split_once('/')?;
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        Some((address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u32>().ok().filter(|_| digits)?))
    };
    let (network, prefix) = parsed().ok_or_else(|| format!("invalid CIDR: {text}"))?;
    if !(1..=25).contains(&prefix) {
        return Err("prefix length needs to be 1-25".into());
    }
    let host_bits = u32::MAX >> prefix;
    if network.to_bits() & host_bits != 0 {
        let right = Ipv4Addr::from_bits(network.to_bits() & !host_bits);
        return Err(format!("CIDR needs to be a network address like {right}/{prefix}, not like {text}"));
    }
    let at = |offset: u32| Ipv4Addr::from_bits(network.to_bits() + offset);
    Ok(Subnet { address: at(100), prefix: prefix as u8, gateway: at(2), dns: Some(at(3)) })
}

/// The subnet's address, that of DHCP's first lease and its last.
pub(super) fn leases(subnet: &Subnet<Ipv4Addr>) -> (Ipv4Addr, Ipv4Addr, Ipv4Addr) {
    let network = subnet.address.to_bits() & !(u32::MAX >> subnet.prefix);
    let at = |offset: u32| Ipv4Addr::from_bits(network + offset);
    (at(0), at(15), at(30))
}

/// The container's Ethernet address.
pub(super) fn mac(text: &OsStr) -> Result<MacAddr, String> {
    let text = text.to_string_lossy();
    value::mac(&text).map_err(|_| {
        format!(
            "\"{text}\" is an invalid MAC address.\nmacaddress has to be a valid MAC address (hex string, 6 bytes, each byte \
             separated by a ':')."
        )
    })
}

/// An address, or the first one of an interface.
pub(super) fn outbound4(text: &OsStr) -> Result<Ipv4Addr, String> {
    let text = text.to_string_lossy();
    let of_interface = || own_addresses(&text).find_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None });
    let wrong = || "outbound-addr has to be valid ipv4 address or interface name.".to_owned();
    text.parse().ok().or_else(of_interface).ok_or_else(wrong)
}

/// The same for IPv6; an address of the link alone leads nowhere.
pub(super) fn outbound6(text: &OsStr) -> Result<Ipv6Addr, String> {
    let text = text.to_string_lossy();
    let global = |ip| match ip {
        IpAddr::V6(ip) if !ip.is_unicast_link_local() => Some(ip),
        _ => None,
    };
    let wrong = || "outbound-addr6 has to be valid ipv6 address or interface name.".to_owned();
    text.parse().ok().or_else(|| own_addresses(&text).find_map(global)).ok_or_else(wrong)
}

fn own_addresses(interface: &str) -> impl Iterator<Item = IpAddr> {
    let all = getifaddrs().into_iter().flatten().filter(move |own| own.interface_name == interface);
    all.filter_map(|own| {
        let address = own.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    })
}

/// A path that must be there.
pub(super) fn existing(text: &OsStr, wrong: impl Fn(&std::io::Error) -> String) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match path.metadata() {
        Ok(_) => Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        Err(error) => Err(wrong(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets() {
        let subnet = cidr("10.9.0.0/16".as_ref()).unwrap();
        assert_eq!(subnet.address, Ipv4Addr::new(10, 9, 0, 100));
        assert_eq!((subnet.gateway, subnet.dns), (Ipv4Addr::new(10, 9, 0, 2), Some(Ipv4Addr::new(10, 9, 0, 3))));
        let at = |last| Ipv4Addr::new(10, 9, 0, last);
        assert_eq!(leases(&subnet), (at(0), at(15), at(30)));
        for (wrong, said) in [
            ("x", "invalid CIDR: x"),
            ("10.0.2.0", "invalid CIDR: 10.0.2.0"),
            ("10.0.2.0/24/", "invalid CIDR: 10.0.2.0/24/"),
            ("10.0.2.0/+24", "invalid CIDR: 10.0.2.0/+24"),
            ("10.0.2.0/26", "prefix length needs to be 1-25"),
            ("10.0.2.100/0", "prefix length needs to be 1-25"),
            ("10.0.2.100/24", "CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24"),
        ] {
            assert_eq!(cidr(wrong.as_ref()).unwrap_err(), said);
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(mtu("65521".as_ref()), Ok(65521));
        assert_eq!(mtu("1".as_ref()), Ok(68));
        for wrong in ["0", "65522", "x", "", "-1"] {
            assert_eq!(mtu(wrong.as_ref()).unwrap_err(), "MTU must be a positive integer (< 65522)");
        }
        assert_eq!(descriptor("exit-fd", "-1".as_ref()).unwrap_err(), "exit-fd must be a non-negative integer");
    }

    #[test]
    fn outbound_addresses_may_be_interfaces() {
        assert_eq!(outbound4("192.0.2.1".as_ref()), Ok(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(outbound4("lo".as_ref()), Ok(Ipv4Addr::LOCALHOST));
        assert!(outbound4("x".as_ref()).is_err() && outbound6("192.0.2.1".as_ref()).is_err());
    }
}
