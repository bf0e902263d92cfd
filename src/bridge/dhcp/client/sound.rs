//! What is looked at before a DHCPv6 message is decoded: the decoder counts on options that are at least as long as their fixed part.

/// How deep options may be nested: an address within an association, and what is said of it.
const DEPTH_MAX: u8 = 4;

/// Message type and transaction (RFC 8415 section 8).
const HEADER: usize = 4;

/// Whether all options of a message are long enough for what they are.
pub fn is_sound(message: &[u8]) -> bool {
    message.get(HEADER..).is_some_and(|options| are_sound(options, DEPTH_MAX))
}

fn are_sound(mut options: &[u8], depth: u8) -> bool {
    while let Some((&[code_high, code_low, len_high, len_low], rest)) = options.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let Some((data, next)) = rest.split_at_checked(len) else { return false };
        let (fixed, nests) = fixed_part(u16::from_be_bytes([code_high, code_low]));
        let Some(nested) = data.get(fixed..) else { return false };
        if nests && (depth == 0 || !are_sound(nested, depth - 1)) {
            return false;
        }
        options = next;
    }
    options.is_empty()
}

/// Bytes that an option has at least, and whether options follow them in it (RFC 8415 section 21).
fn fixed_part(code: u16) -> (usize, bool) {
    match code {
        3 | 25 => (12, true),
        4 => (4, true),
        5 => (24, true),
        26 => (25, true),
        17 => (4, true),
        13 => (2, false),
        11 => (11, false),
        16 => (4, false),
        _ => (0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_options_are_seen_wherever_they_are() {
        let header = [7, 1, 2, 3];
        let message = |options: &[u8]| is_sound(&[&header, options].concat());
        assert!(message(&[]) && message(&[0, 1, 0, 1, 9]) && message(&[0, 17, 0, 4, 0, 0, 0, 9]));
        assert!(
            !message(&[0, 17, 0, 3, 0, 0, 9])
                && !message(&[0, 13, 0, 1, 9])
                && !message(&[0, 16, 0, 0])
                && !message(&[0, 1, 0, 2, 9])
        );
        let association = |inner: &[u8]| [&[0, 3, 0, 12 + inner.len() as u8][..], &[0; 12], inner].concat();
        assert!(message(&association(&[0, 1, 0, 0])));
        assert!(!message(&association(&[0, 17, 0, 1, 9])));
        assert!(!is_sound(&[7, 1, 2]));
        let deep = (0..9).fold(Vec::new(), |inner: Vec<u8>, _| association(&inner));
        assert!(!message(&deep), "nested without end");
    }
}
