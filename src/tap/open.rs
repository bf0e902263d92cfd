//! Makes a tap device in the network namespace of the caller (linux/if_tun.h).

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use super::offload;

const DEVICE: &str = "/dev/net/tun";

/// What stands in the way of a tap device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no /dev/net/tun.
    #[error(
        "open {DEVICE}: it does not exist; load the driver with `modprobe tun`, or in a container pass `--device {DEVICE}`"
    )]
    NoDevice,
    /// /dev/net/tun is something else.
    #[error(
        "open {DEVICE}: it is not the tun driver's device; make it anew with `rm {DEVICE}; mknod -m 666 {DEVICE} c 10 200`"
    )]
    NotTun,
    /// /dev/net/tun may not be opened.
    #[error("open {DEVICE}: {}; let everybody use it with `chmod 666 {DEVICE}`, it grants nothing by itself", .0.desc())]
    Forbidden(Errno),
    /// /dev/net/tun cannot be opened for another reason.
    #[error("open {DEVICE}: {}", .0.desc())]
    Open(Errno),
    /// The name is taken.
    #[error("make the tap device {0}: a device of this name exists there already; choose another with --ifname")]
    Exists(String),
    /// The kernel will not make one here.
    #[error(
        "make the tap device {0}: operation not permitted; CAP_NET_ADMIN is needed in the user namespace that owns the network namespace"
    )]
    NotPermitted(String),
    /// The kernel fails otherwise.
    #[error("make the tap device {0}: {reason}", reason = .1.desc())]
    Make(String, Errno),
    /// The kernel makes no further queue.
    #[error("make {1} queues for the tap device {0}: {reason}; `--threads 1` does with one", reason = .2.desc())]
    Queues(String, usize, Errno),
}

mod ioctl {
    nix::ioctl_write_ptr_bad!(set_iff, libc::TUNSETIFF, libc::ifreq);
}

/// Makes a tap device of `queues` queues, one at least, with checksum and segmentation offloads. There is a descriptor for
/// each queue, non-blocking and close-on-exec; the device goes when they are closed.
pub fn open(ifname: &str, queues: usize) -> Result<Vec<OwnedFd>, Error> {
    let flags = if queues > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
    let mut all = vec![make(ifname, queues, flags)?];
    for _ in 1..queues {
        let queue = open_device()?;
        attach(&queue, ifname, flags)
            .and_then(|()| prepare(&queue))
            .map_err(|errno| Error::Queues(ifname.into(), queues, errno))?;
        all.push(queue.into());
    }
    Ok(all)
}

/// Takes the tap device of this name, or makes it where there is none; one queue.
pub fn find_or_make(ifname: &str) -> Result<Vec<OwnedFd>, Error> {
    let device = open_device()?;
    // A device that was made for several queues is only to be had with the same flag.
    let attached = match attach(&device, ifname, 0) {
        Err(Errno::EINVAL) => attach(&device, ifname, libc::IFF_MULTI_QUEUE),
        attached => attached,
    };
    attached.and_then(|()| prepare(&device)).map_err(|errno| match errno {
        Errno::EBUSY => Error::Exists(ifname.into()),
        Errno::EPERM => Error::NotPermitted(ifname.into()),
        Errno::ENOTTY | Errno::EINVAL if !is_tun(&device) => Error::NotTun,
        errno => Error::Make(ifname.into(), errno),
    })?;
    Ok(vec![device.into()])
}

/// Makes the device, which must not exist yet, with its first queue.
fn make(ifname: &str, queues: usize, flags: libc::c_int) -> Result<OwnedFd, Error> {
    let device = open_device()?;
    attach(&device, ifname, flags | libc::IFF_TUN_EXCL).map_err(|errno| match errno {
        Errno::EBUSY | Errno::EEXIST => Error::Exists(ifname.into()),
        Errno::EPERM => Error::NotPermitted(ifname.into()),
        Errno::ENOTTY | Errno::EINVAL if !is_tun(&device) => Error::NotTun,
        Errno::EINVAL if flags & libc::IFF_MULTI_QUEUE != 0 => Error::Queues(ifname.into(), queues, errno),
        errno => Error::Make(ifname.into(), errno),
    })?;
    prepare(&device).map_err(|errno| Error::Make(ifname.into(), errno))?;
    Ok(device.into())
}

fn open_device() -> Result<File, Error> {
    let device =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(DEVICE);
    device.map_err(|error| match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ENOTDIR => Error::NoDevice,
        errno @ (Errno::EACCES | Errno::EPERM) => Error::Forbidden(errno),
        errno => Error::Open(errno),
    })
}

/// Character device 10:200 (linux/miscdevice.h, TUN_MINOR).
fn is_tun(device: &File) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    device.metadata().is_ok_and(|metadata| {
        metadata.file_type().is_char_device()
            && (libc::major(metadata.rdev()), libc::minor(metadata.rdev())) == (10, 200)
    })
}

/// Gives a descriptor its device, made anew or one that has queues already (TUNSETIFF).
fn attach(device: &File, ifname: &str, flags: libc::c_int) -> nix::Result<()> {
    // SAFETY: ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if ifname.len() >= request.ifr_name.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | flags) as i16;
    // SAFETY: TUNSETIFF takes a pointer to an ifreq, which lives until after the call.
    unsafe { ioctl::set_iff(device.as_raw_fd(), &request) }.map(drop)
}

fn prepare(device: &File) -> nix::Result<()> {
    offload::set_header_len(device.as_fd())?;
    offload::enable(device.as_fd()).map(drop)
}
