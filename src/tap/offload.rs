//! Ask the device to leave checksums and segmentation to us (TUNSETOFFLOAD, linux/if_tun.h).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO4: libc::c_ulong = 0x02;
const TUN_F_TSO6: libc::c_ulong = 0x04;
const TUN_F_USO4: libc::c_ulong = 0x20;
const TUN_F_USO6: libc::c_ulong = 0x40;

nix::ioctl_write_int_bad!(
    /// TUNSETOFFLOAD of linux/if_tun.h takes its flags by value, whatever its number claims.
    tun_set_offload,
    nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>())
);

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
pub fn enable(tap: BorrowedFd<'_>) -> io::Result<Offloads> {
    let tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    let set = |flags: libc::c_ulong| {
        // SAFETY: the descriptor is open for the duration of the call, and TUNSETOFFLOAD takes an integer, no pointer.
        unsafe { tun_set_offload(tap.as_raw_fd(), flags as libc::c_int) }
    };
    match set(tcp | TUN_F_USO4 | TUN_F_USO6) {
        Ok(_) => Ok(Offloads::TcpAndUdp),
        Err(nix::errno::Errno::EINVAL) => set(tcp).map(|_| Offloads::Tcp).map_err(io::Error::from),
        Err(error) => Err(error.into()),
    }
}
