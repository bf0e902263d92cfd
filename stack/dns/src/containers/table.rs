//! Who is called what, and who may ask for it. Kept network by network: a network that has changed is put in anew, and the others
//! are not looked at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use slab::Slab;

use super::file::NetworkFile;
use super::services::Service;
use crate::name::Name;
use crate::reply::Reply;

/// A network, as long as it is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(usize);

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This is the answer.
    Answered(Reply),
    /// These are to be asked.
    Forward(Servers),
}

/// Who is to be asked about a name that is no container's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Servers {
    /// Those that the container was given.
    Container(Vec<IpAddr>),
    /// Those of the networks that the container is on.
    Networks(Vec<IpAddr>),
    /// The host's.
    Host,
}

/// All networks with their containers.
#[derive(Debug, Default)]
pub struct Containers {
    /// The domain in which all names are too.
    pub(super) search: Option<Name>,
    networks: Slab<Network>,
    by_name: HashMap<Box<str>, NetworkId>,
    by_address: HashMap<IpAddr, Vec<Member>>,
    /// The lines of a container by its id.
    by_id: HashMap<Rc<str>, Vec<Member>>,
}

/// A container's line: the network and the number of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    network: NetworkId,
    line: usize,
}

#[derive(Debug)]
struct Network {
    name: Box<str>,
    is_internal: bool,
    file: NetworkFile,
    names: HashMap<Name, Known>,
    services: HashMap<Name, Vec<Service>>,
}

/// What a name means on one network, nothing twice.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) v4: Vec<Ipv4Addr>,
    pub(super) v6: Vec<Ipv6Addr>,
}

/// Who asks, as far as answers depend on it.
pub(super) struct Requester {
    /// The container's lines; none for somebody who is no container.
    pub(super) lines: Vec<Member>,
    /// The networks whose names it may know, that where it asked first.
    pub(super) networks: Vec<NetworkId>,
}

impl Containers {
    /// An empty table. `search` is the domain that every name is also in, and that nobody outside knows anything about.
    pub fn new(search: Option<Name>) -> Containers {
        Containers { search, ..Containers::default() }
    }

    /// Puts a network in, in the place of one of the same name; its identity stays.
    pub fn set(&mut self, name: &str, is_internal: bool, file: NetworkFile) -> NetworkId {
        let mut network =
            Network { name: name.into(), is_internal, names: names(&file), file, services: HashMap::new() };
        let id = match self.by_name.get(name) {
            Some(&id) => {
                self.forget(id);
                if let Some(place) = self.networks.get_mut(id.0) {
                    network.services = std::mem::take(&mut place.services);
                    *place = network;
                }
                id
            }
            None => {
                let id = NetworkId(self.networks.insert(network));
                self.by_name.insert(name.into(), id);
                id
            }
        };
        let Some(network) = self.networks.get(id.0) else { return id };
        for (line, container) in network.file.containers.iter().enumerate() {
            let member = Member { network: id, line };
            for address in &container.addresses {
                add(&mut self.by_address, *address, member);
            }
            add(&mut self.by_id, Rc::clone(&container.id), member);
        }
        id
    }

    /// Says which services the containers of a network have, by the name that they are asked for.
    pub fn set_services(&mut self, id: NetworkId, services: HashMap<Name, Vec<Service>>) {
        if let Some(network) = self.networks.get_mut(id.0) {
            network.services = services;
        }
    }

