//! The throughput table, a snapshot: a change of behaviour shows as a difference. Integrity is checked in each cell.

use std::fmt::Write as _;

use rnet_stack::Duration;

use super::link::Impairment;
use super::transfer::{Direction, Transfer};
use super::world::{Ip, Opener};

/// Enough packets of either size that a loss of one in a thousand happens.
const fn volume(mtu: u16) -> usize {
    if mtu > 9000 { 16 << 20 } else { 2 << 20 }
}

const LOSSES: [(&str, u32); 4] = [("0", 0), ("0.1%", 1_000), ("1%", 10_000), ("5%", 50_000)];
const RTTS_MS: [u64; 3] = [0, 1, 20];
const MTUS: [u16; 2] = [1500, 65520];
const DISORDERS: [(&str, u32, u32); 3] = [("in order", 0, 0), ("reordered 2%", 20_000, 0), ("twice 2%", 0, 20_000)];

fn cell(direction: Direction, ip: Ip, mtu: u16, impairment: Impairment) -> String {
    let took = Transfer { direction, ip, opener: Opener::Guest, mtu, impairment, bytes: volume(mtu) }.run();
    let megabits = volume(mtu) as f64 * 8.0 / took.total_micros() as f64;
    format!("{megabits:>9.2}")
}

fn table(ip: Ip, disorders: &[(&str, u32, u32)]) -> String {
    let mut table = String::new();
    for &(name, reorder, duplicate) in disorders {
        for mtu in MTUS {
            writeln!(table, "{ip:?}, MTU {mtu}, {name}: Mbit/s").unwrap();
            write!(table, "  {:>8} {:>7}", "", "RTT ms").unwrap();
            for (loss, _) in LOSSES {
                write!(table, " {loss:>9}").unwrap();
            }
            writeln!(table, "  loss").unwrap();
            for direction in [Direction::Out, Direction::In] {
                for rtt in RTTS_MS {
                    write!(table, "  {:>8} {rtt:>7}", format!("{direction:?}")).unwrap();
                    for (_, loss) in LOSSES {
                        let delay = Duration::from_micros(rtt * 500);
                        let impairment = Impairment { delay, loss, reorder, duplicate };
                        write!(table, " {}", cell(direction, ip, mtu, impairment)).unwrap();
                    }
                    writeln!(table).unwrap();
                }
            }
        }
    }
    table
}

/// Compares with the table in the repository; `UPDATE_SNAPSHOTS=1` writes it anew.
fn check(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netsim/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == found {
        return;
    }
    let mut difference = String::new();
    for (line, (was, is)) in expected.lines().zip(found.lines()).enumerate() {
        if was != is {
            writeln!(difference, "line {}\n- {was}\n+ {is}", line + 1).unwrap();
        }
    }
    panic!(
        "{} has changed; UPDATE_SNAPSHOTS=1 cargo test -p rnet-stack --test netsim accepts it\n{difference}",
        path.display()
    );
}

#[test]
fn throughput_over_ipv4() {
    let found = table(Ip::V4, &DISORDERS);
    println!("{found}");
    check("ipv4.txt", &found);
}

#[test]
fn throughput_over_ipv6() {
    let found = table(Ip::V6, &DISORDERS[..1]);
    println!("{found}");
    check("ipv6.txt", &found);
}
