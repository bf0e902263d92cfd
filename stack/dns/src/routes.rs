//! Which servers know about which part of the name space.

use std::collections::HashMap;

use crate::name::Name;

/// Domains, each with the number of the group of servers that is asked about it.
#[derive(Clone, Debug, Default)]
pub struct Routes(HashMap<Name, usize>);

impl Routes {
    /// Sends a domain and all below it to a group.
    pub fn add(&mut self, domain: Name, group: usize) {
        self.0.insert(domain, group);
    }

    /// The group for a name in wire format: that of the longest domain that the name is in.
    pub fn group(&self, name: &[u8]) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let name = Name::from_wire(name);
        let mut rest = name.wire();
        loop {
            if let Some(group) = self.0.get(&Name::from_wire(rest)) {
                return Some(*group);
            }
            let (&len, more) = rest.split_first()?;
            rest = more.get(usize::from(len)..).filter(|_| len > 0)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_domain_counts() {
        let mut routes = Routes::default();
        let name = |text| Name::parse(text).unwrap();
        for (domain, group) in [("corp.example", 1), ("lab.corp.example", 2)] {
            routes.add(name(domain), group);
        }
        let group = |text| routes.group(name(text).wire());
        assert_eq!(group("corp.example"), Some(1));
        assert_eq!(group("www.corp.example"), Some(1));
        assert_eq!(group("a.b.lab.corp.example"), Some(2));
        assert_eq!(group("xcorp.example"), None);
        assert_eq!(group("example"), None);
        assert_eq!(routes.group(b"\x03www\x04CORP\x07example\0"), Some(1));
        let mut all = Routes::default();
        all.add(name("."), 9);
        assert_eq!(all.group(name("x").wire()), Some(9));
    }
}
