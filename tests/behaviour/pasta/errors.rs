//! What is wrong, in the words that callers look for, and with pasta's exit code.

use super::PROGRAMS;
use crate::bed::Bed;

only!(Plain as_user: unknown_options, help_and_version, bad_values, ports_that_cannot_be_had, targets_that_are_not_there,
    options_that_make_no_difference, mtus, no_pid_file_is_left_when_it_fails);

fn unknown_options(bed: &Bed) {
    for program in PROGRAMS {
        let out = bed.sh(&format!("exec {program} --config-net --foo 1")).output();
        out.assert_code(1).assert_stderr(&[&format!("{program}: unrecognized option '--foo'"), "Usage:"]);
        let out = bed.sh(&format!("exec {program} -t")).output();
        out.assert_code(1).assert_stderr(&["option requires an argument -- 't'"]);
    }
    bed.sh("exec /mnt/as/pasta --no-dhcp-dns true")
        .output()
        .assert_code(1)
        .assert_stderr(&["--no-dhcp-dns is for passt mode only"]);
    bed.sh("exec /mnt/as/pasta -s /tmp/x true").output().assert_code(1).assert_stderr(&["-s is for passt"]);
}

fn help_and_version(bed: &Bed) {
    let out = bed.sh("exec /mnt/as/pasta --version").ok();
    assert!(out.starts_with("pasta 20"), "{out}");
    // rootlesskit asks so whether there is such an option.
    bed.sh("exec /mnt/as/pasta --host-lo-to-ns-lo --version").output().assert_code(0);
    let help = bed.sh("exec /mnt/as/pasta --help").ok();
    for word in ["--map-guest-addr", "--host-lo-to-ns-lo", "--config-net", "--dns-forward", "Usage: "] {
        assert!(help.contains(word), "no {word} in\n{help}");
    }
    let own = bed.rnet(&["pasta", "--version"]).output();
    own.assert_code(0);
    assert_eq!(own.stdout.trim_end(), out);
    bed.rnet(&["--help"]).output().assert_code(0);
}

fn bad_values(bed: &Bed) {
    for (options, message) in [
        ("-a zzz", "nvalid"),
        ("-g zzz", "Invalid gateway address: zzz"),
        ("-o zzz", "Invalid or redundant outbound address: zzz"),
        ("-D zzz", "Cannot use DNS address zzz"),
        ("--dns-forward zzz", "Invalid DNS forwarding address: zzz"),
        ("-i nope", "Invalid interface name nope: No such device"),
        ("--log-size 5", "Invalid --log-size: 5"),
        ("--runas nobodyx", "Invalid --runas option: nobodyx"),
        ("-I 01234567890123456", "Invalid interface name: 01234567890123456"),
        ("-t abc", "nvalid port specifier"),
        ("-t 5-3", "nvalid port specifier"),
        ("-t 99999", "nvalid port specifier"),
        ("-t 80,~80", "Failed to bind any port for '-t 80,~80'"),
    ] {
        for program in PROGRAMS {
            bed.sh(&format!("exec {program} --config-net {options} -- true"))
                .output()
                .assert_code(1)
                .assert_stderr(&[message]);
        }
    }
    for (options, message) in [
        ("-m ten", "Invalid MTU: ten"),
        ("-M zz", "Invalid MAC address: zz"),
        ("--map-guest-addr zz", "Invalid address to remap to host: zz"),
        ("--host-lo-to-ns-lo --no-splice", "--host-lo-to-ns-lo is incompatible with --no-splice"),
        ("-t none -t 5", "Port forwarding mode 'none' conflicts with previous mode"),
        ("--no-tcp -t 5", "TCP port forwarding requested but TCP is disabled"),
        ("-a 10.0.0.5/24 -n 24", "Redundant prefix length specification"),
        ("-P /nonexistent/x", "Couldn't open PID file /nonexistent/x: No such file or directory"),
        ("-l /nonexistent/x", "Couldn't open log file /nonexistent/x: No such file or directory"),
        ("-p /nonexistent/x", "/nonexistent/x"),
    ] {
        bed.sh(&format!("exec /mnt/as/pasta --config-net -q {options} -- true"))
            .output()
            .assert_code(1)
            .assert_stderr(&[message]);
    }
    bed.sh("exec /mnt/as/pasta --no-copy-routes -- true")
        .output()
        .assert_code(1)
        .assert_stderr(&["--no-copy-routes needs --config-net"]);
}

