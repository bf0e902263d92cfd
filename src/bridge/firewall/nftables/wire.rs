//! The table over netlink (nfnetlink, subsystem nf_tables): what is in it, and transactions that happen as a whole or not at all.

use nix::errno::Errno;

use super::expr::{AnonymousSet, Expr};
use super::rule::Rule;
use crate::bridge::error::{Error, Result};
use crate::bridge::netlink::attribute::{Attributes, be32, find, text};
use crate::bridge::netlink::{APPEND, Answer, Batch, CREATE, NetlinkSocket, body};

/// The table's name; its family is inet.
pub const TABLE: &str = "netavark";
/// NFPROTO_INET
const INET: u8 = 1;
/// NFNL_SUBSYS_NFTABLES
const NF_TABLES: u16 = 10;
/// NFT_MSG_*
const NEWTABLE: u16 = 0;
const NEWCHAIN: u16 = 3;
const GETCHAIN: u16 = 4;
const DELCHAIN: u16 = 5;
const NEWRULE: u16 = 6;
const GETRULE: u16 = 7;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const GETGEN: u16 = 16;
/// NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_BATCH_GENID
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const BATCH_GENID: u16 = 1;
/// NFTA_RULE_*
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
/// NFT_SET_ANONYMOUS | NFT_SET_CONSTANT, and NFT_SET_MAP
const ANONYMOUS: u32 = 3;
const MAP: u32 = 8;
/// nft's numbers for the data types inet_proto and inet_service.
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
/// nft's note that keys are in network byte order, for its listing.
const BIG_ENDIAN_KEY: [u8; 6] = [0, 4, 2, 0, 0, 0];
/// An attribute ends at 64 KiB: of elements of 28 bytes that many are sent in one.
const ELEMENTS_AT_ONCE: usize = 2000;
/// The type of our note in a rule's user data. nft(8) shows those of type 0, as comments, and passes over the others.
const OWNER: u8 = 0x6e;

/// Whose rule it is; 16 bytes that differ for each container on each network.
pub type Owner = [u8; 16];

/// A rule that is in the table.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its number in the table.
    pub handle: u64,
    /// What it does.
    pub rule: Rule,
    /// The container that it was made for.
    pub owner: Option<Owner>,
}

/// A connection to nf_tables.
pub struct Wire(NetlinkSocket);

impl Wire {
    /// Connects to the caller's network namespace.
    pub fn open() -> Result<Wire> {
        let socket = NetlinkSocket::open(netlink_sys::protocols::NETLINK_NETFILTER);
        socket.map(Wire).map_err(|error| Error::from(error).during("nftables error: open netlink socket"))
    }

    /// The number of the ruleset's present generation.
    pub fn generation(&mut self) -> Result<u32> {
        let answers = self.0.get(kind(GETGEN), &nfgenmsg(0)).map_err(|errno| failed("get the generation", errno))?;
        let generation = answers.first().and_then(|answer| find(answer.body.get(4..)?, 1).and_then(be32));
        generation.ok_or_else(|| failed("get the generation", Errno::EBADMSG))
    }

    /// Whether the kernel knows what a generation is: without nf_tables the subsystem itself is unknown.
    pub fn has_generation(&mut self) -> Result<bool> {
        match self.0.get(kind(GETGEN), &nfgenmsg(0)) {
            Ok(_) => Ok(true),
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(false),
            Err(errno) => Err(failed("get the generation", errno)),
        }
    }

    /// The rules of a chain in order; none when there is no such chain.
    pub fn rules(&mut self, chain: &str) -> Result<Vec<Found>> {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(RULE_CHAIN, chain);
        match self.0.dump(kind(GETRULE), &body(&nfgenmsg(INET), &attributes)) {
            Ok(answers) => Ok(answers.iter().filter_map(|answer| found(answer, chain)).collect()),
            Err(Errno::ENOENT) => Ok(Vec::new()),
            Err(errno) => Err(failed(&format!("get the rules of {chain}"), errno)),
        }
    }

