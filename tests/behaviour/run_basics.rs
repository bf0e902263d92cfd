//! `rnet run`: the command's life, identity and files.

use crate::bed::{Bed, Side, User};

both!(
    passes_the_exit_code_on,
    the_end_of_a_very_short_command_is_seen,
    passes_the_streams_through,
    passes_environment_and_directory,
    tells_not_found_from_not_executable,
    is_root_inside,
    keeps_the_id_if_asked,
    maps_one_id_if_asked,
    copies_a_directory_up,
    reads_a_configuration_file,
    leaves_the_host_alone,
    closes_its_own_descriptors,
);

only!(Plain as_user: maps_all_subordinate_ids, files_are_the_users_own);

fn passes_the_exit_code_on(bed: &Bed) {
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        bed.run("", script).output().assert_code(code);
    }
}

fn the_end_of_a_very_short_command_is_seen(bed: &Bed) {
    // It may end before rnet has turned from setting up to waiting. Several at a time, so that they are held up at odd places.
    let script = "for n in $(seq 60); do timeout 10 rnet run -- sh -c 'exit 3'; code=$?; [ $code = 3 ] || echo missed: $code; done";
    let out = bed.sh(&format!("(({script}) & ({script}) & ({script}) & wait)")).limit(60).ok();
    assert_eq!(out, "", "of 180 ends some were not seen");
}

fn passes_the_streams_through(bed: &Bed) {
    // More than a pipe holds, both ways at once.
    let text = "0123456789abcdef\n".repeat(20_000);
    let out = bed.run_argv("", &["sh", "-c", "cat; echo problem >&2"]).stdin(&text).output();
    out.assert_code(0);
    assert!(out.stdout == text, "{} bytes came back of {}", out.stdout.len(), text.len());
    assert_eq!(out.stderr, "problem\n", "standard error holds what the command wrote and nothing else");
}

fn passes_environment_and_directory(bed: &Bed) {
    let seen = bed
        .run_argv("", &["sh", "-c", "echo \"$GREETING\"; pwd; echo \"$0|$1|$2\"", "a b", "", "*"])
        .env("GREETING", "good day")
        .ok();
    assert_eq!(seen, format!("good day\n{}\na b||*", bed.account().home));
}

fn tells_not_found_from_not_executable(bed: &Bed) {
    bed.run_argv("", &["no-such-command"]).output().assert_code(127).assert_stderr(&["no-such-command"]);
    bed.run_argv("", &["/no/such/path"]).output().assert_code(127).assert_stderr(&["/no/such/path"]);
    bed.run_argv("", &["/etc/passwd"]).output().assert_code(126).assert_stderr(&["/etc/passwd"]);
    bed.run_argv("", &["/tmp"]).output().assert_code(126).assert_stderr(&["/tmp"]);
}

fn is_root_inside(bed: &Bed) {
    assert_eq!(bed.run("", "id -u; id -g").ok(), "0\n0");
    // Enough of a root to change its own network.
    bed.run("", "ip link add v0 type veth peer name v1 && ip address add 192.0.2.1/24 dev v0 && ip link set v0 up")
        .ok();
}

fn keeps_the_id_if_asked(bed: &Bed) {
    let account = bed.account();
    assert_eq!(bed.run("--map-user keep", "id -u; id -g").ok(), format!("{}\n{}", account.uid, account.gid));
}

fn maps_one_id_if_asked(bed: &Bed) {
    let map = bed.run("--map-ids one", "cat /proc/self/uid_map /proc/self/gid_map").ok();
    let map: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    let account = bed.account();
    assert_eq!(map, [["0", &account.uid.to_string(), "1"], ["0", &account.gid.to_string(), "1"]]);
}

