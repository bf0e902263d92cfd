//! What setup and teardown ask of the proxy.

use std::net::IpAddr;

use ipnet::IpNet;

use super::rpc::{Connection, Lease, NetworkConfig, V6};
use super::{SOCKET, directory};
use crate::bridge::error::{During, Error, Result};
use crate::bridge::protocol::Address;

/// An interface that wants addresses.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The interface on the host.
    pub host_interface: String,
    /// The container's.
    pub interface: String,
    /// Its Ethernet address; empty at teardown when it is gone already.
    pub mac: String,
    /// The container's network namespace.
    pub netns: std::path::PathBuf,
    /// The container.
    pub container_id: String,
    /// Its name, for the server.
    pub host_name: String,
    /// Whether an IPv6 address is wanted too.
    pub ipv6: bool,
    /// The metric of the default route; `None` for no such route.
    pub metric: Option<u32>,
    /// Whether the network has an MTU of its own.
    pub keep_mtu: bool,
}

/// What was got.
#[derive(Clone, Debug, Default)]
pub struct Leased {
    /// The addresses, IPv4 before IPv6.
    pub addresses: Vec<Address>,
    /// Name servers, if any were named.
    pub dns: Option<Vec<IpAddr>>,
    /// Domains, if any were named.
    pub domains: Option<Vec<String>>,
}

impl Wish {
    fn config(&self, version: i32) -> NetworkConfig {
        NetworkConfig {
            host_iface: self.host_interface.clone(),
            container_iface: self.interface.clone(),
            container_mac_addr: self.mac.clone(),
            domain_name: String::new(),
            host_name: self.host_name.clone(),
            version,
            ns_path: std::path::absolute(&self.netns).unwrap_or_else(|_| self.netns.clone()).to_string_lossy().into(),
            container_id: self.container_id.clone(),
            metric: self.metric.unwrap_or_default(),
            no_default_route: self.metric.is_none(),
            keep_mtu: self.keep_mtu,
        }
    }
}

/// Gets addresses, which the proxy gives the interface and keeps. IPv4 is needed; where also IPv6 is wanted one of them will do.
pub fn obtain(wish: &Wish) -> Result<Leased> {
    let lease = || "unable to obtain lease";
    block_on(async {
        let proxy = Connection::open(&socket()).await.during(lease)?;
        let (v4, v6) = (wish.config(0), wish.config(V6));
        let second = async {
            match wish.ipv6 {
                true => proxy.call::<Lease>("Setup", &v6).await.map(Some),
                false => Ok(None),
            }
        };
        let (first, second) = tokio::join!(proxy.call::<Lease>("Setup", &v4), second);
        let leases = match (first, second) {
            (Ok(first), Ok(second)) => [Some(first), second],
            (Ok(first), Err(error)) => {
                tracing::warn!("no DHCPv6 lease: {error}");
                [Some(first), None]
            }
            (Err(error), Ok(Some(second))) => {
                tracing::warn!("no DHCP lease: {error}");
                [None, Some(second)]
            }
            (Err(error), _) => return Err(error.during("get DHCP lease")).during(lease),
        };
        leased(leases.iter().flatten()).during(lease)
    })
}

/// Gives the addresses back; an interface that has none is no error.
pub fn release(wish: &Wish) -> Result<()> {
    let what = || "unable to release lease";
    block_on(async {
        let proxy = Connection::open(&socket()).await.during(what)?;
        let mut errors = Vec::new();
        for version in if wish.ipv6 { &[0, V6][..] } else { &[0] } {
            let released = proxy.call::<Lease>("Teardown", &wish.config(*version)).await;
            errors.extend(released.during(what).err());
        }
        Error::collected(errors)
    })
}

fn socket() -> std::path::PathBuf {
    directory(None).join(SOCKET)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn leased<'l>(leases: impl Iterator<Item = &'l Lease>) -> Result<Leased> {
    let mut all = Leased::default();
    let wrong = |text: &str| Error::text(format!("the proxy told of \"{text}\", which is no address"));
    for lease in leases {
        let parse = |text: &String| text.parse::<IpAddr>().map_err(|_| wrong(text));
        let (address, mask) = (parse(&lease.yiaddr)?, parse(&lease.subnet_mask)?);
        let prefix = ipnet::ip_mask_to_prefix(mask).map_err(|_| wrong(&lease.subnet_mask))?;
        let ipnet = IpNet::new(address, prefix).map_err(|_| wrong(&lease.yiaddr))?;
        all.addresses.push(Address { gateway: lease.gateways.first().map(parse).transpose()?, ipnet });
        for server in &lease.dns_servers {
            all.dns.get_or_insert_default().push(parse(server)?);
        }
        let domains = all.domains.iter().flatten();
        if !lease.domain_name.is_empty() && !domains.into_iter().any(|domain| *domain == lease.domain_name) {
            all.domains.get_or_insert_default().push(lease.domain_name.clone());
        }
    }
    Ok(all)
}
