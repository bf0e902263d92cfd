//! Published ports as services: `_http._tcp.web` and `_80._tcp.web` lead to port 80 of the container `web` when that publishes it.
//! They stand in netavark's own state, beside the networks' files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rnet_dns::Name;
use rnet_dns::containers::{Containers, Service};
use serde::Deserialize;

/// Where the names of services are.
const SERVICES: &str = "/etc/services";

/// A file that is longer is not read to its end.
const LEN_MAX: u64 = 1 << 20;

/// Ports of a range that are told.
const RANGE_MAX: u16 = 64;

/// What netavark notes of a container's ports.
#[derive(Deserialize)]
struct Ports {
    container_id: String,
    network_name: String,
    port_mappings: Option<Vec<Mapping>>,
}

#[derive(Deserialize)]
struct Mapping {
    container_port: u16,
    protocol: String,
    range: u16,
}

/// Puts the published ports of all containers into the table. What cannot be read is left out.
pub fn read(directory: &Path, table: &mut Containers) {
    let Some(state) = directory.parent().map(|run| run.join("firewall/ports")) else { return };
    let services = named();
    let mut found: HashMap<String, HashMap<Name, Vec<Service>>> = HashMap::new();
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let Ok(text) = read_file(&entry.path()) else { continue };
        let Ok(ports) = serde_json::from_slice::<Ports>(&text) else { continue };
        let Some(id) = table.network(&ports.network_name) else { continue };
        let of = found.entry(ports.network_name).or_default();
        let container =
            table.containers(id).iter().filter(|container| *container.id == *ports.container_id.to_lowercase());
        for name in container.flat_map(|container| &container.names) {
            for mapping in ports.port_mappings.iter().flatten() {
                for protocol in mapping.protocol.split(',') {
                    add(of, name, protocol, mapping, &services);
                }
            }
        }
    }
    for (network, services) in found {
        if let Some(id) = table.network(&network) {
            table.set_services(id, services);
        }
    }
}

/// Adds the services of one mapping for one of the container's names.
fn add(
    to: &mut HashMap<Name, Vec<Service>>,
    target: &Name,
    protocol: &str,
    mapping: &Mapping,
    services: &HashMap<(u16, String), Vec<String>>,
) {
    for offset in 0..mapping.range.clamp(1, RANGE_MAX) {
        let Some(port) = mapping.container_port.checked_add(offset) else { return };
        let known = services.get(&(port, protocol.to_owned())).into_iter().flatten().cloned();
        for service in known.chain([port.to_string()]) {
            let Ok(name) = Name::parse(&format!("_{service}._{protocol}.{target}")) else { continue };
            let service = Service { target: target.clone(), port };
            let known = to.entry(name).or_default();
            if !known.contains(&service) {
                known.push(service);
            }
        }
    }
}

/// The names of services by port and protocol (services(5)).
fn named() -> HashMap<(u16, String), Vec<String>> {
    let mut named: HashMap<(u16, String), Vec<String>> = HashMap::new();
    let text = read_file(Path::new(SERVICES)).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let (Some(name), Some(end)) = (words.next(), words.next()) else { continue };
        let Some((port, protocol)) = end.split_once('/') else { continue };
        if let Ok(port) = port.parse() {
            let names = named.entry((port, protocol.to_owned())).or_default();
            names.extend(std::iter::once(name).chain(words).map(str::to_owned));
        }
    }
    named
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LEN_MAX).read_to_end(&mut text)?;
    Ok(text)
}
