//! Many flows that are open and say nothing, to see what they cost; and whether each still works.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::ports;

/// A flow that takes longer to open or to answer does not work.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many flows that do not open, one after the other: there will be no more.
const ENOUGH: usize = 3;
/// All flows must be open by then.
const LIMIT: Duration = Duration::from_secs(60);

/// Opens one flow to the echo.
pub fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a number and waits for it to come back.
pub fn exchange(stream: &mut TcpStream, number: u64) -> io::Result<()> {
    let sent = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let mut got = [0; 8];
    stream.write_all(&sent)?;
    stream.read_exact(&mut got)?;
    if got == sent { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "wrong bytes came back")) }
}

/// The command `idle`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let address = arguments.target(ports::ECHO)?;
    let wanted = arguments.option("flows", 1000_usize)?.min(20_000);
    let (mut flows, mut failed, mut reason) = (Vec::with_capacity(wanted), 0, String::new());
    let began = Instant::now();
    while flows.len() < wanted && failed < ENOUGH && began.elapsed() < LIMIT {
        match open(address).and_then(|mut stream| exchange(&mut stream, flows.len() as u64).map(|()| stream)) {
            Ok(stream) => {
                flows.push(stream);
                failed = 0;
            }
            Err(error) => {
                failed += 1;
                reason = error.to_string();
            }
        }
    }
    report(&mut flows, began, &reason);
    for line in io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        report(&mut flows, Instant::now(), &reason);
    }
    Ok(())
}

/// Says how many are open, and how many of those still exchange bytes.
fn report(flows: &mut [TcpStream], began: Instant, reason: &str) {
    let seconds = began.elapsed().as_secs_f64();
    let (mut alive, mut silent) = (0, 0);
    for (number, stream) in flows.iter_mut().enumerate() {
        if silent > 10 {
            break;
        }
        match exchange(stream, number as u64 + 1_000_000) {
            Ok(()) => alive += 1,
            Err(_) => silent += 1,
        }
    }
    println!(
        "{{\"established\": {}, \"exchanging\": {alive}, \"seconds\": {seconds:.3}, \"reason\": {reason:?}}}",
        flows.len()
    );
}
