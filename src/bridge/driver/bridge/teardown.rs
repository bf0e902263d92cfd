//! Taking a container's part in a bridge network away. What is gone already is no error, so that it can be done again.

use nix::errno::Errno;

use super::Bridge;
use crate::bridge::driver::{delete_inside, inside};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::ipam::Source;
use crate::bridge::kernel::Kernel;
use crate::bridge::lock;
use crate::bridge::netlink::{Link, Route};
use crate::bridge::run::Run;

/// The bridge and who is on it.
struct Found {
    bridge: Link,
    own: Option<Link>,
    others: bool,
}

impl Bridge {
    /// Takes away what is there, and goes on when something fails. The container's port is set down first: while it passes anything,
    /// no rule may be missing that keeps the container from what it must not reach. It is deleted last, since that takes long, and
    /// the kernel frees the rules meanwhile.
    pub fn teardown(&self, run: &Run, kernel: &mut Kernel, errors: &mut Vec<Error>) {
        if self.ipam.source == Source::Dhcp {
            self.leasing().release(run, kernel, errors);
        }
        if let Some(container) = kernel.container() {
            inside::delete_routes(container, &self.routes, errors);
        }
        let (found, complete) = match self.find(kernel) {
            Ok(found) => {
                let complete = self.managed && found.as_ref().is_none_or(|found| !found.others);
                (found, complete)
            }
            Err(error) => {
                errors.push(error);
                (None, false)
            }
        };
        if let Some(own) = found.as_ref().and_then(|found| found.own.as_ref()) {
            errors.extend(set_down(&mut kernel.host, own.index).err());
        }
        let rules = self.has_firewall().then(|| self.remove_rules(run, complete));
        let links = found.map_or(Ok(()), |found| self.delete_links(&mut kernel.host, &found, complete));
        errors.extend(links.err());
        // Still there only if the bridge was not.
        let inside = delete_inside(kernel, &self.interface);
        errors.extend(inside.during(|| format!("failed to delete container veth {}", self.interface)).err());
        match rules {
            Some(Ok(_leftover)) => errors.extend(self.forget(run, complete).err()),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
        if complete && let Err(error) = lock::remove(&self.sysctl_file()) {
            errors.push(Error::from(error).during(format!("remove {}", self.sysctl_file().display())));
        }
    }

    /// The bridge, the container's port and whether there are other ports. The port is known by its other end, or by its alias when
    /// the container's namespace is gone without the kernel having cleaned it up yet.
    fn find(&self, kernel: &mut Kernel) -> Result<Option<Found>> {
        let failed = |errno| Error::Netlink(errno).during(format!("failed to get bridge interface {}", self.bridge));
        let bridge = match kernel.host.link(&self.bridge) {
            Ok(link) if link.kind.as_deref() == Some("bridge") => link,
            Ok(_) | Err(Errno::ENODEV) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let inside = kernel.container().and_then(|container| container.route.link(&self.interface).ok());
        let peer = inside.and_then(|link| link.peer);
        let alias = self.alias();
        let is_own = |port: &Link| port.alias.as_deref() == Some(&alias) || Some(port.index) == peer;
        let ports = kernel.host.ports(bridge.index).map_err(failed)?;
        let others = ports.iter().any(|port| !is_own(port));
        Ok(Some(Found { bridge, own: ports.into_iter().find(is_own), others }))
    }

    fn delete_links(&self, host: &mut Route, found: &Found, complete: bool) -> Result<()> {
        let own = found.own.as_ref().map(|port| port.index);
        if !complete {
            return own.map_or(Ok(()), |own| delete(host, own)).during(|| "failed to delete host veth");
        }
        tracing::info!(target: "netavark::network::bridge", "removing bridge {}", self.bridge);
        let bridge = found.bridge.index;
        let deleted = match own {
            // The kernel waits for its readers once for both, instead of twice.
            Some(own) if delete_together(host, &[own, bridge]).is_ok() => Ok(()),
            Some(own) => delete(host, own).and_then(|()| delete(host, bridge)),
            None => delete(host, bridge),
        };
        deleted.during(|| format!("failed to delete bridge {}", self.bridge))
    }
}

fn set_down(host: &mut Route, index: u32) -> Result<()> {
    match host.set_down(index) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno).during("set host veth down")),
    }
}

fn delete(host: &mut Route, index: u32) -> Result<()> {
    match host.delete_link(index) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(Error::Netlink(errno)),
    }
}

/// Puts links into a group that nobody else uses, and deletes that.
fn delete_together(host: &mut Route, links: &[u32]) -> Result<()> {
    /// Groups that people number by hand are small.
    const LARGE: u32 = 1 << 31;
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Error::text(format!("get random bytes: {error}")))?;
    let group = u32::from_ne_bytes(random) | LARGE;
    for &link in links {
        host.set_group(link, group).map_err(Error::Netlink)?;
    }
    host.delete_group(group).map_err(Error::Netlink)
}
