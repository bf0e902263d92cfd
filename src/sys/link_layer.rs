//! Addresses of packet sockets (packet(7)).

use std::mem;

use socket2::{SockAddr, SockAddrStorage};

/// The length of an Ethernet address.
const MAC: usize = 6;

/// IPv4 packets of the interface with this number; `to` is where what is sent goes.
pub fn ipv4_on(index: u32, to: [u8; MAC]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is one of the address types, and fits the storage; all its fields are numbers, for which zero is valid.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_IP as u16).to_be();
    address.sll_ifindex = index.cast_signed();
    address.sll_halen = MAC as u8;
    address.sll_addr[..MAC].copy_from_slice(&to);
    // SAFETY: the storage holds a whole sockaddr_ll, written above.
    unsafe { SockAddr::new(storage, mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}
