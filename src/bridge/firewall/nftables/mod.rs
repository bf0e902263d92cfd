//! nftables, spoken over netlink: the table `inet netavark`. Each call is one transaction, made for the generation of the ruleset
//! that was looked at; when somebody changes the ruleset meanwhile it is made anew.

mod chains;
mod expr;
mod network;
mod plan;
mod ports;
mod rule;
mod wire;

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use self::chains::{DNAT, FORWARD, INPUT, ISOLATION, ISOLATION_3, POSTROUTING};
use self::plan::Plan;
use self::rule::Rule;
use self::wire::Owner;
pub use self::wire::Wire;
use super::{ContainerRules, NetworkRules};
use crate::bridge::error::{Error, Result};

/// So often the ruleset may change under a transaction.
const ATTEMPTS: usize = 1000;
const DNS: u16 = 53;

/// Whether the kernel has nf_tables. When it cannot be asked it counts as there: its own error then says more.
pub fn is_there() -> bool {
    Wire::open().and_then(|mut wire| wire.has_generation()).unwrap_or(true)
}

/// Adds the rules of a network, as far as they are missing, and those of a container. `again`: the container may have rules.
pub fn setup(network: &NetworkRules, container: &ContainerRules, again: bool) -> Result<()> {
    transact(|plan| {
        base(plan)?;
        add_network(plan, network)?;
        add_container(plan, container, again)
    })
    .map(drop)
}

/// Removes the rules of a container, and if it was the last one (`complete`) those of the network. The end of the connection waits until
/// the kernel has freed them, so it had better come after something else that takes time.
pub fn teardown(network: &NetworkRules, container: &ContainerRules, complete: bool) -> Result<Wire> {
    transact(|plan| {
        remove_container(plan, container)?;
        if complete { remove_network(plan, network, container) } else { Ok(()) }
    })
}

/// Makes the table hold what it should, whatever it holds.
pub fn reload(networks: &[(NetworkRules, Vec<ContainerRules>)]) -> Result<()> {
    transact(|plan| {
        base(plan)?;
        for (network, containers) in networks {
            add_network(plan, network)?;
            containers.iter().try_for_each(|container| add_container(plan, container, true))?;
        }
        Ok(())
    })
    .map(drop)
}

/// Whether all rules come back as they were when they are written and read again.
#[cfg(any(test, fuzzing))]
pub fn check_encoding(network: &NetworkRules, container: &ContainerRules) {
    use crate::bridge::netlink::attribute::Attributes;
    let mut rules: Vec<Rule> = chains::heads().into_iter().flat_map(|(_, head)| head).collect();
    for &subnet in &network.subnets {
        rules.extend(network::subnet_rules(network, subnet));
        rules.extend(network::shared_rules(network, subnet).into_iter().map(|(_, rule)| rule));
    }
    rules.extend(network::isolation_rules(network).into_iter().map(|(_, rule)| rule));
    rules.extend(ports::port_rules(container).into_iter().flatten().map(|(_, rule)| rule));
    for rule in rules {
        let mut list = Attributes::new();
        rule.0.iter().for_each(|expr| expr.write(&mut list, 1));
        assert_eq!(Rule(expr::Expr::read_all(list.bytes())), rule);
    }
}

