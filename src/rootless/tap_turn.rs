//! One turn of the tap device: frames are read one behind the other and handed to the stack all at once.

use std::io::Read;

use rnet_stack::frame::Offload;
use rnet_stack::{Instant, Stack};
use tracing::debug;

use super::arena::Arena;
use super::edge::HostEdge;
use crate::tap::kind::Kind;
use crate::tap::vnet::{self, VNET_HEADER_LEN};

/// Frames and bytes that are read before the flows get their turn: enough to make batches worth while, few enough that
/// acknowledgements do not wait.
const FRAMES: usize = 64;
const BYTES: usize = 384 << 10;

const FRAME_MAX: usize = VNET_HEADER_LEN + 14 + 65535;

/// Whether the tap device may hold more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapState {
    /// It was read until nothing was left.
    Drained,
    /// It has to be read.
    MayHaveMore,
    /// The kernel has deleted it.
    Gone,
}

/// What reads the tap device.
pub struct TapReader {
    /// Room for the frames of a turn, one behind the other.
    room: Box<[u8]>,
    /// What is known of the device.
    pub state: TapState,
    kind: Kind,
}

impl TapReader {
    /// One for a device that was not read yet.
    pub fn new(kind: Kind) -> TapReader {
        TapReader { room: vec![0; BYTES + FRAME_MAX].into_boxed_slice(), state: TapState::MayHaveMore, kind }
    }

    /// Reads frames, and hands them over all at once: what one flow has sent in several goes to the host in one piece.
    /// Returns their number.
    pub fn turn(&mut self, now: Instant, stack: &mut Stack<Arena>, edge: &mut HostEdge) -> usize {
        let mut ends = [0; FRAMES];
        let count = self.read(edge, &mut ends);
        let mut frames: [(&[u8], Offload); FRAMES] = [(&[], Offload::default()); FRAMES];
        let mut known = 0;
        let mut start = 0;
        for &end in ends.iter().take(count) {
            if let (Some(frame), Some(place)) = (self.frame(start, end), frames.get_mut(known)) {
                if let Some(capture) = &mut edge.capture
                    && !capture.write(frame.0)
                {
                    edge.capture = None;
                }
                *place = frame;
                known += 1;
            }
            start = end;
        }
        stack.handle_frames(now, frames.get(..known).unwrap_or_default(), edge);
        count
    }

    /// What lies there, and what the device says of it.
    fn frame(&self, start: usize, end: usize) -> Option<(&[u8], Offload)> {
        let message = self.room.get(start..end)?;
        match self.kind {
            Kind::Vnet(_) => {
                let (header, frame) = message.split_first_chunk::<VNET_HEADER_LEN>()?;
                Some((frame, vnet::decode(header)))
            }
            Kind::Bare | Kind::Socket => Some((message, Offload::default())),
        }
    }

    /// Fills the room; writes where each frame ends, and returns the number of frames.
    fn read(&mut self, edge: &HostEdge, ends: &mut [usize; FRAMES]) -> usize {
        let mut count = 0;
        let mut filled = 0;
        while let Some(place) = ends.get_mut(count).filter(|_| filled <= BYTES) {
            match (&edge.tap).read(&mut self.room[filled..]) {
                // The other end of a socket is closed; a device has no frames without bytes.
                Ok(0) => {
                    self.state = TapState::Gone;
                    break;
                }
                Ok(len) => {
                    filled = (filled + len).min(self.room.len());
                    *place = filled;
                    count += 1;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => {
                        self.state = TapState::Drained;
                        break;
                    }
                    Some(libc::EINTR) => {}
                    // EBADFD: the kernel has deleted the device under us.
                    _ => {
                        debug!(%error, "the tap device is gone");
                        self.state = TapState::Gone;
                        break;
                    }
                },
            }
        }
        count
    }
}
