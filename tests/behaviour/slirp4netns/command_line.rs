//! The command line: what is refused, in which words and with which code, and what callers look for.

use super::BOTH_PROGRAMS;
use crate::bed::Bed;

both!(refuses_what_the_original_refuses, callers_find_what_they_look_for, is_a_subcommand_too);

/// Wrong lines. Both refuse them, with the same code, the same words and the same usage or none.
const WRONG: &[&str] = &[
    "",
    "1",
    "--foo 1 tap0",
    "-x 1 tap0",
    "-a",
    "--enable-s 1 tap0",
    "--disable-host-loopback=x 1 tap0",
    "-m 0 1 tap0",
    "-m x 1 tap0",
    "-m 65522 1 tap0",
    "--cidr x 1 tap0",
    "--cidr 10.0.2.0 1 tap0",
    "--cidr 10.0.2.0/24/ 1 tap0",
    "--cidr 10.0.2.0/26 1 tap0",
    "--cidr 10.0.2.0/0 1 tap0",
    "--cidr 10.0.2.100/24 1 tap0",
    "--macaddress 02:11:22:33:44:55 1 tap0",
    "-c --macaddress xx 1 tap0",
    "-e x 1 tap0",
    "-e -1 1 tap0",
    "-c abc tap0",
    "-c 0 tap0",
    "--netns-type=path /nope tap0",
    "--userns-path /nope 1 tap0",
    "--target-type=foo 1 tap0",
    "--target-type=bess -c /tmp/x",
    "--target-type=bess --netns-type=path /tmp/x",
    "--outbound-addr nonsense 1 tap0",
];

fn refuses_what_the_original_refuses(bed: &Bed) {
    for line in WRONG {
        let [original, rnet] = BOTH_PROGRAMS.map(|program| {
            let out = bed.sh(&format!("exec {} {line}", program.path())).output();
            let words = out.stderr.trim_end().replace(program.path(), "slirp4netns");
            (out.code(), words, out.stdout.contains("Usage: "))
        });
        assert_eq!(rnet, original, "slirp4netns {line}");
        assert_eq!(rnet.0, 1, "slirp4netns {line}");
    }
    let path = "x".repeat(110);
    let out = bed.sh(&format!("exec /mnt/as/slirp4netns -a /tmp/{path} 1 tap0")).output();
    out.assert_code(1).assert_stderr(&["the specified API socket path is too long (>= 108)"]);
    // Every fault at once.
    let out = bed.sh("exec /mnt/as/slirp4netns -m 0 --cidr x 1 tap0").output();
    out.assert_code(1).assert_stderr(&["MTU must be", "invalid CIDR: x"]);
}

/// podman, buildah, rootlesskit and the scripts of docker and containerd grep these words.
const LOOKED_FOR: &str = "--disable-host-loopback --mtu --enable-sandbox --enable-seccomp --cidr --outbound-addr --enable-ipv6 \
                          --api-socket --netns-type --disable-dns --macaddress --target-type --userns-path --exit-fd --ready-fd";

fn callers_find_what_they_look_for(bed: &Bed) {
    for program in BOTH_PROGRAMS {
        let path = program.path();
        let script = format!("for word in {LOOKED_FOR}; do {path} --help | grep -qw -- $word || echo no $word; done");
        assert_eq!(bed.sh(&script).ok(), "", "{program:?}");
        let version = bed.sh(&format!("{path} --version")).ok();
        let names: Vec<&str> = version.lines().filter_map(|line| line.split([':', ' ']).next()).collect();
        assert_eq!(
            names,
            ["slirp4netns", "commit", "libslirp", "SLIRP_CONFIG_VERSION_MAX", "libseccomp"],
            "{program:?}"
        );
        let highest = version.lines().find_map(|line| line.strip_prefix("SLIRP_CONFIG_VERSION_MAX: "));
        assert!(highest.unwrap().parse::<u32>().unwrap() >= 4, "{version}");
        let given = version.lines().next().unwrap().strip_prefix("slirp4netns version ").unwrap();
        let parts: Vec<u32> = given.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts.len() == 3 && parts >= vec![1, 2, 0], "{version}");
    }
}

fn is_a_subcommand_too(bed: &Bed) {
    let by_name = bed.sh("/mnt/as/slirp4netns --help").ok();
    assert_eq!(bed.rnet(&["slirp4netns", "--help"]).ok(), by_name);
    let other =
        bed.sh("ln -s /mnt/bin/rnet /tmp/slirp4netns-1.3; /tmp/slirp4netns-1.3 --help; rm /tmp/slirp4netns-1.3").ok();
    assert_eq!(other, by_name);
    bed.rnet(&["slirp4netns", "--cidr", "x", "1", "tap0"]).output().assert_code(1).assert_stderr(&["invalid CIDR: x"]);
    assert!(bed.rnet(&["--help"]).ok().contains("slirp4netns"));
}
