//! The privileged backend, called as netavark is: `rnet netavark setup …`, with real traffic through what it makes. Root only.

/// Makes each function `name(room: &Room)` a test for each firewall driver, `name::nftables` and `name::iptables`.
macro_rules! each_driver {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::bed::{Bed, User};
            use crate::netavark::room::Room;

            #[test]
            fn nftables() {
                Bed::with(User::Root, |bed| super::$name(&Room::with(bed, "nftables")));
            }
            #[test]
            fn iptables() {
                Bed::with(User::Root, |bed| super::$name(&Room::with(bed, "iptables")));
            }
        }
    )*};
}

mod dhcp;
mod ends;
mod faults;
mod features;
mod firewall;
mod firewalld;
mod names;
mod plugins;
mod podman;
mod room;
mod steps;
mod traffic;
mod vlan;
