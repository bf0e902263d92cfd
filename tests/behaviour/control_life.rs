//! The control socket's life: where it is, whose it is, and that it goes whatever way rnet goes.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::attach::Container;
use crate::bed::{Bed, Proc, eventually};
use crate::control::client;

both!(
    it_is_among_the_users_own,
    it_may_be_elsewhere_and_is_still_found,
    a_live_one_stays_and_a_dead_one_goes,
    it_can_be_switched_off,
    without_a_place_for_it_there_is_none,
    it_goes_whoever_is_killed,
    a_client_may_end_the_network,
    the_suspend_key_does_not_stop_it,
    attached_networks_have_one_if_asked,
    paths_that_cannot_be,
    it_holds_few_rights,
);

fn usual(bed: &Bed, process: &Proc) -> String {
    format!("/run/user/{}/rnet/{}.sock", bed.account().uid, process.pid_in_bed())
}

fn start(bed: &Bed, options: &str) -> Proc {
    let process = bed.run(options, "echo up; exec sleep 60").spawn();
    process.wait_for("up");
    process
}

fn end(bed: &Bed, process: Proc) {
    process.signal(Signal::SIGTERM);
    process.wait(Duration::from_secs(10)).assert_code(143);
    bed.assert_nothing_left();
}

fn it_is_among_the_users_own(bed: &Bed) {
    let process = start(bed, "");
    let (path, pid) = (usual(bed, &process), process.pid_in_bed());
    client(
        bed,
        &format!(
            "seen = os.lstat('{path}'); equal((stat.S_ISSOCK(seen.st_mode), oct(seen.st_mode & 0o777), seen.st_uid), (True, '0o600', os.getuid()))
equal(oct(os.stat(os.path.dirname('{path}')).st_mode & 0o777), '0o700')
said = ok('{path}', 'ping'); equal((said['pid'], said['kind'], said['socket']), ({pid}, 'run', '{path}'), said)
check('sleep 60' in said['target'], said); equal(os.stat(f'/proc/{{said[\"command_pid\"]}}/ns/net').st_ino, said['netns'], said)
config = ok('{path}', 'config.get'); equal((config['mtu'], config['ipv4']['address'], config['threads'] >= 1), (65520, '10.0.2.100', True), config)"
        ),
    );
    end(bed, process);
}

fn it_may_be_elsewhere_and_is_still_found(bed: &Bed) {
    let process = start(bed, "--control /tmp/c.sock");
    let link = usual(bed, &process);
    client(
        bed,
        &format!(
            "equal(oct(os.lstat(PATH).st_mode & 0o777), '0o600'); equal(ok(PATH, 'ping')['socket'], PATH)
equal(os.readlink('{link}'), PATH); equal(ok('{link}', 'ping')['socket'], PATH)"
        ),
    );
    end(bed, process);
    // A path that is too long for a socket's address, and one that is relative.
    let deep = format!("/tmp/{}/{}", "x".repeat(80), "y".repeat(80));
    bed.sh(&format!("mkdir -p {deep}")).ok();
    let out = bed.sh(&format!("cd {deep}; rnet run --control ./c -- rnet ports list --path {deep}/c")).ok();
    assert!(out.contains("PROTOCOL"), "{out}");
    bed.sh("rm -r /tmp/x*").ok();
}

fn a_live_one_stays_and_a_dead_one_goes(bed: &Bed) {
    let process = start(bed, "--control /tmp/c.sock");
    bed.note_processes();
    let out = bed.run_argv("--control /tmp/c.sock", &["echo", "started"]).output();
    out.assert_code(1).assert_stderr(&["/tmp/c.sock", "listens there already", "rnet list"]);
    assert_eq!(out.stdout, "");
    client(bed, "ok(PATH, 'ping')");
    end(bed, process);
    bed.sh("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/tmp/c.sock\")'").ok();
    let process = start(bed, "--control /tmp/c.sock");
    client(bed, "ok(PATH, 'ping')");
    end(bed, process);
    bed.sh("echo precious >/tmp/c.sock").ok();
    let out = bed.run_argv("--control /tmp/c.sock", &["echo", "started"]).output();
    out.assert_code(1).assert_stderr(&["/tmp/c.sock", "no socket"]);
    assert_eq!(bed.sh("cat /tmp/c.sock; rm /tmp/c.sock").ok(), "precious");
}

fn it_can_be_switched_off(bed: &Bed) {
    let process = start(bed, "--control none");
    client(bed, "equal(glob.glob('/run/user/*/rnet/*'), [])");
    assert!(!bed.processes().iter().any(|(pid, _)| name(bed, *pid) == "rnet-control"));
    end(bed, process);
}

fn without_a_place_for_it_there_is_none(bed: &Bed) {
    let directory = format!("/run/user/{}", bed.account().uid);
    // Others may write there, so it is no place for a socket; root still has /run.
    bed.sh(&format!("chmod 777 {directory}")).ok();
    let out = bed.run_argv("--log-level warn", &["ls", &directory]).output();
    out.assert_code(0);
    assert!(!out.stdout.contains("rnet") && out.stderr.is_empty(), "{out}");
    bed.sh(&format!("chmod 700 {directory}")).ok();
}

fn name(bed: &Bed, pid: u32) -> String {
    std::fs::read_to_string(bed.path(&format!("/proc/{pid}/comm"))).unwrap_or_default().trim().to_owned()
}

