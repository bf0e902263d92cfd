//! What has to be changed in the table so that it holds what it should. Only the chains that are asked about are read, so the
//! work for one container does not grow with the others.

use std::collections::HashMap;

use super::rule::Rule;
use super::wire::{Found, Hook, Owner, Transaction, Wire};
use crate::bridge::error::Result;

/// The table as it is, read as far as it is needed, and the changes to be made.
pub struct Plan<'w> {
    wire: &'w mut Wire,
    chains: HashMap<String, Vec<Found>>,
    /// What is to be done.
    pub changes: Transaction,
}

impl<'w> Plan<'w> {
    /// Nothing read, nothing to be done.
    pub fn new(wire: &'w mut Wire) -> Plan<'w> {
        Plan { wire, chains: HashMap::new(), changes: Transaction::default() }
    }

    fn present(&mut self, chain: &str) -> Result<&mut Vec<Found>> {
        if !self.chains.contains_key(chain) {
            let rules = self.wire.rules(chain)?;
            self.chains.insert(chain.into(), rules);
        }
        Ok(self.chains.entry(chain.into()).or_default())
    }

    /// Whether there is such a chain.
    pub fn has_chain(&mut self, chain: &str) -> Result<bool> {
        self.wire.has_chain(chain)
    }

    /// There is such a chain. One that is there is not named in the transaction: the kernel would take that for a change, and the
    /// end of the connection would wait until all its readers have seen it.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) -> Result<()> {
        if !self.wire.has_chain(name)? {
            self.changes.table();
            self.changes.chain(name, hook);
        }
        Ok(())
    }

    /// The chain begins with these rules, and has none of them elsewhere.
    pub fn begins_with(&mut self, chain: &str, head: &[Rule]) -> Result<()> {
        let present = self.present(chain)?;
        let ok = present.len() >= head.len() && present.iter().zip(head).all(|(found, rule)| found.rule == *rule);
        if !ok {
            self.remove(chain, |found| head.contains(&found.rule))?;
            head.iter().rev().for_each(|rule| self.changes.insert(chain, rule, None));
        }
        Ok(())
    }

    /// The chain ends with this rule, and does not have it elsewhere.
    pub fn ends_with(&mut self, chain: &str, end: &Rule) -> Result<()> {
        if self.present(chain)?.last().is_none_or(|found| found.rule != *end) {
            self.remove(chain, |found| found.rule == *end)?;
            self.changes.append(chain, end, None);
        }
        Ok(())
    }

    /// The chain holds these rules and no others.
    pub fn holds(&mut self, chain: &str, rules: &[Rule]) -> Result<()> {
        let present = self.present(chain)?;
        let same = present.len() == rules.len() && present.iter().zip(rules).all(|(found, rule)| found.rule == *rule);
        if !same {
            self.changes.flush(chain);
            rules.iter().for_each(|rule| self.changes.append(chain, rule, None));
        }
        Ok(())
    }

    /// The chain has this rule once; a missing one is added at the end, or at the beginning.
    pub fn has(&mut self, chain: &str, rule: &Rule, at_end: bool) -> Result<()> {
        let present = self.present(chain)?;
        let mut equal = present.iter().filter(|found| found.rule == *rule).map(|found| found.handle);
        let first = equal.next();
        let doubles: Vec<u64> = equal.collect();
        self.remove(chain, |found| doubles.contains(&found.handle))?;
        match (first, at_end) {
            (Some(_), _) => {}
            (None, true) => self.changes.append(chain, rule, None),
            (None, false) => self.changes.insert(chain, rule, None),
        }
        Ok(())
    }

    /// Removes the rules of a chain that a test is true of.
    pub fn remove(&mut self, chain: &str, test: impl Fn(&Found) -> bool) -> Result<()> {
        let present = self.present(chain)?;
        let gone: Vec<u64> = present.iter().filter(|found| test(found)).map(|found| found.handle).collect();
        present.retain(|found| !gone.contains(&found.handle));
        gone.into_iter().for_each(|handle| self.changes.delete(chain, handle));
        Ok(())
    }

    /// The rules of `owner` in a chain are these. Rules without an owner that equal one of them come from netavark: one of each
    /// is the container's too.
    pub fn owned(&mut self, chain: &str, owner: &Owner, rules: &[&Rule]) -> Result<()> {
        let present = self.present(chain)?;
        let own: Vec<&Rule> =
            present.iter().filter(|found| found.owner.as_ref() == Some(owner)).map(|found| &found.rule).collect();
        let foreign = |found: &Found| found.owner.is_none() && rules.contains(&&found.rule);
        if own == rules && !present.iter().any(foreign) {
            return Ok(());
        }
        self.disown(chain, owner, rules)?;
        rules.iter().for_each(|rule| self.changes.append(chain, rule, Some(owner)));
        Ok(())
    }

    /// Removes the rules of `owner` from a chain, and for each of `rules` one equal rule that has no owner.
    pub fn disown(&mut self, chain: &str, owner: &Owner, rules: &[&Rule]) -> Result<()> {
        self.remove(chain, |found| found.owner.as_ref() == Some(owner))?;
        for rule in rules {
            let equal = self.present(chain)?.iter().find(|found| found.owner.is_none() && found.rule == **rule);
            if let Some(handle) = equal.map(|found| found.handle) {
                self.remove(chain, |found| found.handle == handle)?;
            }
        }
        Ok(())
    }
}
