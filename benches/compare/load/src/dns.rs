//! Queries for names, so many under way at once: how many are answered in a second, and how long each takes.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::stats::Latencies;

/// A query that takes longer is lost, and another one takes its place.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names that are asked for again and again, once each before anything is counted.
const KNOWN: u64 = 100;
/// Losses that end the measurement.
const LOSSES: u64 = 200;

/// A query that is under way.
struct Asked {
    number: u64,
    at: Instant,
}

/// A query for the address of `nNUMBER.bench.example`, under this id.
fn query(id: u16, number: u64) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [format!("n{number:011}").as_str(), "bench", "example"] {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// Which of those that are under way a message answers; an error when it answers with anything but one address.
fn answered(message: &[u8], under_way: &[Asked]) -> Result<Option<usize>, String> {
    let Some(&[high, low, flags, code, _, _, _, answers]) = message.get(..8).and_then(|head| head.first_chunk::<8>())
    else {
        return Err("an answer of less than 8 bytes".into());
    };
    let slot = usize::from(u16::from_be_bytes([high, low]));
    let Some(asked) = under_way.get(slot) else { return Ok(None) };
    if message.get(12..).is_none_or(|rest| !rest.starts_with(&query(0, asked.number)[12..])) {
        // To one that was given up.
        return Ok(None);
    }
    if flags & 0x80 == 0 || code & 15 != 0 || answers != 1 {
        return Err(format!("code {} and {answers} addresses", code & 15));
    }
    Ok(Some(slot))
}

/// The command `dns`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let kind = arguments.word("cached or uncached")?;
    let address = arguments.address()?;
    let count = arguments.option("outstanding", 1_usize)?.clamp(1, 1000);
    let start = arguments.option("from", 0_u64)?;
    let duration = arguments.seconds(1.0)?;
    let again = match kind.as_str() {
        "cached" => true,
        "uncached" => false,
        other => return Err(format!("{other:?} is neither cached nor uncached")),
    };
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(|error| format!("bind: {error}"))?;
    socket.connect((address, 53)).map_err(|error| format!("connect: {error}"))?;
    socket.set_read_timeout(Some(PATIENCE / 5)).map_err(|error| format!("time-out: {error}"))?;

    let mut number = start;
    let mut next = |slot: usize| -> Result<Asked, String> {
        let this = if again { number % KNOWN } else { number };
        number += 1;
        socket.send(&query(slot as u16, this)).map_err(|error| format!("query: {error}"))?;
        Ok(Asked { number: this, at: Instant::now() })
    };
    let mut under_way: Vec<Asked> = (0..count).map(&mut next).collect::<Result<_, _>>()?;
    let (mut latencies, mut lost, mut seen) = (Latencies::default(), 0, 0);
    let mut began = Instant::now();
    let mut room = [0; 4096];
    let warm_up = KNOWN.max(2 * count as u64);
    while began.elapsed() < duration && lost <= LOSSES {
        match socket.recv(&mut room) {
            Ok(len) => {
                if let Some(slot) = answered(&room[..len], &under_way)? {
                    seen += 1;
                    if seen == warm_up {
                        began = Instant::now();
                    } else if seen > warm_up {
                        latencies.push(under_way[slot].at.elapsed());
                    }
                    under_way[slot] = next(slot)?;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(format!("answer: {error}")),
        }
        if seen % 256 == 0 {
            for slot in 0..count {
                if under_way[slot].at.elapsed() > PATIENCE {
                    lost += 1;
                    under_way[slot] = next(slot)?;
                }
            }
        }
    }
    let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
    println!("{{\"per_s\": {rate:.1}, \"lost\": {lost}, {}}}", latencies.json());
    Ok(())
}
