//! Requests to the kernel's routing netlink (rtnetlink(7)), one at a time, each acknowledged.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

/// A connection to the network namespace that it was made in.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Connects to the caller's network namespace.
    pub fn open() -> std::io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Changes something that exists.
    pub fn change(&mut self, message: RouteNetlinkMessage) -> nix::Result<()> {
        self.request(message, 0)
    }

    /// Makes something that does not exist.
    pub fn create(&mut self, message: RouteNetlinkMessage) -> nix::Result<()> {
        self.request(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Asks for all that there is of something.
    pub fn dump(&mut self, message: RouteNetlinkMessage) -> nix::Result<Vec<RouteNetlinkMessage>> {
        self.send(message, NLM_F_DUMP)?;
        let mut found = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full().map_err(errno)?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let length = rest.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length) as usize);
                let one = rest.get(..length).filter(|one| !one.is_empty()).ok_or(Errno::EBADMSG)?;
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                // What is unknown to the parser is nothing that matters here.
                let Ok(answer) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(one) else { continue };
                match answer.payload {
                    _ if answer.header.sequence_number != self.sequence => {}
                    NetlinkPayload::InnerMessage(message) => found.push(message),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(error) => {
                        return Err(Errno::from_raw(error.code.map_or(0, |code| -code.get())));
                    }
                    _ => {}
                }
            }
        }
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> nix::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(errno).map(drop)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> nix::Result<()> {
        self.send(message, NLM_F_ACK | flags)?;
        loop {
            let (bytes, _) = self.socket.recv_from_full().map_err(errno)?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).map_err(|_| Errno::EBADMSG)?;
            match answer.payload {
                NetlinkPayload::Error(error) if answer.header.sequence_number == self.sequence => {
                    return match error.code {
                        None => Ok(()),
                        Some(code) => Err(Errno::from_raw(-code.get())),
                    };
                }
                _ => {}
            }
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
