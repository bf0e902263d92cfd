//! The counterparts: all listeners of one address in a thread each.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::bulk;
use crate::pattern::Pattern;
use crate::ports;
use crate::sys::{self, Epoll};
use crate::udp_server;

/// Bytes of a request.
pub const REQUEST_SIZE: usize = 64;
/// Bytes of a response: the request, eight times.
pub const RESPONSE_SIZE: usize = 8 * REQUEST_SIZE;

/// Whether `response` is the one to `request`.
pub fn answers(request: &[u8; REQUEST_SIZE], response: &[u8]) -> bool {
    response.len() == RESPONSE_SIZE && response.chunks_exact(REQUEST_SIZE).all(|part| part == request)
}

/// The command `serve`: prints `ready` and stays.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    for address in arguments.rest() {
        let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is no IP address"))?;
        streams(listen(address, ports::SINK)?, sink);
        streams(listen(address, ports::SOURCE)?, source);
        streams(listen(address, ports::UDP_CONTROL)?, udp_server::serve);
        events(listen(address, ports::REQUEST)?, respond);
        events(listen(address, ports::ECHO)?, echo);
        let socket = UdpSocket::bind((address, ports::ECHO)).map_err(|error| format!("bind UDP: {error}"))?;
        thread::spawn(move || udp_echo(&socket));
    }
    println!("ready");
    loop {
        thread::park();
    }
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, String> {
    let listener = TcpListener::bind((address, port)).map_err(|error| format!("bind {address} {port}: {error}"))?;
    // A second listen() on a listening socket only changes its backlog: that of the standard library is 128.
    // SAFETY: the descriptor is a socket that lives during the call.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 4096) };
    Ok(listener)
}

/// One thread a stream.
fn streams(listener: TcpListener, serve: fn(TcpStream) -> Result<(), String>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            bulk::bound(&stream);
            thread::spawn(move || {
                if let Err(error) = serve(stream) {
                    eprintln!("load serve: {error}");
                }
            });
        }
    });
}

fn sink(mut stream: TcpStream) -> Result<(), String> {
    let end = Instant::now() + bulk::read_order(&mut stream)?;
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let receipt = bulk::receive(&mut stream, &Pattern::new(), Some(end))?;
    stream.write_all(&receipt.to_bytes()).map_err(|error| format!("receipt: {error}"))?;
    // Closing with unread bytes would be a reset, which could overtake the receipt: take what a stalled stream still brings.
    let _ = stream.shutdown(Shutdown::Write);
    let (mut rest, end) = (vec![0; bulk::PIECE], Instant::now() + Duration::from_secs(1));
    while Instant::now() < end {
        match stream.read(&mut rest) {
            Ok(0) => break,
            Err(error) if error.kind() != ErrorKind::WouldBlock => break,
            _ => {}
        }
    }
    Ok(())
}

fn source(mut stream: TcpStream) -> Result<(), String> {
    let duration = bulk::read_order(&mut stream)?;
    bulk::send(&mut stream, &Pattern::new(), duration)?;
    // Closing with unread bytes would be a reset: wait for the client's close.
    let _ = stream.read(&mut [0; 8]);
    Ok(())
}

/// One thread for all streams; `handle` says whether a stream stays.
fn events(listener: TcpListener, handle: fn(&mut TcpStream) -> io::Result<bool>) {
    const LISTENER: u64 = u64::MAX;
    thread::spawn(move || -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new()?;
        epoll.add(&listener, LISTENER)?;
        let (mut flows, mut next, mut tokens) = (HashMap::new(), 0_u64, Vec::new());
        loop {
            // Events that were lost to a failed accept() are made up for after the time-out.
            epoll.wait(&mut tokens, 100)?;
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                if handle(&mut stream).unwrap_or(false) {
                    epoll.add(&stream, next)?;
                    flows.insert(next, stream);
                    next += 1;
                }
            }
            for token in tokens.iter().filter(|&&token| token != LISTENER) {
                let stays = flows.get_mut(token).is_some_and(|stream| handle(stream).unwrap_or(false));
                if !stays {
                    flows.remove(token);
                }
            }
        }
    });
}

fn respond(stream: &mut TcpStream) -> io::Result<bool> {
    let mut request = [0; REQUEST_SIZE];
    match stream.peek(&mut request) {
        Ok(REQUEST_SIZE) => {}
        Ok(count) => return Ok(count > 0),
        Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
    }
    stream.read_exact(&mut request)?;
    stream.write_all(&request.repeat(RESPONSE_SIZE / REQUEST_SIZE))?;
    stream.shutdown(Shutdown::Write)?;
    Ok(false)
}

fn echo(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => stream.write_all(&buffer[..count])?,
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
    }
}

fn udp_echo(socket: &UdpSocket) {
    let _ = sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 1 << 20);
    let mut buffer = [0; 65_536];
    loop {
        if let Ok((count, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..count], peer);
        }
    }
}
