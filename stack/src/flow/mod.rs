//! What flows of all protocols share: their names, tables, deadlines and counts.

mod key;
mod mappings;
mod timers;

pub use key::FlowKey;
pub use mappings::{MapError, Mappings};
pub use timers::{Armed, Timers};
