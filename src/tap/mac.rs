//! The Ethernet address that the container's end of the device has.

use std::os::fd::{AsRawFd, BorrowedFd};

use rnet_stack::frame::MacAddr;

nix::ioctl_read_bad!(
    /// The tun driver answers it for its own device (drivers/net/tun.c), in whatever namespace that is.
    hardware_address,
    libc::SIOCGIFHWADDR,
    libc::ifreq
);

/// The device's address, as it is now; `None` where the driver does not say.
pub fn of(tap: BorrowedFd<'_>) -> Option<MacAddr> {
    // SAFETY: ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open for the duration of the call, which writes an ifreq where `request` is.
    unsafe { hardware_address(tap.as_raw_fd(), &raw mut request) }.ok()?;
    // SAFETY: SIOCGIFHWADDR has filled in the address; its bytes are plain data in any case.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let [a, b, c, d, e, f, ..] = address.sa_data.map(|byte| byte as u8);
    let mac = MacAddr([a, b, c, d, e, f]);
    (mac.0 != [0; 6] && mac.0[0] & 1 == 0).then_some(mac)
}
