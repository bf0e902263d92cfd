//! The bridge and the veth pair.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::Bridge;
use crate::bridge::driver::delete_inside;
use crate::bridge::driver::inside::add_address;
use crate::bridge::error::{During, Error, Result};
use crate::bridge::kernel::Kernel;
use crate::bridge::lock;
use crate::bridge::netlink::{self, Change, Link, MAIN_TABLE};
use crate::bridge::run::Run;
use crate::bridge::sysctl::Sysctl;
use crate::bridge::undo::Undo;

/// sd_booted(3)
const SYSTEMD: &str = "/run/systemd/system";

/// The bridge as it was found or made.
pub struct Ready {
    /// The bridge.
    pub link: Link,
    /// Whether it was made now.
    pub created: bool,
    /// The MTU of the veth pair.
    pub mtu: Option<u32>,
}

/// Both ends of a veth pair.
pub struct Pair {
    /// The end in the container.
    pub inside: Link,
    /// The number of the end on the host.
    pub host: u32,
}

impl Bridge {
    /// Finds the bridge, or makes it.
    pub fn ensure_bridge(&self, run: &Run, kernel: &mut Kernel, undo: &mut Undo) -> Result<Ready> {
        match kernel.host.link(&self.bridge) {
            Ok(link) => self.found(kernel, link),
            Err(Errno::ENODEV) if self.managed => self.make(run, kernel, undo),
            Err(Errno::ENODEV) => {
                Err(Error::Netlink(Errno::ENODEV)
                    .during("in unmanaged mode, the bridge must already exist on the host"))
            }
            Err(errno) => Err(Error::Netlink(errno).during(format!("get bridge interface {}", self.bridge))),
        }
    }

    fn found(&self, kernel: &mut Kernel, link: Link) -> Result<Ready> {
        match link.kind.as_deref() {
            Some("bridge") => {}
            Some(kind) => {
                let kind = capitalised(kind);
                let bridge = &self.bridge;
                return Err(Error::text(format!("bridge interface {bridge} already exists but is a {kind} interface")));
            }
            None => {
                return Err(Error::text(format!("could not determine namespace link kind for bridge {}", self.bridge)));
            }
        }
        if self.vlan.is_some() {
            let change = Change { vlan_filtering: true, ..Change::default() };
            let switched = kernel.host.change_link(link.index, change);
            switched.map_err(vlan_error).during(|| format!("enable vlan filtering on bridge {}", self.bridge))?;
        }
        Ok(Ready { mtu: self.mtu.or(Some(link.mtu)), link, created: false })
    }

    fn make(&self, run: &Run, kernel: &mut Kernel, undo: &mut Undo) -> Result<Ready> {
        let vrf = self.vrf.as_deref().map(|name| vrf(kernel, name)).transpose()?;
        let sysctls = self.bridge_sysctls();
        if !run.rootless && Path::new(SYSTEMD).is_dir() {
            self.write_sysctl_file(&sysctls, undo)?;
        }
        let table = vrf.as_ref().and_then(|vrf| vrf.table).unwrap_or(MAIN_TABLE);
        let mtu = match self.mtu {
            Some(mtu) => Some(mtu),
            None => kernel.host.default_link(table).ok().flatten().map(|link| link.mtu),
        };
        let message = netlink::bridge(&self.bridge, self.mtu, self.vlan.is_some(), vrf.map(|vrf| vrf.index));
        let created = kernel.host.create_link(&message);
        created
            .map_err(|errno| match (errno, self.vlan) {
                (Errno::EOPNOTSUPP | Errno::EINVAL, Some(_)) => vlan_error(errno),
                _ => Error::Netlink(errno),
            })
            .during(|| format!("create bridge {}", self.bridge))?;
        let name = self.bridge.clone();
        undo.push(format!("create bridge {name}"), move |kernel| delete_named(kernel, &name));
        sysctls.iter().try_for_each(Sysctl::apply)?;
        let link = kernel.host.link(&self.bridge).map_err(Error::Netlink).during(|| "get bridge")?;
        for &gateway in &self.ipam.gateways {
            add_address(&mut kernel.host, link.index, gateway).during(|| "add ip addr to bridge")?;
        }
        let up = Change { up: true, ..Change::default() };
        kernel.host.change_link(link.index, up).map_err(Error::Netlink).during(|| "set bridge up")?;
        Ok(Ready { link, created: true, mtu })
    }

