//! Domain names in the wire format that DHCP and router advertisements share (RFC 1035 section 3.1, no compression).

/// The search list may not crowd out the rest of a router advertisement of 1280 bytes.
const MAX_LIST_LEN: usize = 1024;

/// The names one after another; an illegal name, or one for which there is no room, is left out.
pub(super) fn encode(names: &[String]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names.iter().filter_map(|name| encode_name(name)) {
        if list.len() + name.len() <= MAX_LIST_LEN {
            list.extend_from_slice(&name);
        }
    }
    list
}

fn encode_name(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?;
        wire.push(len);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    (wire.len() <= 255).then_some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_only() {
        let names = ["dns.podman", "a..b", "", "rnet.internal.", &"x".repeat(64)].map(String::from);
        assert_eq!(encode(&names), b"\x03dns\x06podman\0\x04rnet\x08internal\0");
    }

    #[test]
    fn the_list_is_bounded() {
        let names: Vec<String> = (0..200).map(|at| format!("domain-{at}.example")).collect();
        assert!(encode(&names).len() <= MAX_LIST_LEN);
    }
}
