//! Bulk TCP: streams of the pattern in one direction, counted and checked by whoever receives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
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
    /// The longest time between two receptions (nanoseconds).
    pub pause: u64,
}

impl Receipt {
    /// For the wire; 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (field, value) in bytes.chunks_exact_mut(8).zip([self.bytes, self.first, self.last, self.pause]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Something came, or the wait for it ended.
    fn reach(&mut self, now: u64) {
        if self.bytes == 0 {
            (self.first, self.last) = (now, now);
        }
        self.pause = self.pause.max(now - self.last);
        self.last = now;
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        let (fields, _) = bytes.as_chunks::<8>();
        let [bytes, first, last, pause] = [0, 1, 2, 3].map(|index| u64::from_le_bytes(fields[index]));
        Self { bytes, first, last, pause }
    }
}

/// Sends whole chunks of the pattern for `duration`, or until the path has taken nothing for too long; how much it was.
pub fn send(stream: &mut TcpStream, pattern: &Pattern, duration: Duration) -> Result<u64, String> {
    let end = Instant::now() + duration;
    let mut sent = 0_u64;
    while Instant::now() < end || !sent.is_multiple_of(CHUNK) {
        match stream.write(pattern.at(sent, PIECE.min((CHUNK - sent % CHUNK) as usize))) {
            Ok(0) => return Err(format!("send after {sent} bytes: the stream is closed")),
            Ok(count) => sent += count as u64,
            // The receiver tells how much arrived of a stream that stalls.
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() >= end => return Ok(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("send after {sent} bytes: {error}")),
        }
    }
    stream.shutdown(Shutdown::Write).map_err(|error| format!("half close: {error}"))?;
    Ok(sent)
}

/// Receives the pattern until the stream ends, or until `end`.
pub fn receive(stream: &mut TcpStream, pattern: &Pattern, end: Option<Instant>) -> Result<Receipt, String> {
    let mut buffer = vec![0; PIECE];
    let mut receipt = Receipt { bytes: 0, first: 0, last: 0, pause: 0 };
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(receipt),
            Ok(_) | Err(_) if end.is_some_and(|end| Instant::now() >= end) => {
                // Whoever was too late waited in vain until now.
                receipt.reach(sys::now());
                return Ok(receipt);
            }
            Ok(count) => count,
            Err(error) if end.is_some() && error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(format!("receive after {} bytes: {error}", receipt.bytes)),
        };
        if buffer[..count] != *pattern.at(receipt.bytes, count) {
            return Err(format!("wrong bytes within {count} after {}", receipt.bytes));
        }
        receipt.reach(sys::now());
        receipt.bytes += count as u64;
    }
}

/// What became of one stream: the receipt, and whether all that was sent had arrived in time.
type Outcome = Result<(Receipt, bool), String>;

/// The order is for how long the sink shall wait for all of it.
fn stream_out(target: SocketAddr, duration: Duration, grace: Duration) -> Outcome {
    let mut stream = open(target)?;
    write_order(&mut stream, duration + grace)?;
    // So that a stream that stalls ends in time.
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let sent = send(&mut stream, &Pattern::new(), duration)?;
    let mut bytes = [0; 32];
    stream.read_exact(&mut bytes).map_err(|error| format!("no receipt for {sent} bytes: {error}"))?;
    let receipt = Receipt::from_bytes(bytes);
    if receipt.bytes > sent {
        return Err(format!("{sent} bytes sent, {} arrived", receipt.bytes));
    }
    let whole = receipt.bytes == sent && sent.is_multiple_of(CHUNK);
    Ok((receipt, whole))
}

fn stream_in(target: SocketAddr, duration: Duration, _: Duration) -> Outcome {
    let mut stream = open(target)?;
    write_order(&mut stream, duration)?;
    let receipt = receive(&mut stream, &Pattern::new(), None)?;
    if receipt.bytes == 0 || !receipt.bytes.is_multiple_of(CHUNK) {
        return Err(format!("the stream was cut short after {} bytes", receipt.bytes));
    }
    Ok((receipt, true))
}

fn write_order(stream: &mut TcpStream, duration: Duration) -> Result<(), String> {
    let order = (duration.as_millis() as u64).to_le_bytes();
    stream.write_all(&order).map_err(|error| format!("order: {error}"))
}

/// Reads the order that opens a stream.
pub fn read_order(stream: &mut TcpStream) -> Result<Duration, String> {
    let mut order = [0; 8];
    stream.read_exact(&mut order).map_err(|error| format!("order: {error}"))?;
    Ok(Duration::from_millis(u64::from_le_bytes(order).min(180_000)))
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
    let (stream, port): (fn(_, _, _) -> _, _) = match arguments.word("a direction")?.as_str() {
        "out" => (stream_out, ports::SINK),
        "in" => (stream_in, ports::SOURCE),
        other => return Err(format!("{other:?} is no direction: out or in")),
    };
    let target = arguments.target(port)?;
    let streams = arguments.option("streams", 1_usize)?.clamp(1, 256);
    let duration = arguments.seconds(1.0)?;
    let grace = Duration::from_secs_f64(arguments.option("grace", 3.0_f64)?.clamp(0.1, 60.0));
    let threads: Vec<_> = (0..streams).map(|_| thread::spawn(move || stream(target, duration, grace))).collect();
    let (mut receipts, mut stalled) = (Vec::new(), 0);
    for thread in threads {
        let (receipt, whole) = thread.join().map_err(|_| "a stream's thread panicked".to_owned())??;
        stalled += usize::from(!whole);
        receipts.push(receipt);
    }
    let bytes: u64 = receipts.iter().map(|receipt| receipt.bytes).sum();
    // A stream of which nothing came has no first byte.
    let first = receipts.iter().filter(|receipt| receipt.bytes > 0).map(|receipt| receipt.first).min();
    let first = first.ok_or("no byte arrived in time")?;
    let last = receipts.iter().map(|receipt| receipt.last).max().unwrap_or(0);
    let seconds = last.saturating_sub(first).max(1) as f64 / 1e9;
    let slowest = receipts.iter().map(|receipt| receipt.bytes).min().unwrap_or(0);
    let pause = receipts.iter().map(|receipt| receipt.pause).max().unwrap_or(0) as f64 / 1e6;
    let share = slowest as f64 * streams as f64 / bytes.max(1) as f64;
    println!(
        "{{\"bytes\": {bytes}, \"seconds\": {seconds:.6}, \"gbit_per_s\": {:.4}, \"slowest_share\": {share:.3}, \
         \"stalled\": {stalled}, \"pause_ms\": {pause:.3}}}",
        bytes as f64 * 8.0 / seconds / 1e9
    );
    Ok(())
}