fn maps_all_subordinate_ids(bed: &Bed) {
    for (file, map) in [("/etc/subuid", "uid_map"), ("/etc/subgid", "gid_map")] {
        let granted = std::fs::read_to_string(file).unwrap();
        let granted = granted.lines().filter_map(|line| line.strip_prefix("rnettest:"));
        let granted: u64 = granted.map(|range| range.split(':').nth(1).unwrap().parse::<u64>().unwrap()).sum();
        let seen = bed.run("", &format!("cat /proc/self/{map}")).ok();
        let mapped: u64 =
            seen.lines().map(|line| line.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(mapped, granted + 1, "{map} holds all of {file} and the user's own id:\n{seen}");
    }
    // And they can be used: this needs two different subordinate ids, one from the far end of the last range.
    bed.run("", "touch f && chown 1:131072 f && stat -c %u:%g f && chown 0:0 f && rm f").ok();
}

fn files_are_the_users_own(bed: &Bed) {
    bed.run("", "echo text >made && id -u >&2").ok();
    let account = bed.account();
    let owner = bed.root(Side::Host, &format!("stat -c %u:%g {}/made", account.home)).ok();
    assert_eq!(owner, format!("{}:{}", account.uid, account.gid), "root inside is the user outside");
    bed.sh("rm made").ok();
}

fn copies_a_directory_up(bed: &Bed) {
    let before = bed.root(Side::Host, "ls -a /etc").ok();
    let script =
        "set -e; test -r /etc/passwd; echo new >/etc/rnet-test-file; mv /etc/rnet-test-file /etc/rnet-test-moved
        rm -f /etc/hostname; cat /etc/rnet-test-moved; test ! -e /etc/hostname; grep -q . /etc/resolv.conf";
    assert_eq!(bed.run("--copy-up /etc", script).ok(), "new");
    assert_eq!(bed.root(Side::Host, "ls -a /etc").ok(), before, "the host's /etc is as it was");
    // Below it too, and in place: a file, a directory of the host's, a link.
    let script = "set -e; echo more >>/etc/hosts; tail -n 1 /etc/hosts; echo key >/etc/profile.d/rnet-test.sh
        cat /etc/profile.d/rnet-test.sh; readlink /etc/mtab; cmp /etc/passwd /etc/.rnet-original/passwd
        ! touch /etc/.rnet-original/x 2>/dev/null";
    assert_eq!(
        bed.run("--copy-up /etc", script).ok().lines().take(2).collect::<Vec<_>>(),
        ["more", "key"],
        "files and directories below can be changed"
    );
    // Several at once, as dockerd wants them.
    bed.run(
        "--copy-up /etc --copy-up /run",
        "set -e; echo 1 >/etc/rnet-test-file; echo 2 >/run/x; mkdir /run/docker; test -d /run/user",
    )
    .ok();
    // One within another, whose links lead through both.
    let inner = "set -e; grep -q root /etc/passwd; cat /etc/outer; test -d /etc/ssl; echo 3 >/etc/inner";
    let outer = format!("echo outer >/etc/outer; rnet run --copy-up /etc -- sh -c '{inner}'; test ! -e /etc/inner");
    assert_eq!(bed.run("--copy-up /etc", &outer).ok(), "outer");
}

fn reads_a_configuration_file(bed: &Bed) {
    bed.write("/tmp/rnet.toml", "ifname = \"net7\"\nmtu = 1400\ncidr = \"10.7.0.0/16\"\nipv4-only = true\n");
    let seen = bed.run("--config /tmp/rnet.toml", "ip -o -4 address show dev net7; ip -o link show dev net7").ok();
    assert!(seen.contains("10.7.0.100/16") && seen.contains(" mtu 1400 "), "{seen}");
    // What is typed goes before what is written.
    let seen = bed.run("--config /tmp/rnet.toml --mtu 1300", "ip -o link show dev net7").ok();
    assert!(seen.contains(" mtu 1300 "), "{seen}");
}

fn leaves_the_host_alone(bed: &Bed) {
    let look = "cat /etc/resolv.conf; ip -o link; ip route; ip -6 route; mount | sort; hostname";
    let before = bed.root(Side::Host, look).ok();
    let process = bed.run("", "echo started; exec sleep 100").spawn();
    process.wait_for("started");
    assert_eq!(bed.root(Side::Host, look).ok(), before, "while it runs");
    drop(process);
    bed.assert_nothing_left();
    assert_eq!(bed.root(Side::Host, look).ok(), before, "after its end");
}

fn closes_its_own_descriptors(bed: &Bed) {
    // The command gets the standard streams and nothing of rnet's: an inherited tap or socket would be a way around it.
    let seen = bed.run_python("", "print(sorted(os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in os.listdir('/proc/self/fd') if n > '2' and os.path.exists(f'/proc/self/fd/{n}')))").ok();
    assert_eq!(seen, "[]");
    if bed.user == User::Plain {
        assert_eq!(bed.run("", "id -G").ok().split(' ').next(), Some("0"));
    }
}