/// The process of the bed that has this name.
fn named(bed: &Bed, wanted: &str) -> u32 {
    let mut found = None;
    let is_there = eventually(Duration::from_secs(5), || {
        found = bed.processes().into_iter().map(|(pid, _)| pid).find(|pid| name(bed, *pid) == wanted);
        found.is_some()
    });
    assert!(is_there, "there is no {wanted}");
    found.unwrap()
}

fn it_goes_whoever_is_killed(bed: &Bed) {
    let process = start(bed, "--control /tmp/c.sock");
    process.signal(Signal::SIGKILL);
    drop(process);
    bed.assert_nothing_left();

    let process = start(bed, "");
    bed.sh(&format!("kill -9 {}", named(bed, "rnet-stack"))).ok();
    let out = process.wait(Duration::from_secs(10));
    assert_ne!(out.code(), 0, "{out}");
    bed.assert_nothing_left();

    // The network outlives its control process, whose socket does not.
    let mut process = start(bed, "--control /tmp/c.sock");
    bed.sh(&format!("kill -9 {}", named(bed, "rnet-control"))).ok();
    let gone =
        || !bed.path("/tmp/c.sock").exists() && !bed.path(&format!("/run/user/{}/rnet", bed.account().uid)).exists();
    assert!(eventually(Duration::from_secs(3), gone));
    assert!(process.is_running() && process.stderr().contains("control process"), "{}", process.stderr());
    end(bed, process);
}

fn a_client_may_end_the_network(bed: &Bed) {
    let process = start(bed, "--control /tmp/c.sock");
    client(bed, "ok(PATH, 'shutdown')");
    process.wait(Duration::from_secs(10)).assert_code(143);
    bed.assert_nothing_left();
    // A command may handle it, as any SIGTERM.
    let script = "trap 'echo told; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let process = bed.run("--control /tmp/c.sock", script).spawn();
    process.wait_for("up");
    client(bed, "ok(PATH, 'shutdown')");
    let out = process.wait(Duration::from_secs(10));
    out.assert_code(9);
    assert!(out.stdout.contains("told"), "{out}");
    bed.assert_nothing_left();
}

fn the_suspend_key_does_not_stop_it(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run --control /tmp/c.sock -- sh -c 'echo go; read line'");
    terminal.expect("go");
    terminal.press('Z');
    terminal.expect("Stopped");
    terminal.expect("ready> ");
    client(bed, "ok(PATH, 'ping'); ok(PATH, 'forward.add', forwards=['8080']); equal(specs(PATH), ['8080'])");
    terminal.type_line("fg");
    terminal.expect("rnet run");
    terminal.press('C');
    terminal.expect("ready> ");
    drop(terminal);
}

fn attached_networks_have_one_if_asked(bed: &Bed) {
    let container = Container::new(bed);
    let pid = container.pid.to_string();
    bed.rnet(&["attach", "--pid", &pid]).ok();
    assert_eq!(bed.rnet(&["list", "--json"]).ok(), "{\"instances\":[]}");
    container.end();
    bed.assert_nothing_left();

    let container = Container::new(bed);
    let pid = container.pid.to_string();
    bed.rnet(&["attach", "--pid", &pid, "--control", "/tmp/c.sock"]).ok();
    let script = format!(
        "said = ok(PATH, 'ping'); equal((said['kind'], said['target'], said['command_pid']), ('attach', 'pid {pid}', None), said)
equal(said['netns'], os.stat('/proc/{pid}/ns/net').st_ino); ok(PATH, 'forward.add', forwards=['8001:7001']); equal(specs(PATH), ['8001:7001'])"
    );
    client(bed, &script);
    container.end();
    bed.assert_nothing_left();

    let container = Container::new(bed);
    bed.note_processes();
    let pid = container.pid.to_string();
    bed.rnet(&["attach", "--pid", &pid, "--control", "/tmp/c.sock"]).ok();
    client(bed, "ok(PATH, 'shutdown')");
    bed.assert_nothing_left();
    assert!(!container.sh("ip link").contains("tap0"));
    container.end();
}

fn paths_that_cannot_be(bed: &Bed) {
    for (path, words) in [("/no/such/c.sock", "no such file"), ("/tmp", "no socket"), ("/", "must be the path")] {
        let out = bed.run_argv(&format!("--control {path}"), &["echo", "started"]).output();
        assert!(out.stderr.contains(words) && out.stdout.is_empty() && out.code() != 0, "{path}\n{out}");
        bed.assert_nothing_left();
    }
}

fn it_holds_few_rights(bed: &Bed) {
    let process = start(bed, "");
    let pid = named(bed, "rnet-control");
    let status = std::fs::read_to_string(bed.path(&format!("/proc/{pid}/status"))).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let bind = if bed.account().uid == 0 { "0000000000000400" } else { "0000000000000000" };
    assert_eq!((field("CapPrm:"), field("CapEff:"), field("NoNewPrivs:")), (bind.into(), bind.into(), "1".into()));
    // Neither the tap device nor the caller's descriptors.
    let links = std::fs::read_dir(bed.path(&format!("/proc/{pid}/fd"))).unwrap().flatten();
    let links: Vec<String> =
        links.filter_map(|link| Some(std::fs::read_link(link.path()).ok()?.to_str()?.to_owned())).collect();
    assert!(links.len() < 16 && !links.iter().any(|link| link.contains("tun")), "{links:?}");
    end(bed, process);
}
