//! The server's end of one UDP measurement, on a port of its own.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::udp::{Counter, HELLO, Order, blast, prepare, read_words, write_words};

/// Serves one control stream: order, port, datagrams, the client's word that it is over, tally.
pub fn serve(mut control: TcpStream) -> Result<(), String> {
    let order = Order::from_words(read_words(&mut control)?);
    let address = control.local_addr().map_err(|error| format!("control: {error}"))?.ip();
    let socket = UdpSocket::bind((address, 0)).map_err(|error| format!("bind UDP: {error}"))?;
    prepare(&socket, &order)?;
    let port = socket.local_addr().map_err(|error| format!("bind UDP: {error}"))?.port();
    write_words(&mut control, [port.into(), 0, 0, 0, 0])?;

    let mut hello = [0; 16];
    // As often as the client tries, and a little longer.
    let peer = (0..100).find_map(|_| socket.recv_from(&mut hello).ok()).ok_or("no datagram gets through")?.1;
    socket.connect(peer).map_err(|error| format!("connect UDP: {error}"))?;
    socket.send(&HELLO).map_err(|error| format!("hello: {error}"))?;

    let counter = Counter::start(&socket, order)?;
    let sent = if order.back { blast(&socket, &order)? } else { 0 };
    control.set_read_timeout(Some(order.duration + Duration::from_secs(10))).map_err(|error| error.to_string())?;
    let over = read_words(&mut control);
    let mut tally = counter.finish();
    over?;
    tally.sent = sent;
    write_words(&mut control, tally.to_words())
}
