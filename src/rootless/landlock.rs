//! What the network namespace, which a stack shares with the host, would still let it reach: abstract Unix sockets (landlock(7)).

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope};
use tracing::debug;

/// The newest of the kernel's abilities that is asked for; older kernels do what they can.
const ASKED: ABI = ABI::V6;

/// Forbids all files, signals to others, and the abstract sockets of others. Says in the log what the kernel cannot do.
pub fn confine() {
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ASKED))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(ASKED)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.restrict_self());
    match restricted.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(_) => debug!("the kernel's Landlock is older than 6.12: abstract Unix sockets of the host can be reached"),
        Err(error) => debug!(%error, "no Landlock"),
    }
}
