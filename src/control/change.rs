//! Changes of the forwards: all sockets are opened first, then the stack changes over in one step, or nothing has changed.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::line::Line;
use super::protocol::{Code, Fault, Removal};
use crate::config::{Network, Protocol, Publish};
use crate::rootless::listen::{Error, PublishedPorts, RuleId, ends, make_room};
use crate::rootless::orders::wire::{Answer, Order, RULES_A_PACKET, RULES_MAX, Staged};

/// Sockets in one packet.
const SOCKETS_A_PACKET: usize = 200;

/// How often the rules may change under us.
const TRIES: usize = 5;

/// The rules as they are.
pub(super) struct Rules {
    generation: u64,
    rules: Vec<(u32, Publish)>,
}

impl Rules {
    /// Asks the stack.
    pub(super) async fn ask(line: &mut Line) -> Result<Rules, Fault> {
        'anew: for _ in 0..TRIES {
            let mut whole: Option<Rules> = None;
            loop {
                let from = whole.as_ref().map_or(0, |rules| rules.rules.len());
                let Answer::Rules { generation, rules, more } = line.ask(&Order::Rules { from }).await? else {
                    return Err(nonsense());
                };
                let whole = whole.get_or_insert_with(|| Rules { generation, rules: Vec::new() });
                if whole.generation != generation {
                    continue 'anew;
                }
                for (id, text) in rules {
                    whole.rules.push((id, text.parse().map_err(|_| nonsense())?));
                }
                if !more {
                    return Ok(Rules { generation, rules: std::mem::take(&mut whole.rules) });
                }
                if whole.rules.len() > RULES_MAX {
                    return Err(nonsense());
                }
            }
        }
        Err(changing())
    }

    /// The forwards with their numbers.
    pub(super) fn numbered(&self) -> &[(u32, Publish)] {
        &self.rules
    }

    /// The forwards.
    pub(super) fn forwards(&self) -> impl Iterator<Item = &Publish> {
        self.rules.iter().map(|(_, forward)| forward)
    }
}

