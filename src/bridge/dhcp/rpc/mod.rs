//! netavark's protocol between setup and the proxy: gRPC over a Unix socket. Fields from 100 on are ours; others leave them out, and
//! ignore them.

mod call;
mod frame;
mod server;

use serde::{Deserialize, Serialize};

pub use call::Connection;
pub use server::{Handler, serve};

/// The service's name, which paths begin with.
const SERVICE: &str = "/netavark_proxy.NetavarkProxy/";
/// IPv6, as a network's version.
pub const V6: i32 = 1;

/// Which interface wants an address.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize, prost::Message)]
pub struct NetworkConfig {
    /// The interface on the host that leads to the server.
    #[prost(string, tag = "1")]
    pub host_iface: String,
    /// The container's interface.
    #[prost(string, tag = "2")]
    pub container_iface: String,
    /// Its Ethernet address.
    #[prost(string, tag = "3")]
    pub container_mac_addr: String,
    /// The domain that is told when the server knows none.
    #[prost(string, tag = "4")]
    pub domain_name: String,
    /// The container's name, for the server.
    #[prost(string, tag = "5")]
    pub host_name: String,
    /// 0 for IPv4, 1 for IPv6.
    #[prost(int32, tag = "6")]
    pub version: i32,
    /// The path of the container's network namespace.
    #[prost(string, tag = "7")]
    pub ns_path: String,
    /// The container.
    #[prost(string, tag = "8")]
    #[serde(default)]
    pub container_id: String,
    /// The metric of the default route; 0 for the usual one.
    #[prost(uint32, tag = "100")]
    #[serde(default)]
    pub metric: u32,
    /// Whether there is to be no default route.
    #[prost(bool, tag = "101")]
    #[serde(default)]
    pub no_default_route: bool,
    /// Whether the link's MTU is the caller's matter.
    #[prost(bool, tag = "102")]
    #[serde(default)]
    pub keep_mtu: bool,
}

impl NetworkConfig {
    /// Whether it is about IPv6.
    pub fn is_v6(&self) -> bool {
        self.version != 0
    }
}

/// What was granted, in netavark's words.
#[derive(Clone, Deserialize, PartialEq, Serialize, prost::Message)]
pub struct Lease {
    /// After so many seconds the server is asked.
    #[prost(uint32, tag = "1")]
    pub t1: u32,
    /// After so many seconds any server is.
    #[prost(uint32, tag = "2")]
    pub t2: u32,
    /// After so many seconds it ends.
    #[prost(uint32, tag = "3")]
    pub lease_time: u32,
    /// The link's MTU; 0 when the server named none.
    #[prost(uint32, tag = "4")]
    pub mtu: u32,
    /// The domain.
    #[prost(string, tag = "5")]
    pub domain_name: String,
    /// The container's Ethernet address.
    #[prost(string, tag = "6")]
    pub mac_address: String,
    /// Whether it is of DHCPv6.
    #[prost(bool, tag = "10")]
    pub is_v6: bool,
    /// The server.
    #[prost(string, tag = "11")]
    pub siaddr: String,
    /// The container's address.
    #[prost(string, tag = "12")]
    pub yiaddr: String,
    /// The server's identifier.
    #[prost(string, tag = "16")]
    pub srv_id: String,
    /// The mask.
    #[prost(string, tag = "17")]
    pub subnet_mask: String,
    /// Always empty.
    #[prost(string, tag = "18")]
    pub broadcast_addr: String,
    /// Name servers.
    #[prost(string, repeated, tag = "19")]
    pub dns_servers: Vec<String>,
    /// Routers.
    #[prost(string, repeated, tag = "20")]
    pub gateways: Vec<String>,
    /// Time servers.
    #[prost(string, repeated, tag = "21")]
    pub ntp_servers: Vec<String>,
    /// The name that the server gave the container.
    #[prost(string, tag = "22")]
    pub host_name: String,
}

/// Nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Empty {}

/// Whether it was done.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OperationResponse {
    /// It was.
    #[prost(bool, tag = "1")]
    pub success: bool,
}

/// Why a call failed: one of gRPC's codes, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// The sentence.
    pub message: String,
}

/// The codes of gRPC that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are gRPC's")]
pub enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
}

impl Status {
    /// A failure.
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into() }
    }
}
