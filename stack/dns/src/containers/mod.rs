//! The names of containers on bridge networks: read from the files that netavark writes for its name server, a file for each
//! network, and answered to those who may know them.

mod answer;
mod file;
mod services;
mod table;

pub use file::{Container, Fault, NetworkFile, network_of};
pub use services::Service;
pub use table::{Containers, NetworkId, Servers, Verdict};