/// What is to change.
pub(super) enum Change<'a> {
    /// These are added.
    Add(&'a [Publish]),
    /// These are removed.
    Remove(&'a Removal),
    /// These take the place of all.
    Replace(&'a Removal),
}

/// Makes a change; returns the forwards as they were before.
pub(super) async fn make(line: &mut Line, network: &Network, change: Change<'_>) -> Result<Vec<Publish>, Fault> {
    for _ in 0..TRIES {
        let rules = Rules::ask(line).await?;
        let former = rules.forwards().cloned().collect();
        if commit(line, network, &rules, &change).await? {
            return Ok(former);
        }
    }
    Err(changing())
}

/// What a change comes down to.
struct Step<'a> {
    remove: Vec<&'a (u32, Publish)>,
    add: Vec<&'a Publish>,
    drop_established: bool,
}

/// Tries once; `false` when the rules have changed meanwhile.
async fn commit(line: &mut Line, network: &Network, rules: &Rules, change: &Change<'_>) -> Result<bool, Fault> {
    let step = Step::of(rules, change)?;
    let stays = || rules.rules.iter().filter(|rule| !step.remove.iter().any(|gone| gone.0 == rule.0));
    judge(network, &step.add, stays().map(|(_, rule)| rule))?;
    make_room(network, stays().map(|(_, rule)| rule).chain(step.add.iter().copied()))?;

    let kept: HashSet<(Protocol, SocketAddr)> =
        step.remove.iter().flat_map(|(_, rule)| ends(network, rule).map(|ends| (rule.protocol, ends.at))).collect();
    let ports = match open(network, &step.add, &kept) {
        Err(Error::Port { protocol: Protocol::Udp, source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
            // By the container itself perhaps, which gets its own port of the host's where that is free.
            let datagrams = step.add.iter().filter(|rule| rule.protocol == Protocol::Udp);
            let ports = datagrams.map(|rule| (*rule.host.start(), *rule.host.end())).collect();
            line.ask(&Order::Free { ports }).await?;
            open(network, &step.add, &kept)?
        }
        opened => opened?,
    };
    let done = async {
        stage(line, &step.add, &ports).await?;
        let remove = step.remove.iter().map(|(id, _)| *id).collect();
        let order = Order::Commit { generation: rules.generation, remove, drop_established: step.drop_established };
        match line.ask_with(&order, &[]).await? {
            Answer::Committed { .. } => Ok(true),
            Answer::Refused { changed: true, .. } => Ok(false),
            Answer::Refused { message, .. } => Err(Fault::new(Code::Failed, message)),
            _ => Err(nonsense()),
        }
    };
    let done = done.await;
    if done.is_err() {
        let _ = line.ask(&Order::Discard).await;
    }
    done
}

fn open(network: &Network, add: &[&Publish], kept: &HashSet<(Protocol, SocketAddr)>) -> Result<PublishedPorts, Error> {
    let mut ports = PublishedPorts::default();
    for (rule, number) in add.iter().zip(0..) {
        ports.open_rule(network, rule, RuleId(number), |at| kept.contains(&(rule.protocol, at)))?;
    }
    Ok(ports)
}

impl<'a> Step<'a> {
    fn of(rules: &'a Rules, change: &Change<'a>) -> Result<Step<'a>, Fault> {
        match *change {
            Change::Add(add) => Ok(Step { remove: Vec::new(), add: add.iter().collect(), drop_established: false }),
            Change::Remove(Removal { forwards, drop_established }) => {
                let wanted: HashSet<&Publish> = forwards.iter().collect();
                let remove: Vec<_> = rules.rules.iter().filter(|(_, rule)| wanted.contains(rule)).collect();
                let found: HashSet<&Publish> = remove.iter().map(|(_, rule)| rule).collect();
                let missing: Vec<&Publish> = forwards.iter().filter(|rule| !found.contains(rule)).collect();
                if !missing.is_empty() {
                    return Err(not_found(&missing, rules));
                }
                Ok(Step { remove, add: Vec::new(), drop_established: *drop_established })
            }
            Change::Replace(Removal { forwards, drop_established }) => {
                let wanted: HashSet<&Publish> = forwards.iter().collect();
                let present: HashSet<&Publish> = rules.forwards().collect();
                let remove = rules.rules.iter().filter(|(_, rule)| !wanted.contains(rule)).collect();
                let add = forwards.iter().filter(|rule| !present.contains(rule)).collect();
                Ok(Step { remove, add, drop_established: *drop_established })
            }
        }
    }
}

/// Whether forwards can be added to those that stay; every fault is told.
fn judge<'a>(network: &Network, add: &[&'a Publish], stays: impl Iterator<Item = &'a Publish>) -> Result<(), Fault> {
    let mut there: Vec<&Publish> = stays.collect();
    if there.len() + add.len() > RULES_MAX {
        return Err(Fault::new(Code::Clash, format!("more than {RULES_MAX} forwards: let some be ranges")));
    }
    let mut faults = Vec::new();
    for rule in add {
        if let Some((other, socket)) = there.iter().find_map(|other| other.clash(rule).map(|socket| (other, socket))) {
            faults.push(format!("{rule} claims {socket}/{}, as does {other}", rule.protocol));
        } else if ends(network, rule).next().is_none() {
            faults.push(format!("{rule} is of a family that is switched off in the container"));
        }
        there.push(rule);
        if faults.len() >= 20 {
            break;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::new(Code::Clash, faults.join("; "))) }
}

/// Hands rules and sockets over, each packet acknowledged: the kernel bounds how many descriptors may be underway.
async fn stage(line: &mut Line, add: &[&Publish], ports: &PublishedPorts) -> Result<(), Fault> {
    line.ask(&Order::Discard).await?;
    for rules in add.chunks(RULES_A_PACKET) {
        let rules = rules.iter().map(ToString::to_string).collect();
        line.ask(&Order::Stage { rules, sockets: Vec::new() }).await?;
    }
    for (udp, published) in [(false, &ports.tcp), (true, &ports.udp)] {
        for part in published.chunks(SOCKETS_A_PACKET) {
            let sockets = part.iter().map(|one| Staged { udp, at: one.ends.at, to: one.ends.to, rule: one.rule.0 });
            let order = Order::Stage { rules: Vec::new(), sockets: sockets.collect() };
            let fds: Vec<_> = part.iter().map(|one| one.socket.as_fd()).collect();
            match line.ask_with(&order, &fds).await? {
                Answer::Done => {}
                Answer::Refused { message, .. } => return Err(Fault::new(Code::Failed, message)),
                _ => return Err(nonsense()),
            }
        }
    }
    Ok(())
}

fn not_found(missing: &[&Publish], rules: &Rules) -> Fault {
    let told = missing.iter().take(20).map(|rule| {
        let near = rules.forwards().find(|there| there.clash(rule).is_some());
        let near = near.map_or_else(String::new, |there| format!(" (but {there}, which is removed as a whole)"));
        format!("{rule}{near}")
    });
    Fault::new(Code::NotFound, format!("not published: {}", told.collect::<Vec<_>>().join(", ")))
}

fn nonsense() -> Fault {
    Fault::new(Code::NetworkGone, "the network stack does not make sense")
}

fn changing() -> Fault {
    Fault::new(Code::Failed, "the forwards change all the time: try again")
}
