//! What is particular to macvlan and ipvlan networks.

use super::{Draft, Ipam};
use crate::bridge::driver::options::option;
use crate::bridge::driver::vlan::{ipvlan_mode, macvlan_mode};
use crate::bridge::protocol::Driver;

const OPTIONS: [&str; 5] = ["mode", "mtu", "metric", "no_default_route", "bclim"];

impl Draft {
    /// Judges and completes a macvlan or ipvlan network.
    pub(super) fn vlan(&mut self, ipam: Ipam) {
        let parent = self.network.network_interface.clone().filter(|name| !name.is_empty());
        if let (Some(parent), Some(links)) = (parent, &self.links)
            && !links.contains(&parent)
        {
            self.fault(format!("parent interface {parent} does not exist"));
        }
        self.network.dns_enabled = false;
        self.vlan_options();
        let ipvlan = self.network.driver() == Driver::Ipvlan;
        let ipam = match ipam {
            Ipam::Unset if self.has_subnets() => Ipam::HostLocal,
            Ipam::Unset => Ipam::Dhcp,
            given => given,
        };
        match ipam {
            Ipam::HostLocal => {
                if !self.has_subnets() {
                    let driver = &self.network.driver;
                    self.fault(format!(
                        "{driver} driver needs at least one subnet specified when the host-local ipam driver is set"
                    ));
                }
                self.set_ipam("host-local");
            }
            Ipam::Dhcp => {
                if ipvlan {
                    self.fault("ipam driver dhcp is not supported with ipvlan");
                }
                if self.has_subnets() {
                    self.fault("ipam driver dhcp set but subnets are set");
                }
                self.set_ipam("dhcp");
            }
            Ipam::None | Ipam::Unset => {}
        }
    }

    fn vlan_options(&mut self) {
        let ipvlan = self.network.driver() == Driver::Ipvlan;
        let keys: Vec<String> = self.network.options.iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in keys {
            match key.as_str() {
                "bclim" if ipvlan => self.fault("unsupported ipvlan network option bclim"),
                known if OPTIONS.contains(&known) => {}
                _ => self.fault(format!("unsupported vlan network option: {key}")),
            }
        }
        let (network, faults) = (&self.network, &mut self.faults);
        option::<u32>(network, "mtu", faults);
        option::<u32>(network, "metric", faults);
        option::<bool>(network, "no_default_route", faults);
        if ipvlan {
            ipvlan_mode(network, faults);
        } else {
            macvlan_mode(network, faults);
            option::<i32>(network, "bclim", faults);
        }
    }
}
