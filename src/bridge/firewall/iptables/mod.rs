//! iptables, for hosts whose firewall is made with it: the programs iptables-save and iptables-restore, and for IPv6 their twins.
//! All changes of a family are one call of `iptables-restore --noflush`, which applies each table as a whole.
//!
//! Every rule has a comment that says whose it is. What is there is not understood, only searched for these comments.

mod lines;
mod program;

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use self::lines::Lines;
use self::program::Family;
use super::{ContainerRules, NetworkRules};
use crate::bridge::error::Result;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Adds the rules of a network and those of a container, in the place of what they had.
pub fn setup(network: &NetworkRules, container: &ContainerRules) -> Result<()> {
    apply(&[(network, &[container])], false)
}

/// Makes the rules what they should be.
pub fn reload(networks: &[(NetworkRules, Vec<ContainerRules>)]) -> Result<()> {
    let lists: Vec<Vec<&ContainerRules>> = networks.iter().map(|(_, containers)| containers.iter().collect()).collect();
    let all: Vec<_> = networks.iter().zip(&lists).map(|((network, _), list)| (network, list.as_slice())).collect();
    apply(&all, true)
}

/// Removes the rules of a container, and with the last one (`complete`) those of the network.
pub fn teardown(network: &NetworkRules, container: &ContainerRules, complete: bool) -> Result<()> {
    for family in FAMILIES {
        let present = family.save()?;
        let mut changes = Changes::default();
        let (of, own) = (network_tag(&network.network_id), container_tag(container));
        changes.remove(&present, |line| line.contains(if complete { &of } else { &own }));
        if complete {
            let chains = Lines::chains(network);
            chains.iter().for_each(|chain| changes.drop_chain(&present, "nat", chain));
        }
        family.restore(&changes)?;
    }
    Ok(())
}

fn apply(all: &[(&NetworkRules, &[&ContainerRules])], again: bool) -> Result<()> {
    for family in FAMILIES {
        let v4 = family == Family::V4;
        if !all.iter().any(|(network, _)| network.subnets.iter().any(|subnet| matches!(subnet, IpNet::V4(_)) == v4)) {
            continue;
        }
        let present = family.save()?;
        let mut changes = Changes::default();
        lines::base(&mut changes, &present);
        for (network, containers) in all {
            let of = format!("{}:net", network_tag(&network.network_id));
            if again || !present.any(|line| line.contains(&of)) {
                changes.remove(&present, |line| line.contains(&of));
                Lines::of_network(network, &of, v4).add_to(&mut changes, &present);
            }
            for container in *containers {
                let own = container_tag(container);
                changes.remove(&present, |line| line.contains(&own));
                Lines::of_container(container, &own, v4)?.add_to(&mut changes, &present);
            }
        }
        family.restore(&changes)?;
    }
    Ok(())
}

/// What all rules of a network have in their comments.
fn network_tag(network_id: &str) -> String {
    format!("netavark:{}", short_hash(network_id))
}

fn container_tag(container: &ContainerRules) -> String {
    format!("{}:{}", network_tag(&container.network_id), short_hash(&container.container_id))
}

/// Ids are the caller's words; in a comment, and in a line for a program, stands only their hash.
fn short_hash(id: &str) -> String {
    Sha256::digest(id).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The lines that iptables-save tells of, by table.
pub struct Present(Vec<(String, String)>);

impl Present {
    fn any(&self, test: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(_, line)| test(line))
    }

    fn has_chain(&self, table: &str, chain: &str) -> bool {
        let declared = format!(":{chain} ");
        self.0.iter().any(|(of, line)| of == table && line.starts_with(&declared))
    }
}

/// What iptables-restore is told, by table.
#[derive(Default)]
pub struct Changes {
    tables: Vec<(&'static str, Table)>,
}

#[derive(Default)]
struct Table {
    chains: Vec<String>,
    rules: Vec<String>,
    dropped: Vec<String>,
}

impl Changes {
    fn table(&mut self, name: &str) -> &mut Table {
        let name = if name == "nat" { "nat" } else { "filter" };
        let at = self.tables.iter().position(|(of, _)| *of == name).unwrap_or_else(|| {
            self.tables.push((name, Table::default()));
            self.tables.len() - 1
        });
        &mut self.tables[at].1
    }

    /// A chain, made unless it is there: to declare one that is there would empty it.
    fn chain(&mut self, present: &Present, table: &str, name: &str) {
        let chains = &mut self.table(table).chains;
        if !present.has_chain(table, name) && !chains.iter().any(|chain| chain == name) {
            chains.push(name.into());
        }
    }

    fn rule(&mut self, table: &str, line: String) {
        self.table(table).rules.push(line);
    }

    /// Removes the rules that a test is true of.
    fn remove(&mut self, present: &Present, test: impl Fn(&str) -> bool) {
        for (table, line) in present.0.iter().filter(|(_, line)| test(line)) {
            if let Some(rule) = line.strip_prefix("-A ") {
                self.rule(table, format!("-D {rule}"));
            }
        }
    }

    /// Removes a chain, which nothing leads to any more.
    fn drop_chain(&mut self, present: &Present, table: &str, name: &str) {
        if present.has_chain(table, name) {
            self.table(table).dropped.push(name.into());
        }
    }

    /// In the words of iptables-restore; nothing when there is nothing to be done.
    fn text(&self) -> Option<String> {
        let mut text = String::new();
        for (name, table) in &self.tables {
            if table.chains.is_empty() && table.rules.is_empty() && table.dropped.is_empty() {
                continue;
            }
            let mut lines = vec![format!("*{name}")];
            lines.extend(table.chains.iter().map(|chain| format!(":{chain} - [0:0]")));
            lines.extend(table.rules.iter().cloned());
            lines.extend(table.dropped.iter().flat_map(|chain| [format!("-F {chain}"), format!("-X {chain}")]));
            lines.push("COMMIT\n".into());
            text.push_str(&lines.join("\n"));
        }
        (!text.is_empty()).then_some(text)
    }
}

/// An address with its port, as `--to-destination` has it.
fn socket(address: IpAddr, ports: &str) -> String {
    match (address, ports) {
        (address, "") => address.to_string(),
        (IpAddr::V4(address), ports) => format!("{address}:{ports}"),
        (IpAddr::V6(address), ports) => format!("[{address}]:{ports}"),
    }
}