    /// Takes a network out.
    pub fn remove(&mut self, name: &str) {
        if let Some(id) = self.by_name.remove(name) {
            self.forget(id);
            self.networks.try_remove(id.0);
        }
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.networks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// The network of this name.
    pub fn network(&self, name: &str) -> Option<NetworkId> {
        self.by_name.get(name).copied()
    }

    /// The containers of a network.
    pub fn containers(&self, id: NetworkId) -> &[super::Container] {
        self.networks.get(id.0).map_or(&[], |network| &network.file.containers)
    }

    /// Where queries of a network come to.
    pub fn listens(&self, id: NetworkId) -> &[IpAddr] {
        self.networks.get(id.0).map_or(&[], |network| &network.file.bind)
    }

    #[cfg(test)]
    pub(super) fn by_parts_is_empty(&self) -> bool {
        self.by_name.is_empty() && self.by_address.is_empty() && self.by_id.is_empty()
    }

    /// Lets go of what leads to a network's containers.
    fn forget(&mut self, id: NetworkId) {
        let Some(network) = self.networks.get(id.0) else { return };
        fn drop_from<K: Hash + Eq>(map: &mut HashMap<K, Vec<Member>>, key: K, id: NetworkId) {
            if let Entry::Occupied(mut entry) = map.entry(key) {
                entry.get_mut().retain(|member| member.network != id);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
        for container in &network.file.containers {
            for address in &container.addresses {
                drop_from(&mut self.by_address, *address, id);
            }
            drop_from(&mut self.by_id, Rc::clone(&container.id), id);
        }
    }

    /// Who asks at a network's listener from this address. The same address may be had on several networks, so what the
    /// listener's network says of it counts first.
    pub(super) fn requester(&self, listener: NetworkId, address: IpAddr) -> Requester {
        let members = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        let is_here = members.iter().any(|member| member.network == listener);
        let mut requester = Requester { lines: Vec::new(), networks: Vec::new() };
        for member in members.iter().filter(|member| !is_here || member.network == listener) {
            let id = self.line(*member).map(|container| &container.id);
            let lines = id.and_then(|id| self.by_id.get(&**id)).map_or(&[][..], Vec::as_slice);
            for line in lines {
                if !requester.lines.contains(line) {
                    requester.lines.push(*line);
                }
                if !requester.networks.contains(&line.network) {
                    requester.networks.push(line.network);
                }
            }
        }
        if requester.networks.is_empty() {
            requester.networks.push(listener);
        }
        if let Some(at) = requester.networks.iter().position(|network| *network == listener) {
            requester.networks.swap(0, at);
        }
        requester
    }

    fn line(&self, member: Member) -> Option<&super::Container> {
        self.networks.get(member.network.0)?.file.containers.get(member.line)
    }

    /// What a name, without the search domain, means to a requester on each of its networks.
    pub(super) fn known<'a>(&'a self, requester: &'a Requester, name: &'a [u8]) -> impl Iterator<Item = &'a Known> {
        requester.networks.iter().filter_map(move |id| self.networks.get(id.0)?.names.get(name))
    }

    /// The services of a name that a requester may know.
    pub(super) fn services<'a>(
        &'a self,
        requester: &'a Requester,
        name: &'a [u8],
    ) -> impl Iterator<Item = &'a [Service]> {
        requester.networks.iter().filter_map(move |id| Some(self.networks.get(id.0)?.services.get(name)?.as_slice()))
    }

    /// The names of an address, on the first of the requester's networks that has it.
    pub(super) fn names(&self, requester: &Requester, address: IpAddr) -> Option<Vec<&Name>> {
        let members = self.by_address.get(&address)?;
        let network = requester.networks.iter().find(|id| members.iter().any(|member| member.network == **id))?;
        let mut names = Vec::new();
        for member in members.iter().filter(|member| member.network == *network) {
            names.extend(self.line(*member).into_iter().flat_map(|container| &container.names));
        }
        unique(&mut names);
        Some(names)
    }

    /// Whether a requester may know nothing of the world outside: one that is on internal networks only, and, since anybody can
    /// give itself an address, one that asks at an internal network that it is not known on.
    pub(super) fn is_confined(&self, requester: &Requester, listener: NetworkId) -> bool {
        let is_internal = |id: &NetworkId| self.networks.get(id.0).is_none_or(|network| network.is_internal);
        let is_stranger = !requester.lines.iter().any(|line| line.network == listener);
        requester.networks.iter().all(is_internal) || (is_stranger && is_internal(&listener))
    }

    /// Who is asked for a requester.
    pub(super) fn servers(&self, requester: &Requester) -> Servers {
        let open = |id: NetworkId| self.networks.get(id.0).filter(|network| !network.is_internal);
        let mut servers: Vec<IpAddr> = Vec::new();
        let mut add = |more: &[IpAddr]| {
            for server in more {
                if !servers.contains(server) {
                    servers.push(*server);
                }
            }
        };
        for member in requester.lines.iter().filter(|member| open(member.network).is_some()) {
            add(self.line(*member).map_or(&[][..], |container| &container.servers));
        }
        if !servers.is_empty() {
            return Servers::Container(servers);
        }
        let mut add = |more: &[IpAddr]| {
            for server in more {
                if !servers.contains(server) {
                    servers.push(*server);
                }
            }
        };
        let mut networks: Vec<&Network> = requester.networks.iter().filter_map(|id| open(*id)).collect();
        // However it asks, it asks the same servers in the same order.
        networks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        networks.iter().for_each(|network| add(&network.file.servers));
        if servers.is_empty() { Servers::Host } else { Servers::Networks(servers) }
    }
}

/// Notes where a container is found. Nearly all are found in one place, so there is no room for more.
fn add<K: Hash + Eq>(to: &mut HashMap<K, Vec<Member>>, key: K, member: Member) {
    match to.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(vec![member]);
        }
        Entry::Occupied(entry) => {
            let members = entry.into_mut();
            if !members.contains(&member) {
                members.push(member);
            }
        }
    }
}

/// The addresses of each name in a file.
fn names(file: &NetworkFile) -> HashMap<Name, Known> {
    let mut names: HashMap<Name, Known> = HashMap::new();
    for container in &file.containers {
        for name in &container.names {
            let known = names.entry(name.clone()).or_default();
            for address in &container.addresses {
                match address {
                    IpAddr::V4(address) => known.v4.push(*address),
                    IpAddr::V6(address) => known.v6.push(*address),
                }
            }
        }
    }
    for known in names.values_mut() {
        unique(&mut known.v4);
        unique(&mut known.v6);
    }
    names.shrink_to_fit();
    names
}

/// Takes out what stands there already.
pub(super) fn unique<T: Copy + Eq + std::hash::Hash>(values: &mut Vec<T>) {
    if values.len() > 1 {
        let mut seen = std::collections::HashSet::with_capacity(values.len());
        values.retain(|value| seen.insert(*value));
    }
    values.shrink_to_fit();
}
