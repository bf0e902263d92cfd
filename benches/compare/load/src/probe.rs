//! Is the network there? Tries until bytes have been exchanged.

use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::{idle, ports, sys};

/// The command `probe`.
pub fn run(mut arguments: Arguments) -> Result<(), String> {
    let address = arguments.target(ports::ECHO)?;
    let patience = arguments.seconds(5.0)?;
    let began = Instant::now();
    loop {
        match idle::open(address).and_then(|mut stream| idle::exchange(&mut stream, 1)) {
            Ok(()) => {
                println!("{{\"seconds\": {:.6}, \"now\": {}}}", began.elapsed().as_secs_f64(), sys::now());
                return Ok(());
            }
            Err(error) if began.elapsed() > patience => return Err(format!("{address}: {error}")),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
