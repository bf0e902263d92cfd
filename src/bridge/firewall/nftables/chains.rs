//! The chains of the table, and the rules that are there whatever the networks are.

use super::expr::Verdict;
use super::rule::{ESTABLISHED_RELATED, INVALID, Rule};
use super::wire::Hook;
use ipnet::IpNet;

pub const INPUT: &str = "INPUT";
pub const FORWARD: &str = "FORWARD";
pub const POSTROUTING: &str = "POSTROUTING";
pub const PREROUTING: &str = "PREROUTING";
pub const OUTPUT: &str = "OUTPUT";
pub const DNAT: &str = "NETAVARK-HOSTPORT-DNAT";
pub const SETMARK: &str = "NETAVARK-HOSTPORT-SETMARK";
pub const ISOLATION_1: &str = "NETAVARK-ISOLATION-1";
pub const ISOLATION_2: &str = "NETAVARK-ISOLATION-2";
pub const ISOLATION_3: &str = "NETAVARK-ISOLATION-3";
/// The chains in which rules name a bridge.
pub const ISOLATION: [&str; 3] = [ISOLATION_1, ISOLATION_2, ISOLATION_3];

/// Packets to be masqueraded, because they came back to where they came from.
pub const MASQUERADE_MARK: u32 = 0x2000;
/// Connections to a published port.
pub const PUBLISHED_MARK: u32 = 0x1000;

/// NF_INET_*, and the priorities that nft(8) calls filter, srcnat and dstnat.
const HOOKS: [(&str, Hook); 5] = [
    (INPUT, Hook { kind: "filter", number: 1, priority: 0 }),
    (FORWARD, Hook { kind: "filter", number: 2, priority: 0 }),
    (POSTROUTING, Hook { kind: "nat", number: 4, priority: 100 }),
    (PREROUTING, Hook { kind: "nat", number: 0, priority: -100 }),
    (OUTPUT, Hook { kind: "nat", number: 3, priority: -100 }),
];

/// Every chain that is always there, in the order in which `nft list` shows them.
pub fn all() -> impl Iterator<Item = (&'static str, Option<Hook>)> {
    let plain = [DNAT, SETMARK, ISOLATION_1, ISOLATION_2, ISOLATION_3];
    HOOKS.into_iter().map(|(name, hook)| (name, Some(hook))).chain(plain.map(|name| (name, None)))
}

/// The rules that chains begin with.
pub fn heads() -> Vec<(&'static str, Vec<Rule>)> {
    let to_published = || vec![Rule::new().addressed_locally().jump(DNAT)];
    vec![
        (
            FORWARD,
            vec![
                Rule::new().ct_state(INVALID).verdict(Verdict::Drop),
                Rule::new().ct_mark(PUBLISHED_MARK).verdict(Verdict::Accept),
                Rule::new().jump(ISOLATION_1),
            ],
        ),
        (POSTROUTING, vec![Rule::new().mark(MASQUERADE_MARK).masquerade()]),
        (PREROUTING, to_published()),
        (OUTPUT, to_published()),
        (SETMARK, vec![Rule::new().set_mark(MASQUERADE_MARK)]),
    ]
}

/// The rule that ISOLATION-3 ends with.
pub fn isolation_end() -> Rule {
    Rule::new().jump(ISOLATION_2)
}

/// Answers that are let through to a subnet.
pub fn answers_to(subnet: IpNet) -> Rule {
    use super::rule::Side::Destination;
    Rule::new().address(Destination, subnet).ct_state(ESTABLISHED_RELATED).verdict(Verdict::Accept)
}