    /// Makes the veth pair. The end on the host is a port of the bridge at once.
    pub fn make_veth(&self, kernel: &mut Kernel, ready: &Ready, undo: &mut Undo) -> Result<Pair> {
        let (host, container) = kernel.both()?;
        let (outside, inside, netns) =
            (self.host_interface.as_deref(), self.interface.as_str(), container.netns.as_fd());
        let message = netlink::veth(outside, ready.link.index, inside, netns, self.mac, ready.mtu);
        host.create_link(&message).map_err(|errno| self.veth_error(errno)).during(|| "create veth pair")?;
        let name = self.interface.clone();
        undo.push(format!("create interface {name} in the container"), move |kernel| delete_inside(kernel, &name));
        let inside = container.route.link(&self.interface).map_err(Error::Netlink).during(|| "get container veth")?;
        let port = inside.peer.ok_or_else(|| Error::text(format!("{} has no other end", self.interface)))?;
        if let Some(vlan) = self.vlan {
            let set = host.set_port_vlan(&netlink::veth_vlan(port, vlan));
            set.map_err(vlan_error).during(|| format!("set vlan {vlan} on the host veth"))?;
        }
        Ok(Pair { inside, host: port })
    }

    fn veth_error(&self, errno: Errno) -> Error {
        let error = Error::Netlink(errno);
        if errno != Errno::EEXIST {
            return error;
        }
        let inside = &self.interface;
        match &self.host_interface {
            None => error.during(format!("interface {inside} already exists on container namespace")),
            Some(outside) => error.during(format!(
                "interface {inside} already exists on container namespace or {outside} exists on host namespace"
            )),
        }
    }

    /// What the host's end of the veth pair is marked with, so that it is found when the container's namespace is gone.
    pub fn alias(&self) -> String {
        format!("netavark {} {}", self.network_id, self.container_id)
    }

    fn bridge_sysctls(&self) -> Vec<Sysctl> {
        let (bridge, v6) = (self.bridge.as_str(), self.ipam.has_ipv6());
        let mut all = Vec::new();
        if self.internal {
            all.push(Sysctl::of("ipv4", bridge, "forwarding", "0"));
            all.extend(v6.then(|| Sysctl::of("ipv6", bridge, "forwarding", "0")));
        } else {
            all.push(Sysctl::new("net/ipv4/ip_forward", "1"));
            all.extend(v6.then(|| Sysctl::of("ipv6", "all", "forwarding", "1")));
            all.push(Sysctl::of("ipv4", bridge, "route_localnet", "1"));
        }
        if v6 {
            all.push(Sysctl::of("ipv6", bridge, "accept_dad", "0"));
            all.push(Sysctl::of("ipv6", bridge, "accept_ra", "0"));
        }
        all.push(Sysctl::of("ipv4", bridge, "rp_filter", "2"));
        all
    }

    /// Where systemd-sysctl finds the bridge's settings, so that `sysctl --system` does not change them.
    pub fn sysctl_file(&self) -> PathBuf {
        format!("/run/sysctl.d/10-netavark-{}.conf", self.bridge).into()
    }

    fn write_sysctl_file(&self, sysctls: &[Sysctl], undo: &mut Undo) -> Result<()> {
        let path = self.sysctl_file();
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/run/sysctl.d")))?;
            let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Of a bridge that is gone.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => fs::File::create(&path)?,
                other => other?,
            };
            writeln!(file, "# autogenerated by netavark")?;
            sysctls.iter().try_for_each(|sysctl| writeln!(file, "{} = {}", sysctl.name, sysctl.value))
        };
        write().during(|| format!("write {}", path.display()))?;
        undo.push(format!("write {}", path.display()), move |_| Ok(lock::remove(&path)?));
        Ok(())
    }
}

fn vrf(kernel: &mut Kernel, name: &str) -> Result<Link> {
    let link = kernel.host.link(name).map_err(Error::Netlink).during(|| "get vrf to set up bridge interface")?;
    match link.kind.as_deref() {
        Some("vrf") => Ok(link),
        kind => {
            let kind = capitalised(kind.unwrap_or("physical"));
            Err(Error::text(format!("vrf {name} already exists but is a {kind} interface")))
        }
    }
}

fn vlan_error(errno: Errno) -> Error {
    let error = Error::Netlink(errno);
    match errno {
        Errno::EOPNOTSUPP | Errno::EINVAL => {
            error.during("the kernel refuses VLANs on bridges (was it built with CONFIG_BRIDGE_VLAN_FILTERING?)")
        }
        _ => error,
    }
}

/// Removes a link of the host; one that is not there is no error.
pub fn delete_named(kernel: &mut Kernel, name: &str) -> Result<()> {
    match kernel.host.link(name).and_then(|link| kernel.host.delete_link(link.index)) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno)),
    }
}

fn capitalised(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
