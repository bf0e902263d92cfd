//! Request and response on one open flow: how long one waits for the answer.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::bulk;
use crate::pattern::Pattern;
use crate::ports;
use crate::stats::Latencies;

/// A datagram that takes longer is lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// Round trips that are not counted: ARP, first wake-ups.
const WARM_UP: u64 = 10;
/// Losses that end the measurement.
const LOSSES: u64 = 20;

struct Game {
    pattern: Pattern,
    request: Vec<u8>,
    response: Vec<u8>,
    latencies: Latencies,
    lost: u64,
}

impl Game {
    /// Plays until the end; `exchange` says whether the answer came.
    fn play(
        mut self,
        duration: Duration,
        mut exchange: impl FnMut(&[u8], &mut [u8]) -> Result<bool, String>,
    ) -> Result<Self, String> {
        let began = Instant::now();
        for number in 0.. {
            if began.elapsed() > duration || self.lost > LOSSES {
                break;
            }
            self.pattern.fill_datagram(number, &mut self.request);
            let asked = Instant::now();
            if !exchange(&self.request, &mut self.response)? {
                self.lost += 1;
            } else if self.request != self.response {
                return Err(format!("the answer to request {number} is wrong"));
            } else if number >= WARM_UP {
                self.latencies.push(asked.elapsed());
            }
        }
        Ok(self)
    }
}

fn tcp(address: IpAddr, game: Game, duration: Duration) -> Result<Game, String> {
    let mut stream = bulk::open(SocketAddr::new(address, ports::ECHO))?;
    stream.set_nodelay(true).map_err(|error| format!("TCP_NODELAY: {error}"))?;
    game.play(duration, |request, response| {
        stream.write_all(request).map_err(|error| format!("request: {error}"))?;
        stream.read_exact(response).map_err(|error| format!("response: {error}"))?;
        Ok(true)
    })
}

fn udp(address: IpAddr, game: Game, duration: Duration) -> Result<Game, String> {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(|error| format!("bind: {error}"))?;
    socket.connect((address, ports::ECHO)).map_err(|error| format!("connect: {error}"))?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(|error| format!("time-out: {error}"))?;
    game.play(duration, |request, response| {
        socket.send(request).map_err(|error| format!("request: {error}"))?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match socket.recv(response) {
                // The number tells a late answer to an earlier request.
                Ok(_) if response[..8] == request[..8] => return Ok(true),
                Ok(_) => {}
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    })
}

/// The command `pingpong`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let protocol = arguments.word("a protocol")?;
    let address = arguments.address()?;
    let size = arguments.option("size", 64_usize)?.clamp(8, 65_000);
    let duration = arguments.seconds(1.0)?;
    let game = Game {
        pattern: Pattern::new(),
        request: vec![0; size],
        response: vec![0; size],
        latencies: Latencies::default(),
        lost: 0,
    };
    let began = Instant::now();
    let mut game = match protocol.as_str() {
        "tcp" => tcp(address, game, duration),
        "udp" => udp(address, game, duration),
        other => Err(format!("{other:?} is no protocol: tcp or udp")),
    }?;
    let rate = game.latencies.len() as f64 / began.elapsed().as_secs_f64();
    let latencies = game.latencies.json();
    println!("{{\"per_s\": {rate:.1}, \"lost\": {}, {latencies}}}", game.lost);
    Ok(())
}
