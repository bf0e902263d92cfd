//! Bulk TCP: streams of the pattern in one direction, counted and checked by whoever receives.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::pattern::{CHUNK, Pattern};
use crate::{ports, sys};

/// The longest that one send or receive may wait: longer is a failure of the path.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes handed to one send or receive.
pub const PIECE: usize = 128 * 1024;

/// What a receiver says about one stream.
#[derive(Clone, Copy)]
pub struct Receipt {
    /// Bytes that came and were right.
    pub bytes: u64,
    /// When the first came (nanoseconds, monotonic).
    pub first: u64,
    /// When the last came.
    pub last: u64,
}

impl Receipt {
    /// For the wire; 24 bytes.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (field, value) in bytes.chunks_exact_mut(8).zip([self.bytes, self.first, self.last]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; 24]) -> Self {
        let (fields, _) = bytes.as_chunks::<8>();
        let [bytes, first, last] = [0, 1, 2].map(|index| u64::from_le_bytes(fields[index]));
        Self { bytes, first, last }
    }
}

/// Sends whole chunks of the pattern for `duration`; how much it was.
pub fn send(stream: &mut TcpStream, pattern: &Pattern, duration: Duration) -> Result<u64, String> {
    let end = Instant::now() + duration;
    let mut sent = 0_u64;
    while Instant::now() < end || !sent.is_multiple_of(CHUNK) {
        let count = stream.write(pattern.at(sent, PIECE.min((CHUNK - sent % CHUNK) as usize)));
        match count.map_err(|error| format!("send after {sent} bytes: {error}"))? {
            0 => return Err(format!("send after {sent} bytes: the stream is closed")),
            count => sent += count as u64,
        }
    }
    stream.shutdown(Shutdown::Write).map_err(|error| format!("half close: {error}"))?;
    Ok(sent)
}

/// Receives the pattern until the stream ends.
pub fn receive(stream: &mut TcpStream, pattern: &Pattern) -> Result<Receipt, String> {
    let mut buffer = vec![0; PIECE];
    let mut receipt = Receipt { bytes: 0, first: 0, last: 0 };
    loop {
        let count =
            stream.read(&mut buffer).map_err(|error| format!("receive after {} bytes: {error}", receipt.bytes))?;
        if count == 0 {
            return Ok(receipt);
        }
        if buffer[..count] != *pattern.at(receipt.bytes, count) {
            return Err(format!("wrong bytes within {count} after {}", receipt.bytes));
        }
        receipt.last = sys::now();
        if receipt.bytes == 0 {
            receipt.first = receipt.last;
        }
        receipt.bytes += count as u64;
    }
}

fn stream_out(address: IpAddr, duration: Duration) -> Result<Receipt, String> {
    let mut stream = open(SocketAddr::new(address, ports::SINK))?;
    let sent = send(&mut stream, &Pattern::new(), duration)?;
    let mut bytes = [0; 24];
    stream.read_exact(&mut bytes).map_err(|error| format!("no receipt for {sent} bytes: {error}"))?;
    let receipt = Receipt::from_bytes(bytes);
    if receipt.bytes == sent { Ok(receipt) } else { Err(format!("{sent} bytes sent, {} arrived right", receipt.bytes)) }
}

fn stream_in(address: IpAddr, duration: Duration) -> Result<Receipt, String> {
    let mut stream = open(SocketAddr::new(address, ports::SOURCE))?;
    let order = (duration.as_millis() as u64).to_le_bytes();
    stream.write_all(&order).map_err(|error| format!("order: {error}"))?;
    let receipt = receive(&mut stream, &Pattern::new())?;
    if receipt.bytes == 0 || !receipt.bytes.is_multiple_of(CHUNK) {
        return Err(format!("the stream was cut short after {} bytes", receipt.bytes));
    }
    Ok(receipt)
}

/// A connection with bounds on all waits.
pub fn open(address: SocketAddr) -> Result<TcpStream, String> {
    let stream =
        TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| format!("connect {address}: {error}"))?;
    bound(&stream);
    Ok(stream)
}

/// Bounds the waits of a stream.
pub fn bound(stream: &TcpStream) {
    // Neither fails for a duration above zero.
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
}

/// The command `bulk`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let stream = match arguments.word("a direction")?.as_str() {
        "out" => stream_out,
        "in" => stream_in,
        other => return Err(format!("{other:?} is no direction: out or in")),
    };
    let address = arguments.address()?;
    let streams = arguments.option("streams", 1_usize)?.clamp(1, 256);
    let duration = arguments.seconds(1.0)?;
    let threads: Vec<_> = (0..streams).map(|_| thread::spawn(move || stream(address, duration))).collect();
    let mut receipts = Vec::new();
    for thread in threads {
        receipts.push(thread.join().map_err(|_| "a stream's thread panicked".to_owned())??);
    }
    let bytes: u64 = receipts.iter().map(|receipt| receipt.bytes).sum();
    let first = receipts.iter().map(|receipt| receipt.first).min().unwrap_or(0);
    let last = receipts.iter().map(|receipt| receipt.last).max().unwrap_or(0);
    let seconds = last.saturating_sub(first).max(1) as f64 / 1e9;
    let slowest = receipts.iter().map(|receipt| receipt.bytes).min().unwrap_or(0);
    let share = slowest as f64 * streams as f64 / bytes.max(1) as f64;
    println!(
        "{{\"bytes\": {bytes}, \"seconds\": {seconds:.6}, \"gbit_per_s\": {:.4}, \"slowest_share\": {share:.3}}}",
        bytes as f64 * 8.0 / seconds / 1e9
    );
    Ok(())
}