fn ports_that_cannot_be_had(bed: &Bed) {
    bed.python_server(
        crate::bed::Side::Host,
        "s = socket.create_server(('', 18080)); report(ready=True); time.sleep(99)",
    );
    let out = bed.sh("exec /mnt/as/pasta --config-net -q -t 80-80:80-80 -- true").output();
    out.assert_code(1)
        .assert_stderr(&["Failed to bind port 80 (Permission denied) for option '-t 80-80:80-80', exiting"]);
    let out = bed.sh("exec /mnt/as/pasta --config-net -q -t 18080 -- true").output();
    out.assert_code(1)
        .assert_stderr(&["Failed to bind port 18080 (Address already in use) for option '-t 18080', exiting"]);
    // In attach mode the same comes from the background.
    let container = crate::attach::Container::new(bed);
    let out = bed.sh(&format!("exec /mnt/as/pasta --config-net -q -u 53-53:53-53 {}", container.pid)).output();
    out.assert_code(1)
        .assert_stderr(&["Failed to bind port 53 (Permission denied) for option '-u 53-53:53-53', exiting"]);
    container.end();
}

fn targets_that_are_not_there(bed: &Bed) {
    for program in PROGRAMS {
        bed.sh(&format!("exec {program} --config-net 3999999")).output().assert_code(1);
        bed.sh(&format!("exec {program} --config-net --netns /tmp/nope")).output().assert_code(1);
    }
    bed.sh("exec /mnt/as/pasta --netns /tmp/x 5")
        .output()
        .assert_code(1)
        .assert_stderr(&["Both --netns and PID or command given"]);
    bed.sh("exec /mnt/as/pasta --userns /tmp/x -- true").output().assert_code(1).assert_stderr(&["--userns"]);
}

fn options_that_make_no_difference(bed: &Bed) {
    let options = "--config-net -e --stats 1 -f --chroot-fallback --no-netns-quit --runas 0 -d -q";
    bed.sh(&format!("exec /mnt/as/pasta {options} -- true")).output().assert_code(0);
    bed.sh("exec /mnt/as/pasta --config-net --trace -- true").output().assert_code(0);
}

fn mtus(bed: &Bed) {
    let script = "exec ip -o link show eth0";
    for program in PROGRAMS {
        for (mtu, has) in [("10", 1500), ("67", 1500), ("0", 1500), ("1280", 1280), ("65520", 65520)] {
            let out =
                super::spawn(bed, program, &format!("--config-net -m {mtu} {}", super::NO_PORTS), script).output();
            out.assert_code(0);
            assert!(out.stdout.contains(&format!("mtu {has} ")), "{program} -m {mtu}\n{out}");
            let is_small = mtu == "10" || mtu == "67";
            let note = format!("MTU {mtu} is too small for IPv4 (minimum 68)");
            // The peer tells so even of 0, which is no MTU.
            assert!(out.stderr.contains(&note) == is_small || mtu == "0", "{program} -m {mtu}\n{out}");
        }
        let out = bed.sh(&format!("exec {program} --config-net -m 70000 -- true")).output();
        // How large it may be depends on the release.
        out.assert_code(1).assert_stderr(&["MTU 70000 too large (max 6552"]);
    }
}

fn no_pid_file_is_left_when_it_fails(bed: &Bed) {
    for options in
        ["-t 80-80:80-80 -- true", "-- /nonexistent", "-t 5-3 -- true", "--foo", "3999999", "--netns /tmp/nope"]
    {
        let out = bed.sh(&format!("exec /mnt/as/pasta --config-net -q -P /tmp/pid {options}")).output();
        out.assert_code(1);
        assert!(!bed.path("/tmp/pid").exists(), "{options}\n{out}");
    }
    let container = crate::attach::Container::new(bed);
    let out = bed.sh(&format!("exec /mnt/as/pasta --config-net -P /tmp/pid -u 53-53:53-53 {}", container.pid)).output();
    out.assert_code(1);
    assert!(!bed.path("/tmp/pid").exists(), "{out}");
    container.end();
}
