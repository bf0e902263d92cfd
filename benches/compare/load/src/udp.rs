//! Datagrams as fast as they go: what arrives, and how much of what was sent is lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::pattern::Pattern;
use crate::sys::{self, Batch};
use crate::{bulk, ports};

/// Datagrams of one system call.
const BATCH: usize = 32;
/// No measurement sends more than this.
const LIMIT: u64 = 50_000_000;
/// What a datagram that only opens the way looks like: shorter than any that counts.
pub const HELLO: [u8; 8] = [0xff; 8];
/// How long after the last datagram was sent one may still arrive.
const TAIL: Duration = Duration::from_millis(200);
// Linux's udp.h; the libc crate lacks them for some targets.
const SOL_UDP: i32 = 17;
const UDP_SEGMENT: i32 = 103;
const UDP_GRO: i32 = 104;

/// What one measurement shall be; the client's order to the server.
#[derive(Clone, Copy)]
pub struct Order {
    /// The client sends.
    pub out: bool,
    /// The server sends.
    pub back: bool,
    /// Bytes of a datagram, above eight.
    pub size: usize,
    /// Datagrams in one super-datagram, as QUIC stacks send them; 1 for none.
    pub gso: usize,
    /// For how long.
    pub duration: Duration,
}

impl Order {
    /// For the wire.
    pub fn to_words(self) -> [u64; 5] {
        let duration = self.duration.as_millis() as u64;
        [self.out.into(), self.back.into(), self.size as u64, self.gso as u64, duration]
    }

    /// From the wire, held within its bounds.
    pub fn from_words([out, back, size, gso, duration]: [u64; 5]) -> Self {
        let size = size.clamp(16, 60_000) as usize;
        let gso = (gso.clamp(1, 60) as usize).min(60_000 / size).max(1);
        Self { out: out != 0, back: back != 0, size, gso, duration: Duration::from_millis(duration.min(120_000)) }
    }
}

/// What one end sent and received.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub sent: u64,
    pub received: u64,
    pub wrong: u64,
    /// When the first and the last datagram came (nanoseconds, monotonic).
    pub first: u64,
    pub last: u64,
}

impl Tally {
    /// For the wire.
    pub fn to_words(self) -> [u64; 5] {
        [self.sent, self.received, self.wrong, self.first, self.last]
    }

    fn from_words([sent, received, wrong, first, last]: [u64; 5]) -> Self {
        Self { sent, received, wrong, first, last }
    }

    fn datagram(&mut self, pattern: &Pattern, datagram: &[u8]) {
        if datagram.len() <= HELLO.len() {
            return;
        }
        match pattern.check_datagram(datagram) {
            Some(_) => self.received += 1,
            None => self.wrong += 1,
        }
    }
}

/// Writes words to the control stream.
pub fn write_words(stream: &mut TcpStream, words: [u64; 5]) -> Result<(), String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    stream.write_all(&bytes).map_err(|error| format!("control: {error}"))
}

/// Reads words from the control stream.
pub fn read_words(stream: &mut TcpStream) -> Result<[u64; 5], String> {
    let mut bytes = [0; 40];
    stream.read_exact(&mut bytes).map_err(|error| format!("control: {error}"))?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok([0, 1, 2, 3, 4].map(|index| u64::from_le_bytes(words[index])))
}

/// Prepares a socket for an order.
pub fn prepare(socket: &UdpSocket, order: &Order) -> Result<(), String> {
    let fail = |error| format!("UDP socket: {error}");
    // Without the privilege the default size stays.
    let _ = sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 1 << 20);
    socket.set_read_timeout(Some(Duration::from_millis(50))).map_err(fail)?;
    if order.gso > 1 {
        sys::set_option(socket, SOL_UDP, UDP_GRO, 1).map_err(fail)?;
    }
    Ok(())
}

/// Sends as fast as the kernel takes it; how many it took.
pub fn blast(socket: &UdpSocket, order: &Order) -> Result<u64, String> {
    if order.gso > 1 {
        sys::set_option(socket, SOL_UDP, UDP_SEGMENT, order.size as i32).map_err(|error| format!("GSO: {error}"))?;
    }
    let (pattern, end) = (Pattern::new(), Instant::now() + order.duration);
    let mut batch = Batch::new((BATCH / order.gso).max(1), order.size * order.gso);
    let mut sent = 0_u64;
    while Instant::now() < end && sent < LIMIT {
        let datagrams = batch.slots().flat_map(|slot| slot.chunks_exact_mut(order.size));
        for (number, datagram) in (sent..).zip(datagrams) {
            pattern.fill_datagram(number, datagram);
        }
        match batch.send(socket.as_raw_fd()) {
            Ok(count) => sent += (count * order.gso) as u64,
            // A full queue, or news of an earlier datagram's fate.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ECONNREFUSED)) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("send after {sent} datagrams: {error}")),
        }
    }
    Ok(sent)
}

