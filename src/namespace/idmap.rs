//! Which ids outside stand for which inside, from what /etc/subuid and /etc/subgid allot.

use crate::config::MapUser;

/// The kernel takes no more lines than this in a map (user_namespaces(7)).
const LINES_MAX: usize = 340;

/// A line of a uid_map or gid_map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Ids that a user may have besides the own one: the first, and how many.
pub(super) type Allotted = Vec<(u32, u32)>;

/// The ids that the text of an /etc/subuid or /etc/subgid allots to a user; overlaps are merged, order is kept.
pub(super) fn allotted(text: &str, name: Option<&str>, id: u32) -> Allotted {
    let mut found: Allotted = Vec::new();
    for line in text.lines() {
        let mut fields = line.trim().splitn(3, ':');
        let (Some(owner), Some(first), Some(count)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (Ok(first), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else {
            continue;
        };
        if Some(owner) != name && owner.parse() != Ok(id) {
            continue;
        }
        add(&mut found, first.into(), (u64::from(first) + u64::from(count)).min(u32::MAX.into()), id);
    }
    found
}

/// Adds what of `start..end` is not there yet and is not the user's own id.
fn add(found: &mut Allotted, mut start: u64, end: u64, own: u32) {
    while start < end {
        let taken = found
            .iter()
            .copied()
            .chain([(own, 1)])
            .map(|(first, count)| (u64::from(first), u64::from(first) + u64::from(count)));
        let (mut free_until, mut skip_to) = (end, None);
        for (first, last) in taken {
            if first <= start && start < last {
                skip_to = skip_to.max(Some(last));
            } else if first > start {
                free_until = free_until.min(first);
            }
        }
        match skip_to {
            Some(after) => start = after,
            None => {
                found.push((start as u32, (free_until - start) as u32));
                start = free_until;
            }
        }
    }
}

/// The map of a user who has the given ids.
pub(super) fn map(user: MapUser, own: u32, allotted: &[(u32, u32)]) -> Vec<Range> {
    let own_inside = match user {
        MapUser::Root => 0,
        MapUser::Keep => own,
    };
    let mut ranges = vec![Range { inside: own_inside, outside: own, count: 1 }];
    let mut inside = 0;
    for &(mut outside, mut count) in allotted {
        while count > 0 {
            if inside == own_inside {
                inside += 1;
            }
            let room = if inside < own_inside { own_inside - inside } else { u32::MAX - 1 - inside };
            let taken = count.min(room);
            if taken == 0 || ranges.len() == LINES_MAX {
                return ranges;
            }
            ranges.push(Range { inside, outside, count: taken });
            inside += taken;
            outside += taken;
            count -= taken;
        }
    }
    ranges
}

/// The map that leaves every id as it is, from the text of /proc/self/uid_map or gid_map.
pub(super) fn identity(text: &str) -> Vec<Range> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        let (inside, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some(Range { inside, outside: inside, count })
    };
    text.lines().filter_map(line).collect()
}

/// The text of a map, as the kernel takes it.
pub(super) fn text(ranges: &[Range]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(user: MapUser, own: u32, allotted: &[(u32, u32)]) -> String {
        text(&map(user, own, allotted))
    }

    #[test]
    fn root_is_the_user_and_the_rest_follows() {
        assert_eq!(lines(MapUser::Root, 1000, &[]), "0 1000 1\n");
        let two = [(100000, 65536), (300000, 10)];
        assert_eq!(lines(MapUser::Root, 1000, &two), "0 1000 1\n1 100000 65536\n65537 300000 10\n");
    }

    #[test]
    fn a_kept_id_stands_among_the_others() {
        assert_eq!(lines(MapUser::Keep, 1000, &[]), "1000 1000 1\n");
        let one = [(100000, 65536)];
        assert_eq!(lines(MapUser::Keep, 1000, &one), "1000 1000 1\n0 100000 1000\n1001 101000 64536\n");
        assert_eq!(lines(MapUser::Keep, 1000, &[(100000, 1000)]), "1000 1000 1\n0 100000 1000\n");
    }

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "a:100000:65536\n1000:300000:5\nb:1:2\nbroken\na:x:1\na:400000:0\n";
        assert_eq!(allotted(text, Some("a"), 1000), [(100000, 65536), (300000, 5)]);
        assert_eq!(allotted(text, None, 7), []);
    }

    #[test]
    fn what_is_allotted_twice_is_taken_once() {
        let text = "a:100000:65536\na:165536:65536\na:100000:65536\na:99990:20\na:1:2000\na:4294967290:100\n";
        let expected = [(100000, 65536), (165536, 65536), (99990, 10), (1, 999), (1001, 1000), (4294967290, 5)];
        assert_eq!(allotted(text, Some("a"), 1000), expected);
    }

    #[test]
    fn root_keeps_every_id() {
        let ranges = identity("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(text(&ranges), "0 0 1\n1 1 65536\n");
        assert_eq!(text(&identity("0 0 4294967295\n")), "0 0 4294967295\n");
    }
}