    /// Whether there is a chain of this name.
    pub fn has_chain(&mut self, chain: &str) -> Result<bool> {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(3, chain);
        match self.0.get(kind(GETCHAIN), &body(&nfgenmsg(INET), &attributes)) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(failed(&format!("look for chain {chain}"), errno)),
        }
    }

    /// Applies a transaction to the generation that it was made for. `false`: there is a newer one, and nothing was done.
    pub fn commit(&mut self, transaction: &Transaction, generation: u32) -> Result<bool> {
        if transaction.steps.is_empty() {
            return Ok(true);
        }
        let mut batch = Batch::default();
        let mut begin = Attributes::new();
        begin.be32(BATCH_GENID, generation);
        batch.push(BATCH_BEGIN, 0, false, &body(&batch_header(), &begin));
        for (index, step) in transaction.steps.iter().enumerate() {
            let last = index + 1 == transaction.steps.len();
            batch.push(kind(step.kind), step.flags, last, &body(&nfgenmsg(INET), &step.attributes));
        }
        batch.push(BATCH_END, 0, false, &batch_header());
        let failures = self.0.batch(&batch).map_err(|errno| failed("apply rules", errno))?;
        match failures.first() {
            None => Ok(true),
            Some((0, Errno::ERESTART)) => Ok(false),
            Some((index, errno)) => {
                let step = index.checked_sub(1).and_then(|index| transaction.steps.get(index));
                Err(failed(step.map_or("apply rules", |step| &step.what), *errno))
            }
        }
    }
}

/// Changes that are applied together.
#[derive(Default)]
pub struct Transaction {
    steps: Vec<Step>,
    sets: u32,
}

struct Step {
    kind: u16,
    flags: u16,
    attributes: Attributes,
    what: String,
}

/// Where a chain hooks into the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// `filter` or `nat`
    pub kind: &'static str,
    /// NF_INET_*
    pub number: u32,
    /// Smaller ones come first.
    pub priority: i32,
}

impl Transaction {
    /// Makes the table unless it is there.
    pub fn table(&mut self) {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        self.push(NEWTABLE, CREATE, attributes, "create the table".into());
    }

