//! Short connections: connect, one request, one response, close by the server; so many at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::stats::Latencies;
use crate::sys::{self, Epoll};
use crate::{ports, serve};

/// An attempt that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many failures that are also one in [`SHARE`] attempts end the measurement: there is no figure to be had.
const FAILURES: u64 = 200;
const SHARE: u64 = 10;

struct Attempt {
    stream: TcpStream,
    began: Instant,
    request: [u8; serve::REQUEST_SIZE],
    asked: bool,
    got: Vec<u8>,
}

enum Progress {
    Waits,
    Done,
    Failed(String),
}

impl Attempt {
    fn start(address: SocketAddr, number: u64) -> Result<Self, String> {
        let stream = sys::connect_nonblocking(address).map_err(|error| format!("connect: {error}"))?;
        let mut request = [0; serve::REQUEST_SIZE];
        for (index, field) in request.chunks_exact_mut(8).enumerate() {
            field.copy_from_slice(&(number.wrapping_mul(31) + index as u64).to_le_bytes());
        }
        Ok(Self { stream, began: Instant::now(), request, asked: false, got: Vec::with_capacity(serve::RESPONSE_SIZE) })
    }

    fn advance(&mut self) -> Progress {
        if !self.asked {
            match self.stream.write(&self.request) {
                Ok(count) if count == self.request.len() => self.asked = true,
                Ok(count) => return Progress::Failed(format!("request: {count} bytes taken")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                // The first write tells what became of connect().
                Err(error) => return Progress::Failed(format!("connect or request: {error}")),
            }
        }
        let mut buffer = [0; 2 * serve::RESPONSE_SIZE];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if serve::answers(&self.request, &self.got) => return Progress::Done,
                Ok(0) => return Progress::Failed(format!("wrong response of {} bytes", self.got.len())),
                Ok(count) => self.got.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(error) => return Progress::Failed(format!("response: {error}")),
            }
        }
    }
}

struct Client {
    address: SocketAddr,
    epoll: Epoll,
    slots: Vec<Option<Attempt>>,
    started: u64,
    limit: u64,
    began: Instant,
    latencies: Latencies,
    // Successes in each tenth of a second.
    tenths: Vec<u64>,
    failures: u64,
    reason: Option<String>,
}

impl Client {
    /// Gives a free slot its next attempt.
    fn fill(&mut self, slot: usize) {
        if self.started >= self.limit || self.has_failed() {
            return;
        }
        self.started += 1;
        let attempt = Attempt::start(self.address, self.started);
        let watched = attempt.and_then(|attempt| {
            self.epoll.add(&attempt.stream, slot as u64).map_err(|error| format!("epoll: {error}"))?;
            Ok(attempt)
        });
        match watched {
            Ok(attempt) => self.slots[slot] = Some(attempt),
            Err(reason) => self.fail(reason),
        }
    }

    fn fail(&mut self, reason: String) {
        self.failures += 1;
        self.reason.get_or_insert(reason);
    }

    fn advance(&mut self, slot: usize) {
        let Some(attempt) = &mut self.slots[slot] else { return };
        match attempt.advance() {
            Progress::Waits => return,
            Progress::Done => {
                self.latencies.push(attempt.began.elapsed());
                let tenth = (self.began.elapsed().as_millis() / 100) as usize;
                if self.tenths.len() <= tenth {
                    self.tenths.resize(tenth + 1, 0);
                }
                self.tenths[tenth] += 1;
            }
            Progress::Failed(reason) => self.fail(reason),
        }
        self.slots[slot] = None;
        self.fill(slot);
    }

    /// Ends attempts that take too long, and fills slots that could not be filled.
    fn sweep(&mut self) {
        for slot in 0..self.slots.len() {
            match &self.slots[slot] {
                Some(attempt) if attempt.began.elapsed() > PATIENCE => {
                    self.fail(format!("no end within {} s", PATIENCE.as_secs()));
                    self.slots[slot] = None;
                    self.fill(slot);
                }
                Some(_) => {}
                None => self.fill(slot),
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.failures >= FAILURES && self.failures * SHARE >= self.started
    }

    fn is_over(&self, end: Instant) -> bool {
        let idle = self.slots.iter().all(Option::is_none);
        Instant::now() >= end || self.has_failed() || (self.started >= self.limit && idle)
    }

    fn report(mut self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let whole = (seconds * 10.0) as usize;
        self.tenths.resize(whole.max(1), 0);
        let ends = whole.clamp(1, 20);
        let rate = |tenths: &[u64]| tenths.iter().sum::<u64>() as f64 * 10.0 / tenths.len() as f64;
        let (first, last) = (rate(&self.tenths[..ends]), rate(&self.tenths[self.tenths.len() - ends..]));
        format!(
            "{{\"done\": {}, \"seconds\": {seconds:.4}, \"per_s\": {:.1}, \"first_per_s\": {first:.1}, \
             \"last_per_s\": {last:.1}, \"failures\": {}, \"reason\": {:?}, {}}}",
            self.latencies.len(),
            self.latencies.len() as f64 / seconds,
            self.failures,
            self.reason.take().unwrap_or_default(),
            self.latencies.json()
        )
    }
}

/// The command `connect`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let address = arguments.target(ports::REQUEST)?;
    let parallel = arguments.option("parallel", 1_usize)?.clamp(1, 4096);
    let limit = arguments.option("count", 1_000_000_u64)?.min(1_000_000);
    let duration = arguments.seconds(1.0)?;
    let epoll = Epoll::new().map_err(|error| format!("epoll: {error}"))?;
    let began = Instant::now();
    let slots = (0..parallel).map(|_| None).collect();
    let latencies = Latencies::default();
    let mut client = Client {
        address,
        epoll,
        slots,
        started: 0,
        limit,
        began,
        latencies,
        tenths: vec![],
        failures: 0,
        reason: None,
    };
    client.sweep();
    let (mut tokens, mut swept) = (Vec::new(), Instant::now());
    while !client.is_over(began + duration) {
        client.epoll.wait(&mut tokens, 20).map_err(|error| format!("epoll: {error}"))?;
        for &token in &tokens {
            client.advance(token as usize);
        }
        if swept.elapsed() > Duration::from_millis(20) {
            client.sweep();
            swept = Instant::now();
        }
    }
    println!("{}", client.report());
    Ok(())
}
