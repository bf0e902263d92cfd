//! How frames get into the device: with the header that says what is left undone, or done.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use rnet_stack::HEADROOM;
use rnet_stack::frame::Offload;

use crate::tap::kind::Kind;
use crate::tap::plain::Cutter;
use crate::tap::vnet::{self, VNET_HEADER_LEN};

/// Where the vnet header starts in a frame's headroom: it ends where the frame begins.
const VNET_START: usize = HEADROOM - VNET_HEADER_LEN;

/// How long somebody who reads frames from a socket may leave it full, in milliseconds: then a frame is lost.
const PATIENCE: u16 = 50;

/// Somebody who reads frames from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// It makes room in time.
    Keen,
    /// It did not, and is not waited for until it does.
    Stalled,
}

impl Reader {
    fn send(&mut self, device: &mut File, frame: &[u8]) -> bool {
        let mut written = device.write(frame);
        if *self == Reader::Keen && written.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            let mut room = [PollFd::new(device.as_fd(), PollFlags::POLLOUT)];
            let _ = poll(&mut room, PATIENCE);
            written = device.write(frame);
        }
        *self = if written.is_ok() { Reader::Keen } else { Reader::Stalled };
        written.is_ok()
    }
}

/// The way into a device.
#[derive(Debug)]
pub enum Wire {
    /// With a header.
    Vnet,
    /// Cut and summed.
    Bare(Cutter),
    /// The same, to a reader who may be slow.
    Socket(Cutter, Reader),
}

impl Wire {
    /// That of a device.
    pub fn of(kind: Kind) -> Wire {
        match kind {
            Kind::Vnet(_) => Wire::Vnet,
            Kind::Bare => Wire::Bare(Cutter::default()),
            Kind::Socket => Wire::Socket(Cutter::default(), Reader::Keen),
        }
    }

    /// Sends the frame that stands in `buffer` behind [`HEADROOM`]; returns how many were refused.
    pub fn transmit(&mut self, device: &mut File, buffer: &mut [u8], offload: Offload) -> u64 {
        let mut refused = 0;
        match self {
            Wire::Vnet => {
                let Some(message) = buffer.get_mut(VNET_START..) else { return 0 };
                let Some(header) = message.first_chunk_mut::<VNET_HEADER_LEN>() else { return 0 };
                vnet::encode(offload, header);
                refused += u64::from(device.write(message).is_err());
            }
            Wire::Bare(cutter) => {
                let Some(frame) = buffer.get_mut(HEADROOM..) else { return 0 };
                cutter.cut(frame, offload, |frame| refused += u64::from(device.write(frame).is_err()));
            }
            Wire::Socket(cutter, reader) => {
                let Some(frame) = buffer.get_mut(HEADROOM..) else { return 0 };
                cutter.cut(frame, offload, |frame| refused += u64::from(!reader.send(device, frame)));
            }
        }
        refused
    }
}
