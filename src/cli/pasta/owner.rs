//! Who the program is: root of the host becomes somebody else.

use nix::unistd::{Gid, Group, Uid, User};

use super::low::Low;
use super::target::Target;

const NOBODY: &str = "nobody";

/// The user and group to become. Only who is root of the whole host has a choice.
pub(super) fn owner(low: &Low, target: &Target, notes: &mut Vec<String>) -> Result<Option<(u32, u32)>, String> {
    let wrong = |text: &str| format!("Invalid --runas option: {text}");
    let given = low.text("runas", wrong)?.map(|text| account(text).ok_or_else(|| wrong(text))).transpose()?;
    if !nix::unistd::geteuid().is_root() || !is_initial_namespace() {
        return Ok(None);
    }
    match (given, target) {
        (Some((0, _)), _) => Ok(None),
        (Some(ids), _) => Ok(Some(ids)),
        // Namespaces that root has made are root's to configure; what carries packets there has no rights anyway.
        (None, Target::Attach(_)) => Ok(None),
        (None, Target::Spawn(_)) => {
            notes.push("Started as root, will change to nobody.".into());
            Ok(Some(account(NOBODY).unwrap_or((65534, 65534))))
        }
    }
}

/// `UID`, `UID:GID`, `LOGIN` or `LOGIN:GROUP`.
fn account(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let (uid, own_group) = match user.parse::<u32>() {
        Ok(uid) => (uid, User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or(uid, |user| user.gid.as_raw())),
        Err(_) => {
            let user = User::from_name(user).ok().flatten()?;
            (user.uid.as_raw(), user.gid.as_raw())
        }
    };
    let gid = match group {
        None => own_group,
        Some(group) => match group.parse::<u32>() {
            Ok(gid) => gid,
            Err(_) => Group::from_name(group).ok().flatten().map(|group| Gid::as_raw(group.gid))?,
        },
    };
    Some((uid, gid))
}

/// Whether this user namespace is the first of the host: its ids are all that there are.
fn is_initial_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}
