//! Wrong input and machines that lack something: one message that names every fault and says what to do.

use crate::bed::{Bed, Out, Side};

both!(
    every_wrong_flag_is_named_at_once,
    every_wrong_key_is_named_at_once,
    contradictions_are_named,
    a_missing_command_is_said,
    a_configuration_that_cannot_be_read,
    help_and_version_are_no_errors,
    a_missing_tap_device,
    a_forbidden_tap_device,
    an_unwritable_log,
);

only!(Plain as_user: forbidden_user_namespaces, absent_newuidmap, exhausted_ids, exhausted_processes);

/// Fails with `code` and one message that has all the words; the command was not started and nothing is left.
fn fails(bed: &Bed, arguments: &[&str], code: i32, words: &[&str]) -> Out {
    let out = bed.rnet(arguments).output();
    out.assert_code(code).assert_stderr(words);
    assert_eq!(out.stdout, "", "{out}");
    assert!(!out.stderr.contains("panicked") && !out.stderr.contains("RUST_BACKTRACE"), "{out}");
    bed.assert_nothing_left();
    out
}

fn every_wrong_flag_is_named_at_once(bed: &Bed) {
    let wrong = "run --mtu 99999 --cidr 10.0.2.0/33 --mac 01:00:00:00:00:00 --ifname this-name-is-too-long --map-user maybe -- echo started";
    let words = [
        "--mtu",
        "99999",
        "--cidr",
        "10.0.2.0/33",
        "--mac",
        "--ifname",
        "this-name-is-too-long",
        "--map-user",
        "maybe",
    ];
    fails(bed, &wrong.split(' ').collect::<Vec<_>>(), 2, &words);
    fails(bed, &["run", "--no-such-flag", "--mtu", "7", "--", "echo", "started"], 2, &["--no-such-flag", "--mtu 7"]);
}

fn every_wrong_key_is_named_at_once(bed: &Bed) {
    bed.write("/tmp/bad.toml", "mtu = \"large\"\nno-such-key = 1\ncidr = \"10.0.2.0\"\nmax-tcp-flows = -5\n");
    let words = ["/tmp/bad.toml", "mtu", "no-such-key", "cidr", "max-tcp-flows"];
    fails(bed, &["run", "--config", "/tmp/bad.toml", "--", "echo", "started"], 2, &words);
    // Faults of both places in one message.
    fails(bed, &["run", "--config", "/tmp/bad.toml", "--ifname", "a/b", "--", "echo"], 2, &["no-such-key", "a/b"]);
    bed.write("/tmp/torn.toml", "mtu = 1500\nifname = \"tap0\n");
    fails(bed, &["run", "--config", "/tmp/torn.toml", "--", "echo"], 2, &["/tmp/torn.toml", "2"]);
}

fn contradictions_are_named(bed: &Bed) {
    fails(bed, &["run", "-4", "-6", "--", "echo"], 2, &["--ipv4-only", "--ipv6-only"]);
    fails(bed, &["run", "--address", "10.9.9.9", "--", "echo"], 2, &["10.9.9.9", "10.0.2.0/24"]);
    fails(bed, &["run", "--gateway", "10.0.2.100", "--", "echo"], 2, &["10.0.2.100"]);
    fails(bed, &["run", "--outbound-addr", "224.0.0.1", "--", "echo"], 2, &["224.0.0.1", "multicast"]);
    fails(bed, &["run", "--mtu", "1000", "--", "echo"], 2, &["1000", "1280"]);
    fails(bed, &["run", "--cidr", "10.0.2.0/31", "--", "echo"], 2, &["10.0.2.0/31"]);
    fails(bed, &["run", "--cidr6", "10.0.2.0/24", "--", "echo"], 2, &["--cidr6"]);
    fails(bed, &["run", "--address", "10.0.2.255", "--", "echo"], 2, &["10.0.2.255"]);
}

fn a_missing_command_is_said(bed: &Bed) {
    // Without a command it is the user's shell.
    assert_eq!(bed.rnet(&["run"]).env("SHELL", "/bin/sh").stdin("id -u; exit 0\n").ok(), "0");
    fails(bed, &["no-such-verb"], 2, &["no-such-verb"]);
    fails(bed, &[], 2, &["run", "attach"]);
}

fn a_configuration_that_cannot_be_read(bed: &Bed) {
    fails(bed, &["run", "--config", "/no/such/file.toml", "--", "echo"], 2, &["/no/such/file.toml"]);
    fails(bed, &["run", "--config", "/tmp", "--", "echo"], 2, &["/tmp"]);
    fails(bed, &["run", "--config", "/dev/zero", "--", "echo"], 2, &["/dev/zero"]);
}