    /// Makes a chain unless it is there.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(3, name);
        if let Some(hook) = hook {
            attributes.nest(4, |inner| {
                inner.be32(1, hook.number);
                inner.be32(2, hook.priority as u32);
            });
            attributes.string(7, hook.kind);
            // NF_ACCEPT
            attributes.be32(5, 1);
        }
        self.push(NEWCHAIN, CREATE, attributes, format!("create chain {name}"));
    }

    /// Removes a chain that is there, with its rules.
    pub fn delete_chain(&mut self, name: &str) {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(3, name);
        self.push(DELCHAIN, 0, attributes, format!("delete chain {name}"));
    }

    /// Removes all rules of a chain that is there, or is made in this transaction.
    pub fn flush(&mut self, chain: &str) {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(RULE_CHAIN, chain);
        self.push(DELRULE, 0, attributes, format!("flush chain {chain}"));
    }

    /// Removes a rule.
    pub fn delete(&mut self, chain: &str, handle: u64) {
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(RULE_CHAIN, chain);
        attributes.put(RULE_HANDLE, &handle.to_be_bytes());
        self.push(DELRULE, 0, attributes, format!("delete rule {handle} of {chain}"));
    }

    /// Adds a rule at a chain's end.
    pub fn append(&mut self, chain: &str, rule: &Rule, owner: Option<&Owner>) {
        self.rule(chain, rule, owner, APPEND);
    }

    /// Adds a rule at a chain's beginning.
    pub fn insert(&mut self, chain: &str, rule: &Rule, owner: Option<&Owner>) {
        self.rule(chain, rule, owner, 0);
    }

    fn rule(&mut self, chain: &str, rule: &Rule, owner: Option<&Owner>, flags: u16) {
        if let Some(set) = rule.set() {
            self.set(set);
        }
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(RULE_CHAIN, chain);
        attributes.nest(RULE_EXPRESSIONS, |list| rule.0.iter().for_each(|expr| expr.write(list, self.sets)));
        if let Some(owner) = owner {
            let mut note = vec![OWNER, owner.len() as u8];
            note.extend_from_slice(owner);
            attributes.put(RULE_USERDATA, &note);
        }
        self.push(NEWRULE, CREATE | flags, attributes, format!("add a rule to {chain}"));
    }

    fn set(&mut self, set: &AnonymousSet) {
        self.sets += 1;
        let mut attributes = Attributes::new();
        attributes.string(1, TABLE);
        attributes.string(2, set.template());
        let (flags, key, len, count) = match set {
            AnonymousSet::Protocols(protocols) => (ANONYMOUS, TYPE_PROTOCOL, 1, protocols.len()),
            AnonymousSet::Ports(ports) => (ANONYMOUS | MAP, TYPE_PORT, 2, ports.len()),
        };
        attributes.be32(3, flags);
        attributes.be32(4, key);
        attributes.be32(5, len);
        if let AnonymousSet::Ports(_) = set {
            attributes.be32(6, TYPE_PORT);
            attributes.be32(7, 2);
        }
        attributes.be32(10, self.sets);
        attributes.nest(9, |desc| desc.be32(1, count as u32));
        attributes.put(13, &BIG_ENDIAN_KEY);
        self.push(NEWSET, CREATE, attributes, "create a set".into());
        let elements: Vec<(Vec<u8>, Option<[u8; 2]>)> = match set {
            AnonymousSet::Protocols(protocols) => protocols.iter().map(|protocol| (vec![*protocol], None)).collect(),
            AnonymousSet::Ports(ports) => {
                ports.iter().map(|(from, to)| (from.to_be_bytes().to_vec(), Some(to.to_be_bytes()))).collect()
            }
        };
        for some in elements.chunks(ELEMENTS_AT_ONCE) {
            let mut attributes = Attributes::new();
            attributes.string(1, TABLE);
            attributes.string(2, set.template());
            attributes.be32(4, self.sets);
            attributes.nest(3, |list| {
                for (key, data) in some {
                    list.nest(1, |element| {
                        element.nest(1, |inner| inner.put(1, key));
                        if let Some(data) = data {
                            element.nest(2, |inner| inner.put(1, data));
                        }
                    });
                }
            });
            self.push(NEWSETELEM, CREATE, attributes, "fill a set".into());
        }
    }

    fn push(&mut self, kind: u16, flags: u16, attributes: Attributes, what: String) {
        self.steps.push(Step { kind, flags, attributes, what });
    }
}

fn kind(message: u16) -> u16 {
    NF_TABLES << 8 | message
}

/// struct nfgenmsg
fn nfgenmsg(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

fn batch_header() -> [u8; 4] {
    let subsystem = NF_TABLES.to_be_bytes();
    [0, 0, subsystem[0], subsystem[1]]
}

fn found(answer: &Answer, chain: &str) -> Option<Found> {
    let attributes = answer.body.get(4..)?;
    // Old kernels give the rules of all chains.
    if find(attributes, RULE_CHAIN).and_then(text)? != chain || find(attributes, 1).and_then(text)? != TABLE {
        return None;
    }
    let handle = u64::from_be_bytes(find(attributes, RULE_HANDLE)?.try_into().ok()?);
    let rule = Rule(Expr::read_all(find(attributes, RULE_EXPRESSIONS).unwrap_or_default()));
    Some(Found { handle, rule, owner: find(attributes, RULE_USERDATA).and_then(owner) })
}

/// Our note among those in a rule's user data: type, length, value.
fn owner(mut notes: &[u8]) -> Option<Owner> {
    while let [kind, len, rest @ ..] = notes {
        let value = rest.get(..usize::from(*len))?;
        if *kind == OWNER {
            return value.try_into().ok();
        }
        notes = &rest[usize::from(*len)..];
    }
    None
}

fn failed(what: &str, errno: Errno) -> Error {
    Error::Netlink(errno).during(format!("nftables error: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_others_are_passed_over() {
        let mut notes = vec![0, 3, b'a', b'b', 0];
        assert_eq!(owner(&notes), None);
        notes.extend([OWNER, 16]);
        assert_eq!(owner(&notes), None);
        notes.extend([7; 16]);
        assert_eq!(owner(&notes), Some([7; 16]));
    }
}
