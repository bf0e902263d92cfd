//! The networks that are served, brought up to what their files say.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

use rnet_dns::containers::Containers;
use tracing::{debug, error};

use super::directory::{Change, Directory};
use super::listener::{Listener, Running};
use super::resolver::Resolver;
use super::services;
use crate::config::{ContainerNames, Services};

/// The server without its process.
pub struct Server<'a> {
    how: &'a ContainerNames,
    directory: Directory,
    resolver: Rc<Resolver>,
    running: HashMap<IpAddr, Running>,
    /// Addresses that could not be bound, with their networks.
    unbound: Vec<(IpAddr, String)>,
}

impl<'a> Server<'a> {
    /// A server of no network as yet.
    pub fn new(how: &'a ContainerNames) -> Server<'a> {
        Server {
            how,
            directory: Directory::new(&how.directory),
            resolver: Resolver::new(Containers::new(Some(how.search.clone())), how.forwarding, how.port),
            running: HashMap::new(),
            unbound: Vec::new(),
        }
    }

    /// Reads what has changed and serves it. Listeners that are not concerned go on; one that goes is closed before others are
    /// opened. Gives what could not be bound.
    ///
    /// # Errors
    /// When the directory cannot be read; then nothing has changed.
    pub async fn reload(&mut self) -> io::Result<Vec<String>> {
        self.resolver.upstreams.expire();
        let changes = self.directory.changes()?;
        debug!(changed = changes.len(), networks = self.directory.served(), "reload");
        self.close(&changes).await;
        let mut wanted = Vec::new();
        {
            let mut table = self.resolver.table.borrow_mut();
            for change in changes {
                match change {
                    Change::Gone { network } => table.remove(&network),
                    Change::Set { network, is_internal, file } => {
                        wanted.extend(file.bind.iter().map(|address| (*address, network.clone())));
                        table.set(&network, is_internal, file);
                    }
                }
            }
            if self.how.services == Services::On {
                services::read(&self.how.directory, &mut table);
            }
        }
        let changed = wanted.iter().map(|(_, network)| network.clone()).collect::<Vec<_>>();
        wanted.extend(self.unbound.drain(..).filter(|(_, network)| !changed.contains(network)));
        let faults = self.open(wanted);
        self.resolver.set_own(self.running.keys().copied().collect());
        Ok(faults)
    }

    /// Tries once more what could not be bound: an address may be there a moment after its file.
    pub fn try_again(&mut self) {
        let wanted = std::mem::take(&mut self.unbound);
        self.open(wanted);
        self.resolver.set_own(self.running.keys().copied().collect());
    }

    /// Whether something could not be bound.
    pub fn is_incomplete(&self) -> bool {
        !self.unbound.is_empty()
    }

    /// Whether there is no network to be served.
    pub fn is_empty(&self) -> bool {
        self.directory.served() == 0
    }

    /// Messages that came.
    pub fn queries(&self) -> u64 {
        self.resolver.queries()
    }

    /// Closes the listeners that are not wanted any more.
    async fn close(&mut self, changes: &[Change]) {
        for change in changes {
            let (network, stay) = match change {
                Change::Gone { network } => (network, &[][..]),
                Change::Set { network, file, .. } => (network, file.bind.as_slice()),
            };
            let Some(id) = self.resolver.table.borrow().network(network) else { continue };
            let goes = |(address, running): &(&IpAddr, &Running)| running.network() == id && !stay.contains(address);
            let gone: Vec<IpAddr> = self.running.iter().filter(goes).map(|(address, _)| *address).collect();
            for address in gone {
                if let Some(running) = self.running.remove(&address) {
                    running.stop().await;
                }
            }
        }
    }

    /// Opens the listeners that are not there yet.
    fn open(&mut self, wanted: Vec<(IpAddr, String)>) -> Vec<String> {
        let mut faults = Vec::new();
        for (address, network) in wanted {
            let Some(id) = self.resolver.table.borrow().network(&network) else { continue };
            if !self.resolver.table.borrow().listens(id).contains(&address)
                || self.running.get(&address).is_some_and(|running| running.network() == id)
            {
                continue;
            }
            match Listener::bind(address, self.how.port, id) {
                Ok(listener) => {
                    self.running.insert(address, listener.start(&self.resolver));
                }
                Err(fault) => {
                    faults.push(fault);
                    self.unbound.push((address, network));
                }
            }
        }
        faults
    }
}

/// Says what could not be bound.
pub fn tell(faults: &[String]) {
    faults.iter().for_each(|fault| error!("{fault}"));
}