fn help_and_version_are_no_errors(bed: &Bed) {
    for arguments in [vec!["--help"], vec!["run", "--help"], vec!["attach", "--help"], vec!["--version"]] {
        let out = bed.rnet(&arguments).output();
        out.assert_code(0);
        assert!(!out.stdout.is_empty() && out.stderr.is_empty(), "{out}");
    }
}

fn a_missing_tap_device(bed: &Bed) {
    bed.root(Side::Host, "mount -t tmpfs tmpfs /dev/net").ok();
    let out = bed.run_argv("", &["echo", "started"]).output();
    bed.root(Side::Host, "umount /dev/net").ok();
    out.assert_code(1).assert_stderr(&["/dev/net/tun", "modprobe tun"]);
    assert_eq!(out.stdout, "");
}

fn a_forbidden_tap_device(bed: &Bed) {
    // A device that opens but is no tap, and (for a user) one that cannot be opened.
    bed.root(Side::Host, "mount --bind /dev/null /dev/net/tun").ok();
    let out = bed.run_argv("", &["echo", "started"]).output();
    bed.root(Side::Host, "umount /dev/net/tun").ok();
    out.assert_code(1).assert_stderr(&["/dev/net/tun"]);
    assert_eq!(out.stdout, "");
    if bed.user == crate::bed::User::Plain {
        bed.root(Side::Host, "mount -t tmpfs tmpfs /dev/net; mknod -m 600 /dev/net/tun c 10 200").ok();
        let out = bed.run_argv("", &["echo", "started"]).output();
        bed.root(Side::Host, "umount /dev/net").ok();
        out.assert_code(1).assert_stderr(&["/dev/net/tun", "chmod"]);
        assert_eq!(out.stdout, "");
    }
}

fn an_unwritable_log(bed: &Bed) {
    fails(bed, &["run", "--log-file", "/no/such/dir/log", "--", "echo", "started"], 1, &["/no/such/dir/log"]);
    fails(
        bed,
        &["run", "--log-level", "loud", "--log-format", "xml", "--", "echo"],
        2,
        &["--log-level", "loud", "--log-format", "xml"],
    );
}

fn forbidden_user_namespaces(bed: &Bed) {
    // The bound is per user namespace: inside one where it is 0, none can be made, as on a host where the administrator says so.
    let script = "exec unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec rnet run --map-ids one -- echo started'";
    let out = bed.sh(script).output();
    out.assert_code(1).assert_stderr(&["user namespace", "max_user_namespaces"]);
    assert_eq!(out.stdout, "", "{out}");
}

fn absent_newuidmap(bed: &Bed) {
    let bin = "/tmp/bin";
    bed.sh(&format!("mkdir {bin}; for each in sh cat echo id; do ln -s /bin/$each {bin}/$each; done")).ok();
    let without = |options: &str| {
        bed.sh(&format!("PATH={bin} exec /mnt/bin/rnet run {options} -- sh -c 'id -u; cat /proc/self/uid_map'"))
            .output()
    };
    // Left to itself it works with the one id and says once what is missing; asked for all ids it refuses.
    let auto = without("");
    auto.assert_code(0).assert_stderr(&["newuidmap", "uidmap"]);
    assert_eq!(auto.stdout.lines().next(), Some("0"), "{auto}");
    assert_eq!(auto.stdout.lines().count(), 2, "{auto}");
    let all = without("--map-ids all");
    all.assert_code(1).assert_stderr(&["newuidmap", "uidmap"]);
    assert_eq!(all.stdout, "", "{all}");
    let one = without("--map-ids one");
    one.assert_code(0);
    assert_eq!(one.stderr, "", "{one}");
    bed.sh(&format!("rm -r {bin}")).ok();
}

fn exhausted_ids(bed: &Bed) {
    bed.root(Side::Host, "mount --bind /dev/null /etc/subuid").ok();
    let all = bed.run_argv("--map-ids all", &["echo", "started"]).output();
    let auto = bed.run_argv("", &["cat", "/proc/self/uid_map"]).output();
    bed.root(Side::Host, "umount /etc/subuid").ok();
    all.assert_code(1).assert_stderr(&["/etc/subuid", "usermod --add-subuids"]);
    assert_eq!(all.stdout, "", "{all}");
    auto.assert_code(0);
    assert_eq!(auto.stdout.lines().count(), 1, "{auto}");
}

fn exhausted_processes(bed: &Bed) {
    let out = bed.sh("exec prlimit --nproc=1 rnet run -- echo started").output();
    out.assert_code(1).assert_stderr(&["ulimit -u"]);
    assert_eq!(out.stdout, "", "{out}");
}
