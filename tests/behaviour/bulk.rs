//! Bulk: whole gigabytes with their checksums, and iperf3.

use serde_json::Value;

use crate::bed::{BOTH, Bed, Side, WORLD4, WORLD6, eventually, url_host};

both!(heavy_a_gibibyte_each_way, heavy_iperf3_tcp, heavy_iperf3_udp);

fn heavy_a_gibibyte_each_way(bed: &Bed) {
    bed.http(Side::World, 80, "::");
    const LENGTH: u64 = 1 << 30;
    // Up over IPv4, down over IPv6.
    let script = format!(
        "set -e
         python3 /mnt/lib/peer.py pattern {LENGTH} >/tmp/file; sha256sum </tmp/file
         curl -sS --max-time 60 -T /tmp/file http://{WORLD4}/up; rm /tmp/file
         curl -sS --max-time 60 -o /tmp/file http://{}/bytes/{LENGTH}; sha256sum </tmp/file; rm /tmp/file",
        url_host(WORLD6)
    );
    let out = bed.run("", &script).limit(150).ok();
    let lines: Vec<&str> = out.lines().collect();
    let sum = lines[0].split(' ').next().unwrap();
    assert_eq!(lines[1], format!("{LENGTH} {sum}"), "what the world received");
    assert_eq!(lines[2], lines[0], "what the container received");
}

fn iperf3(bed: &Bed, host: &str, options: &str) -> Value {
    let out = bed.run("", &format!("iperf3 -J -c {host} -t 2 {options}")).limit(40).output();
    let json: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}\n{out}"));
    assert!(out.code() == 0 && json["error"].is_null(), "iperf3 {options} to {host}\n{out}");
    json
}

fn iperf3_server(bed: &Bed) {
    bed.root(Side::World, "exec iperf3 -s >/dev/null").keep();
    let up = eventually(std::time::Duration::from_secs(5), || {
        bed.root(Side::World, "ss -Hltn 'sport = 5201'").ok().contains("5201")
    });
    assert!(up, "iperf3's server does not listen");
}

fn heavy_iperf3_tcp(bed: &Bed) {
    iperf3_server(bed);
    for host in BOTH {
        for options in ["", "-R", "-P 4", "-P 4 -R", "--bidir"] {
            let json = iperf3(bed, host, options);
            let rate = json["end"]["sum_received"]["bits_per_second"].as_f64().unwrap() / 1e6;
            // Far below what it should be: this finds stalls, not slowness. The comparison with peers is a bench.
            assert!(rate > 200.0, "iperf3 {options} to {host}: {rate} Mbit/s");
        }
    }
}

fn heavy_iperf3_udp(bed: &Bed) {
    iperf3_server(bed);
    for host in BOTH {
        for options in ["-u -b 100M -l 1400", "-u -b 100M -l 1400 -R", "-u -b 100M -l 8000"] {
            let json = iperf3(bed, host, options);
            let sum = &json["end"]["sum"];
            let (packets, lost) = (sum["packets"].as_f64().unwrap(), sum["lost_percent"].as_f64().unwrap());
            eprintln!("iperf3 {options} to {host}: {packets} packets, {lost}% lost");
            assert!(packets > 2000.0, "iperf3 {options} to {host}: {packets} packets\n{sum}");
            assert!(lost < 5.0, "iperf3 {options} to {host}: {lost}% lost\n{sum}");
        }
    }
}
