//! The tap device: how it is made. One read or write of its descriptor carries one frame behind a `virtio_net_hdr`.

mod open;

pub use open::{Error, VNET_HEADER_LEN, open};
