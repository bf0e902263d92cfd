//! The privileged backend, called as netavark is: `rnet netavark setup …`, with real traffic through what it makes. Root only.

mod ends;
mod faults;
mod firewall;
mod names;
mod plugins;
mod podman;
mod room;
mod traffic;
mod vlan;