/// Counts what comes until `stop`.
pub fn count(socket: &UdpSocket, order: &Order, stop: &AtomicBool) -> Tally {
    let (pattern, mut tally) = (Pattern::new(), Tally::default());
    let slot = if order.gso > 1 { 65_536 } else { order.size + 1 };
    let mut batch = Batch::new(BATCH, slot);
    while !stop.load(Ordering::Relaxed) {
        let before = tally.received;
        let result = batch.receive(socket.as_raw_fd(), |bytes| {
            let size = if order.gso > 1 { order.size } else { slot };
            bytes.chunks(size).for_each(|datagram| tally.datagram(&pattern, datagram));
        });
        if result.is_ok() && tally.received > before {
            tally.last = sys::now();
            if before == 0 {
                tally.first = tally.last;
            }
        }
    }
    tally
}

/// A receiver in a thread of its own.
pub struct Counter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

impl Counter {
    /// Starts counting.
    pub fn start(socket: &UdpSocket, order: Order) -> Result<Self, String> {
        let socket = socket.try_clone().map_err(|error| format!("UDP socket: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        Ok(Self { stop, thread: thread::spawn(move || count(&socket, &order, &flag)) })
    }

    /// Ends counting.
    pub fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Opens the way: the server must learn this socket's address, the proxy must make its mapping.
fn hello(socket: &UdpSocket) -> Result<(), String> {
    let mut answer = [0; 65_536];
    for _ in 0..60 {
        socket.send(&HELLO).map_err(|error| format!("hello: {error}"))?;
        if socket.recv(&mut answer).is_ok() {
            return Ok(());
        }
    }
    Err("no datagram gets through".to_owned())
}

/// The members of a JSON object for one direction.
fn json(direction: &str, sent: u64, tally: &Tally) -> String {
    let seconds = tally.last.saturating_sub(tally.first).max(1) as f64 / 1e9;
    let rate = if tally.received > 1 { tally.received as f64 / seconds } else { 0.0 };
    let loss = 100.0 - tally.received as f64 * 100.0 / sent.max(1) as f64;
    format!(
        "\"{direction}\": {{\"sent\": {sent}, \"received\": {}, \"per_s\": {rate:.1}, \"loss_percent\": {loss:.2}}}",
        tally.received
    )
}

/// The command `udp`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let (out, back) = match arguments.word("a direction")?.as_str() {
        "out" => (1, 0),
        "in" => (0, 1),
        "both" => (1, 1),
        other => return Err(format!("{other:?} is no direction: out, in or both")),
    };
    let address: IpAddr = arguments.address()?;
    let (size, gso) = (arguments.option("size", 64)?, arguments.option("gso", 1)?);
    let order = Order::from_words([out, back, size, gso, arguments.seconds(1.0)?.as_millis() as u64]);

    let mut control = bulk::open(SocketAddr::new(address, ports::UDP_CONTROL))?;
    control.set_read_timeout(Some(order.duration + Duration::from_secs(10))).map_err(|error| error.to_string())?;
    write_words(&mut control, order.to_words())?;
    let port = read_words(&mut control)?[0] as u16;
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(|error| format!("bind: {error}"))?;
    socket.connect((address, port)).map_err(|error| format!("connect: {error}"))?;
    prepare(&socket, &order)?;
    hello(&socket)?;

    let counter = Counter::start(&socket, order)?;
    let sent = if order.out {
        blast(&socket, &order)?
    } else {
        thread::sleep(order.duration);
        0
    };
    thread::sleep(TAIL);
    write_words(&mut control, [0; 5])?;
    let theirs = Tally::from_words(read_words(&mut control)?);
    let ours = counter.finish();
    if theirs.wrong + ours.wrong > 0 {
        return Err(format!("{} datagrams arrived with wrong bytes", theirs.wrong + ours.wrong));
    }
    println!("{{{}, {}}}", json("out", sent, &theirs), json("in", theirs.sent, &ours));
    Ok(())
}
