//! The subnet of one address family: what was given, completed with defaults, checked against itself.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::config::Subnet;

use super::faults::Faults;
use super::low::Low;

/// An address family, and the names of its options.
pub(super) trait Family: Copy + Eq + Display + FromStr {
    /// Bits of an address.
    const BITS: u32;
    /// For people.
    const NAME: &'static str;
    /// The option of the subnet and its default.
    const CIDR: (&'static str, &'static str);
    /// The options of the container's, the gateway's and the DNS address, with their default offsets in the subnet.
    const ADDRESSES: [(&'static str, u128); 3];
    /// The address as a number.
    fn bits(self) -> u128;
    /// The number as an address.
    fn of(bits: u128) -> Self;
    /// Whether hosts can have it.
    fn is_host(self) -> bool;
}

impl Family for Ipv4Addr {
    const BITS: u32 = 32;
    const NAME: &'static str = "IPv4";
    const CIDR: (&'static str, &'static str) = ("cidr", "10.0.2.0/24");
    const ADDRESSES: [(&'static str, u128); 3] = [("address", 100), ("gateway", 2), ("dns-address", 3)];

    fn bits(self) -> u128 {
        self.to_bits().into()
    }

    fn of(bits: u128) -> Self {
        Ipv4Addr::from_bits(bits as u32)
    }

    fn is_host(self) -> bool {
        !(self.is_unspecified()
            || self.is_loopback()
            || self.is_multicast()
            || self.octets()[0] == 0
            || self.octets()[0] >= 240)
    }
}

impl Family for Ipv6Addr {
    const BITS: u32 = 128;
    const NAME: &'static str = "IPv6";
    const CIDR: (&'static str, &'static str) = ("cidr6", "fd00::/64");
    const ADDRESSES: [(&'static str, u128); 3] = [("address6", 0x100), ("gateway6", 2), ("dns-address6", 3)];

    fn bits(self) -> u128 {
        self.to_bits()
    }

    fn of(bits: u128) -> Self {
        Ipv6Addr::from_bits(bits)
    }

    fn is_host(self) -> bool {
        let mapped = self.to_ipv4_mapped().is_some();
        !(self.is_unspecified() || self.is_loopback() || self.is_multicast() || self.is_unicast_link_local() || mapped)
    }
}

/// The subnet of a family, from its four options.
pub(super) fn subnet<A: Family>(low: &Low, faults: &mut Faults) -> Option<Subnet<A>> {
    let (cidr_option, cidr_default) = A::CIDR;
    let given = low.get(cidr_option).is_some();
    let (network, prefix) = match low.parse(cidr_option, faults, cidr::<A>) {
        Some(cidr) => cidr,
        None => cidr::<A>(cidr_default).ok()?,
    };
    let mut addresses = [network; 3];
    let mut sound = true;
    for (slot, (option, offset)) in addresses.iter_mut().zip(A::ADDRESSES) {
        let default = A::of(network.bits() + offset);
        match low.get(option) {
            Some(_) => match low.parse(option, faults, |text| address_in(text, network, prefix)) {
                Some(address) => *slot = address,
                None => sound = false,
            },
            None if is_usable(default, network, prefix) => *slot = default,
            None if given => {
                let place = low.get(cidr_option).map_or_else(String::new, |given| given.place());
                faults.push(place, format!("has no room for the default {default}: give --{option} too"));
                sound = false;
            }
            None => sound = false,
        }
    }
    let [address, gateway, dns] = addresses;
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        if sound && addresses[a] == addresses[b] {
            let place = [b, a].map(|at| low.get(A::ADDRESSES[at].0)).into_iter().flatten().next();
            let place = place.map_or_else(|| A::NAME.to_owned(), |given| given.place());
            let [name_a, name_b] = [a, b].map(|at| A::ADDRESSES[at].0);
            faults.push(place, format!("{name_a} and {name_b} must differ, both are {}", addresses[a]));
        }
    }
    sound.then_some(Subnet { address, prefix, gateway, dns: Some(dns) })
}

/// `ADDRESS/PREFIX` without host bits.
fn cidr<A: Family>(text: &str) -> Result<(A, u8), String> {
    let wrong = || format!("must be an {} subnet such as {}", A::NAME, A::CIDR.1);
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let address: A = address.parse().map_err(|_| wrong())?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
    if !(1..=A::BITS - 2).contains(&u32::from(prefix)) {
        return Err(format!("the prefix length must be 1 to {}", A::BITS - 2));
    }
    let network = A::of(address.bits() & !host_mask::<A>(prefix));
    if network != address {
        return Err(format!("has bits set after the prefix; is {network}/{prefix} meant?"));
    }
    if !A::of(network.bits() + 1).is_host() {
        return Err("is not a subnet of unicast addresses".into());
    }
    Ok((network, prefix))
}

fn address_in<A: Family>(text: &str, network: A, prefix: u8) -> Result<A, String> {
    let address: A = text.parse().map_err(|_| format!("must be an {} address", A::NAME))?;
    if is_usable(address, network, prefix) {
        Ok(address)
    } else {
        Err(format!("is not a host address in {network}/{prefix}"))
    }
}

/// Whether a host in the subnet can have the address: neither the network's own nor the broadcast address.
fn is_usable<A: Family>(address: A, network: A, prefix: u8) -> bool {
    let mask = host_mask::<A>(prefix);
    let host = address.bits() & mask;
    address.bits() & !mask == network.bits() && host != 0 && host != mask && address.is_host()
}

fn host_mask<A: Family>(prefix: u8) -> u128 {
    (1u128 << (A::BITS - u32::from(prefix))) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets() {
        assert_eq!(cidr("10.0.2.0/24"), Ok((Ipv4Addr::new(10, 0, 2, 0), 24)));
        assert_eq!(cidr("fd00::/64"), Ok(("fd00::".parse::<Ipv6Addr>().unwrap(), 64)));
        assert!(cidr::<Ipv4Addr>("10.0.2.5/24").unwrap_err().contains("10.0.2.0/24"));
        for wrong in
            ["", "10.0.2.0", "10.0.2.0/0", "10.0.2.0/31", "10.0.2.0/99", "127.0.0.0/8", "224.0.0.0/24", "fd00::/64"]
        {
            assert!(cidr::<Ipv4Addr>(wrong).is_err(), "{wrong}");
        }
        for wrong in ["fe80::/64", "ff02::/16", "fd00::/127", "::/8", "10.0.2.0/24"] {
            let wrong_or_unspecified = cidr::<Ipv6Addr>(wrong);
            assert!(wrong_or_unspecified.is_err(), "{wrong}: {wrong_or_unspecified:?}");
        }
    }

    #[test]
    fn defaults_stand_in_the_default_subnets() {
        let mut faults = Faults::default();
        let four: Subnet<Ipv4Addr> = subnet(&Low::default(), &mut faults).unwrap();
        assert_eq!((four.address, four.prefix), (Ipv4Addr::new(10, 0, 2, 100), 24));
        let six: Subnet<Ipv6Addr> = subnet(&Low::default(), &mut faults).unwrap();
        assert_eq!((six.address, six.dns), ("fd00::100".parse().unwrap(), "fd00::3".parse().ok()));
    }

    #[test]
    fn network_and_broadcast_addresses_are_no_hosts() {
        let network = Ipv4Addr::new(10, 0, 2, 0);
        assert!(!is_usable(network, network, 24));
        assert!(!is_usable(Ipv4Addr::new(10, 0, 2, 255), network, 24));
        assert!(!is_usable(Ipv4Addr::new(10, 0, 3, 1), network, 24));
        assert!(is_usable(Ipv4Addr::new(10, 0, 2, 254), network, 24));
    }
}