fn transact(fill: impl Fn(&mut Plan<'_>) -> Result<()>) -> Result<Wire> {
    let mut wire = Wire::open()?;
    for _ in 0..ATTEMPTS {
        let generation = wire.generation()?;
        let mut plan = Plan::new(&mut wire);
        fill(&mut plan)?;
        let changes = plan.changes;
        if wire.commit(&changes, generation)? {
            return Ok(wire);
        }
    }
    Err(Error::text(format!("nftables error: the ruleset was changed by others in each of {ATTEMPTS} attempts")))
}

fn base(plan: &mut Plan<'_>) -> Result<()> {
    for (name, hook) in chains::all() {
        plan.chain(name, hook)?;
    }
    for (chain, head) in chains::heads() {
        plan.begins_with(chain, &head)?;
    }
    plan.ends_with(ISOLATION_3, &chains::isolation_end())
}

fn add_network(plan: &mut Plan<'_>, network: &NetworkRules) -> Result<()> {
    for &subnet in &network.subnets {
        let chain = network::chain(&network.network_id, subnet);
        plan.chain(&chain, None)?;
        plan.holds(&chain, &network::subnet_rules(network, subnet))?;
        for (chain, rule) in network::shared_rules(network, subnet) {
            plan.has(chain, &rule, true)?;
        }
    }
    let wanted = network::isolation_rules(network);
    for chain in ISOLATION {
        // Those of another isolation, which the network had before.
        let here: Vec<&Rule> = wanted.iter().filter(|(of, _)| *of == chain).map(|(_, rule)| rule).collect();
        plan.remove(chain, |found| found.rule.names(&network.bridge_name) && !here.contains(&&found.rule))?;
        here.into_iter().try_for_each(|rule| plan.has(chain, rule, chain != ISOLATION_3))?;
    }
    Ok(())
}

fn add_container(plan: &mut Plan<'_>, container: &ContainerRules, again: bool) -> Result<()> {
    let dnat_chains = dnat_chains(container);
    if container.port_mappings.is_some() && !container.internal {
        dnat_chains.iter().try_for_each(|chain| plan.chain(chain, None))?;
    }
    let rules = ports::port_rules(container)?;
    let owner = owner(container);
    if again {
        for chain in chains_of(container) {
            let here: Vec<&Rule> = rules.iter().filter(|(of, _)| *of == chain).map(|(_, rule)| rule).collect();
            plan.owned(&chain, &owner, &here)?;
        }
    } else {
        rules.iter().for_each(|(chain, rule)| plan.changes.append(chain, rule, Some(&owner)));
    }
    redirects(container).iter().try_for_each(|(chain, rule)| plan.has(chain, rule, false))
}

fn remove_container(plan: &mut Plan<'_>, container: &ContainerRules) -> Result<()> {
    let rules = ports::port_rules(container)?;
    let owner = owner(container);
    for chain in chains_of(container) {
        let here: Vec<&Rule> = rules.iter().filter(|(of, _)| *of == chain).map(|(_, rule)| rule).collect();
        plan.disown(&chain, &owner, &here)?;
    }
    Ok(())
}

fn remove_network(plan: &mut Plan<'_>, network: &NetworkRules, container: &ContainerRules) -> Result<()> {
    for (chain, rule) in redirects(container) {
        plan.remove(chain, |found| found.rule == rule)?;
    }
    let mut gone = dnat_chains(container);
    for &subnet in &network.subnets {
        for chain in [INPUT, FORWARD, POSTROUTING] {
            plan.remove(chain, |found| found.rule.is_about(subnet))?;
        }
        gone.push(network::chain(&network.network_id, subnet));
        gone.push(network::dnat_chain(&network.network_id, subnet));
    }
    gone.sort();
    gone.dedup();
    // What a killed process has left jumps there still.
    plan.remove(DNAT, |found| found.rule.target().is_some_and(|target| gone.iter().any(|chain| chain == target)))?;
    for chain in ISOLATION {
        plan.remove(chain, |found| found.rule.names(&network.bridge_name))?;
    }
    for chain in gone {
        if plan.has_chain(&chain)? {
            plan.changes.delete_chain(&chain);
        }
    }
    Ok(())
}

/// The chains that a container can have rules in.
fn chains_of(container: &ContainerRules) -> Vec<String> {
    let mut chains = vec![DNAT.to_owned()];
    chains.extend(dnat_chains(container));
    chains
}

fn dnat_chains(container: &ContainerRules) -> Vec<String> {
    container.addresses().map(|(_, subnet)| network::dnat_chain(&container.network_id, subnet)).collect()
}

fn redirects(container: &ContainerRules) -> Vec<(&'static str, Rule)> {
    if container.dns_port == DNS {
        return Vec::new();
    }
    let families = container.addresses().map(|(address, _)| address.is_ipv4()).collect::<Vec<_>>();
    // IPv4 is inserted first, and so ends up below IPv6.
    let mut servers: Vec<IpAddr> = container.dns_server_ips.clone();
    servers.retain(|server| families.contains(&server.is_ipv4()));
    servers.sort_by_key(IpAddr::is_ipv6);
    servers.into_iter().map(|server| network::dns_redirect(server, container.dns_port)).collect()
}

fn owner(container: &ContainerRules) -> Owner {
    let mut hash = Sha256::new();
    for part in [&container.network_id, &container.container_id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut owner = Owner::default();
    owner.copy_from_slice(&hash.finalize()[..16]);
    owner
}
