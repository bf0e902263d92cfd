//! Load for the comparison of network proxies: one server with all the counterparts, and one client for each kind of
//! traffic. A client prints one line of JSON. All payload is a known pattern and is checked where it arrives.
//!
//! Every client is bounded by a time and by a count, so that none outlives its measurement.

mod arguments;
mod bulk;
mod connect;
mod dns;
mod idle;
mod pattern;
mod pingpong;
mod ports;
mod probe;
mod serve;
mod stats;
mod sys;
mod udp;
mod udp_server;

use arguments::Arguments;

const USAGE: &str = "\
usage: load serve ADDRESS...                        the counterparts, until killed
       load probe ADDRESS [--seconds S]             waits until ADDRESS exchanges bytes
       load bulk out|in ADDRESS [--streams N] [--seconds S]
       load connect ADDRESS [--parallel N] [--seconds S] [--count N]
       load pingpong tcp|udp ADDRESS [--size N] [--seconds S]
       load udp out|in|both ADDRESS [--size N] [--gso N] [--seconds S]
       load dns cached|uncached ADDRESS [--outstanding N] [--from NUMBER] [--seconds S]
       load idle ADDRESS [--flows N]                holds the flows until stdin ends; a line on stdin exchanges bytes
--shift N: the ports are higher by N, as published ports are (not for udp)";

fn main() {
    sys::raise_descriptor_limit();
    sys::die_with_parent();
    let result = Arguments::from_env().and_then(|mut arguments| {
        let command = arguments.word("a command")?;
        match command.as_str() {
            "serve" => serve::run(arguments),
            "probe" => probe::run(arguments),
            "bulk" => bulk::run(arguments),
            "connect" => connect::run(arguments),
            "pingpong" => pingpong::run(arguments),
            "udp" => udp::run(arguments),
            "dns" => dns::run(arguments),
            "idle" => idle::run(arguments),
            other => Err(format!("unknown command {other:?}\n{USAGE}")),
        }
    });
    if let Err(error) = result {
        eprintln!("load: {error}");
        std::process::exit(1);
    }
}
