//! What is particular to bridge networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names::is_name;
use super::{Draft, Ipam};
use crate::bridge::driver::VLAN_MAX;
use crate::bridge::driver::options::{NAME_MAX, name_fault, option};

const OPTIONS: [&str; 9] =
    ["mode", "mtu", "isolate", "metric", "no_default_route", "vrf", "vlan", "outbound_addr4", "outbound_addr6"];

impl Draft {
    /// Judges and completes a bridge network.
    pub(super) fn bridge(&mut self, ipam: Ipam) {
        self.docker_names();
        self.bridge_options();
        // A bridge that is shared by networks, or somebody else's, may have the interface and the subnets of others.
        let shared = self.network.option("vlan").is_some()
            || !matches!(self.network.option("mode"), None | Some("managed" | ""));
        if shared {
            self.check_subnets = false;
        }
        self.bridge_name(shared);
        if matches!(ipam, Ipam::Unset | Ipam::HostLocal) {
            self.fill_subnets();
            self.set_ipam("host-local");
        }
    }

    /// Docker's names for two of the options.
    fn docker_names(&mut self) {
        let Some(options) = &mut self.network.options else { return };
        if let Some(mtu) = options.remove("com.docker.network.driver.mtu") {
            options.insert("mtu".into(), mtu);
        }
        if let Some(name) = options.remove("com.docker.network.bridge.name") {
            self.faults.extend(name_fault(&name));
            self.network.network_interface = Some(name);
        }
    }

    fn bridge_options(&mut self) {
        let unknown =
            self.network.options.iter().flatten().map(|(key, _)| key).filter(|key| !OPTIONS.contains(&key.as_str()));
        let mut texts: Vec<String> = unknown.map(|key| format!("unsupported bridge network option: {key}")).collect();
        match self.network.option("mode") {
            None | Some("" | "managed" | "unmanaged") => {}
            Some(mode) => texts.push(format!("invalid bridge mode \"{mode}\"")),
        }
        match self.network.option("isolate") {
            None | Some("strict" | "true" | "false") => {}
            Some(isolate) => texts.push(format!("invalid isolate option \"{isolate}\"")),
        }
        texts.into_iter().for_each(|text| self.fault(text));
        let (network, faults) = (&self.network, &mut self.faults);
        option::<u32>(network, "mtu", faults);
        option::<u32>(network, "metric", faults);
        option::<bool>(network, "no_default_route", faults);
        option::<Ipv4Addr>(network, "outbound_addr4", faults);
        option::<Ipv6Addr>(network, "outbound_addr6", faults);
        if option::<u16>(network, "vlan", faults).is_some_and(|vlan| vlan > VLAN_MAX) {
            self.fault(format!("vlan must be between 0 and {VLAN_MAX}"));
        }
    }

    fn bridge_name(&mut self, shared: bool) {
        match self.network.network_interface.clone().filter(|name| !name.is_empty()) {
            Some(name) => {
                if !shared && self.used.interfaces.contains(&name) {
                    self.fault(format!("bridge name {name} already in use"));
                }
                if name_fault(&name).is_none() && !is_name(&name) {
                    self.fault(format!("bridge name {name} is invalid"));
                }
            }
            None => match self.options.default_interface_name.clone().filter(|prefix| !prefix.is_empty()) {
                None => self.fault("default interface name is not set"),
                Some(prefix) => match self.free_name(&prefix) {
                    Some(name) => self.network.network_interface = Some(name),
                    None => self.fault(format!("could not find a free bridge name that begins with {prefix}")),
                },
            },
        }
    }

    fn free_name(&self, prefix: &str) -> Option<String> {
        let links = self.links.as_deref().unwrap_or_default();
        let taken = |name: &String| {
            links.contains(name) || self.used.interfaces.contains(name) || self.used.names.contains_key(name)
        };
        (1..1_000_000_u32)
            .map(|n| format!("{prefix}{n}"))
            .take_while(|name| name.len() <= NAME_MAX)
            .find(|name| !taken(name))
    }
}
