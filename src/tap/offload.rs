//! Ask the device to leave checksums and segmentation to us (TUNSETOFFLOAD, linux/if_tun.h).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::vnet::VNET_HEADER_LEN;

/// Since Linux 6.2.
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;
const TCP: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;

nix::ioctl_write_int_bad!(
    /// It takes its flags by value, whatever its number claims.
    tun_set_offload,
    libc::TUNSETOFFLOAD
);

nix::ioctl_write_ptr_bad!(
    /// It reads the length through a pointer.
    set_vnet_header_size,
    libc::TUNSETVNETHDRSZ,
    i32
);

/// Sets the length of the header before each frame to what is written here (TUNSETVNETHDRSZ).
///
/// # Errors
/// When the device has no such header.
pub fn set_header_len(tap: BorrowedFd<'_>) -> nix::Result<()> {
    let header_len = VNET_HEADER_LEN as libc::c_int;
    // SAFETY: the ioctl reads an int, which lives until after the call.
    unsafe { set_vnet_header_size(tap.as_raw_fd(), &raw const header_len) }.map(drop)
}

/// Which kinds of super-frame cross the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offloads {
    /// TCP only: the kernel is older than Linux 6.2.
    Tcp,
    /// TCP and UDP.
    TcpAndUdp,
}

/// Turns on all the offloads that the kernel has.
///
/// # Errors
/// When the kernel refuses even those that every kernel with vnet headers has.
pub fn enable(tap: BorrowedFd<'_>) -> nix::Result<Offloads> {
    let set = |flags: u32| {
        // SAFETY: the descriptor is open for the duration of the call, and the argument is a number, no pointer.
        unsafe { tun_set_offload(tap.as_raw_fd(), flags as libc::c_int) }
    };
    match set(TCP | TUN_F_USO4 | TUN_F_USO6) {
        Ok(_) => Ok(Offloads::TcpAndUdp),
        Err(Errno::EINVAL) => set(TCP).map(|_| Offloads::Tcp),
        Err(errno) => Err(errno),
    }
}
