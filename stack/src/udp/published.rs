//! Mappings of published ports: made and taken away while datagrams flow.

use std::net::SocketAddr;

use super::{Key, Mapping, Peers, UdpFlows, Via};
use crate::edge::{Edge, UdpId};
use crate::stack::UdpMapping;

impl UdpFlows {
    /// Makes the mapping of a host port that is published to the container's end `guest`; its socket is open already.
    pub(crate) fn publish<E: Edge>(&mut self, guest: SocketAddr, edge: &mut E) -> UdpId {
        self.give_way(guest, edge);
        let further = (0..).map(Via::Further);
        let via =
            std::iter::once(Via::Direct).chain(further).find(|&via| self.mappings.find(&key(guest, via)).is_none());
        let key = key(guest, via.unwrap_or(Via::Direct));
        // Where another stack has it in spite of all, its datagrams leave from there until they rest.
        let _ = edge.claim(&key.claim());
        let mapping = Mapping { published: true, answered: true, peers: Peers::Many };
        UdpId(self.mappings.insert_permanent(key, mapping))
    }

    /// Closes the mapping that the container's end `guest` has made for itself, if it has one: what it sends is to leave from
    /// the port that is published to it.
    pub(crate) fn give_way<E: Edge>(&mut self, guest: SocketAddr, edge: &mut E) {
        if let Some(id) = self.mappings.find(&key(guest, Via::Direct)) {
            self.close(UdpId(id), edge);
        }
    }

    /// Closes a mapping that the container has made for itself.
    pub(crate) fn close<E: Edge>(&mut self, id: UdpId, edge: &mut E) {
        let Some(key) = self.mappings.get(id.0).filter(|(_, mapping)| !mapping.published).map(|(key, _)| *key) else {
            return;
        };
        self.mappings.remove(id.0);
        edge.release(&key.claim());
        edge.udp_close(id);
    }

    /// Takes away mappings that [`UdpFlows::publish`] has made. Their clients are forgotten; the edge closes the sockets.
    pub(crate) fn unpublish<E: Edge>(&mut self, ids: &[UdpId], edge: &mut E) {
        for &UdpId(id) in ids {
            let Some(key) = self.mappings.get(id).filter(|(_, mapping)| mapping.published).map(|(key, _)| *key) else {
                continue;
            };
            self.mappings.remove(id);
            if key.via == Via::Direct {
                edge.release(&key.claim());
            }
            edge.udp_close(UdpId(id));
        }
        self.clients.forget(ids);
        // Another host port of the same container port takes the place of the first.
        let further: Vec<Key> = self.mappings.permanent().filter(|key| matches!(key.via, Via::Further(_))).collect();
        for second in further {
            let first = Key { via: Via::Direct, ..second };
            if self.mappings.find(&first).is_none() && edge.claim(&first.claim()).is_ok() {
                self.mappings.rename(&second, first);
            }
        }
    }

    /// The mappings whose numbers are `first` or more.
    pub(crate) fn list(&self, first: u32) -> impl Iterator<Item = UdpMapping> {
        self.mappings.iter_from(first).map(|(id, key, mapping)| {
            let peer = if let Peers::One(peer) = mapping.peers { Some(peer) } else { None };
            UdpMapping {
                id: UdpId(id),
                guest: SocketAddr::new(key.guest, key.port),
                peer,
                published: mapping.published,
            }
        })
    }
}

fn key(guest: SocketAddr, via: Via) -> Key {
    Key { guest: guest.ip(), port: guest.port(), via }
}
