//! What kind of device a descriptor stands for: a tap device that does work for us, one that does none, or a socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};

use super::offload::{self, Offloads};

nix::ioctl_read_bad!(
    /// It tells the flags that the device was made with.
    get_iff,
    libc::TUNGETIFF,
    libc::ifreq
);

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tap device with the virtio-net header before each frame.
    Vnet(Offloads),
    /// A tap device with bare frames.
    Bare,
    /// A socket that keeps frames apart.
    Socket,
}

impl Kind {
    /// That of a descriptor; offloads are turned on where there are any.
    ///
    /// # Errors
    /// When it is neither, or the kernel refuses its offloads.
    pub fn of(device: BorrowedFd<'_>) -> nix::Result<Kind> {
        if getsockopt(&device, sockopt::SockType).is_ok() {
            return Ok(Kind::Socket);
        }
        // SAFETY: ifreq is plain data, for which zeroes are valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open for the duration of the call, which writes an ifreq where `request` is.
        unsafe { get_iff(device.as_fd().as_raw_fd(), &raw mut request) }.map_err(|_| Errno::ENOTTY)?;
        // SAFETY: the call has filled the flags in; their bytes are plain data in any case.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        if flags & libc::IFF_TAP == 0 || flags & libc::IFF_NO_PI == 0 {
            return Err(Errno::EINVAL);
        }
        if flags & libc::IFF_VNET_HDR == 0 {
            return Ok(Kind::Bare);
        }
        offload::set_header_len(device)?;
        offload::enable(device).map(Kind::Vnet)
    }

    /// What crosses it undone.
    pub fn offloads(self) -> Offloads {
        match self {
            Kind::Vnet(offloads) => offloads,
            Kind::Bare | Kind::Socket => Offloads::Tcp,
        }
    }
}
