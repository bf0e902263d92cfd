//! Engines of the unprivileged user that start pasta or slirp4netns, and find rnet by that name.

mod buildah;
mod docker;
mod podman_networks;
mod podman_pasta;
mod podman_slirp4netns;
mod rootlesskit;
mod unshare;

use crate::bed::{Bed, Side};

/// Fetches from outside, `curl` of the host's /usr.
const FETCH: &str = "/usr/bin/curl -sS --max-time 10 http://203.0.113.1/";

/// What a client on one side gets from a published port.
fn fetch(bed: &Bed, side: Side, url: &str) -> String {
    let mut last = String::new();
    // A container needs its time to listen.
    for _ in 0..50 {
        let out = bed.root(side, &format!("exec curl -sS --max-time 5 {url}")).output();
        if out.code() == 0 {
            return out.stdout.trim_end().to_owned();
        }
        last = format!("{out}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{url}: {last}")
}
