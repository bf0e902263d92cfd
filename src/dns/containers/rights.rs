//! What the server may do once it serves: bind ports of networks that come, and read their files. Whoever takes it over by a
//! message is root without root's powers.

use std::io;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

const KEPT: [Capability; 2] = [Capability::CAP_NET_BIND_SERVICE, Capability::CAP_DAC_READ_SEARCH];

/// Gives up everything else.
///
/// # Errors
/// Those of capset(2) and prctl(2).
pub fn give_up() -> io::Result<()> {
    let failed = |error: CapsError| io::Error::other(format!("drop capabilities: {error}"));
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: CapsHashSet = KEPT.into_iter().filter(|capability| held.contains(capability)).collect();
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(failed)?;
    }
    prctl::set_no_new_privs()?;
    Ok(())
}
