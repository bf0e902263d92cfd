//! Notes what is built from what and when, for `netavark version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let target = std::env::var("TARGET").unwrap_or_default();
    let date = std::env::var("SOURCE_DATE_EPOCH").map_or("now".into(), |epoch| format!("@{epoch}"));
    let build_time = said("date", &["-u", "-d", &date, "+%Y-%m-%dT%H:%M:%SZ"]);
    let commit = said("git", &["rev-parse", "HEAD"]);
    println!("cargo::rustc-env=RNET_TARGET={target}");
    println!("cargo::rustc-env=RNET_BUILD_TIME={build_time}");
    println!("cargo::rustc-env=RNET_COMMIT={commit}");
}

/// What a program prints; nothing where it cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
