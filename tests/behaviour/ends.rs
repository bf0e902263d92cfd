//! Every way in which `rnet run` can end, at random moments under traffic, leaves nothing behind.

use std::time::Duration;

use crate::bed::{Bed, Proc, Side, WORLD4, WORLD6};
use nix::sys::signal::Signal;

both!(
    heavy_the_command_is_killed,
    heavy_rnet_is_killed,
    heavy_the_stack_is_killed,
    killed_while_it_sets_up,
    the_command_ends_before_its_children,
    the_callers_own_children_live_on,
    the_terminal_goes_away,
    the_reader_of_the_output_goes_away,
);

/// A command with TCP both ways, UDP and new connections under way; says "go" once bytes flow.
fn busy(bed: &Bed) -> Proc {
    let script = format!(
        "def bulk():
    s = connect('{WORLD4}', ECHO); s.settimeout(None)
    threading.Thread(target=drain, args=(s,), daemon=True).start()
    while True: s.sendall(BLOCK)
def short():
    while True: s = connect('{WORLD6}', ECHO); s.sendall(b'x'); s.recv(1); s.close()
def datagrams():
    s = udp('{WORLD4}', timeout=0.2); s.connect(('{WORLD4}', UDP_ECHO))
    while True:
        s.send(BLOCK[:20000])
        try: s.recv(1 << 16)
        except OSError: pass
for each in (bulk, short, datagrams): threading.Thread(target=each, daemon=True).start()
time.sleep(0.1); print('go', flush=True); time.sleep(60)"
    );
    let process = bed.run_python("", &script).spawn();
    process.wait_for("go");
    process
}

/// A moment between 0 and 200 ms that differs from turn to turn, the same in each run.
fn moment(turn: u64) -> Duration {
    Duration::from_millis((turn * 7919 + 13) % 200)
}

fn kill_in_bed(bed: &Bed, what: &str, which: impl Fn(u32, &str) -> bool) {
    let processes = bed.processes();
    let victim = processes.iter().find(|(pid, command)| which(*pid, command));
    let (pid, _) = victim.unwrap_or_else(|| panic!("no {what} in {processes:?}"));
    bed.root(Side::Host, &format!("kill -KILL {pid}")).ok();
}

fn heavy_the_command_is_killed(bed: &Bed) {
    let _peer = bed.peer();
    for turn in 0..20 {
        let process = busy(bed);
        std::thread::sleep(moment(turn));
        kill_in_bed(bed, "command", |_, command| command.starts_with("python3 -c from peer"));
        process.wait(Duration::from_secs(5)).assert_code(137);
        bed.assert_nothing_left();
    }
}

fn heavy_rnet_is_killed(bed: &Bed) {
    let _peer = bed.peer();
    for turn in 0..20 {
        let process = busy(bed);
        std::thread::sleep(moment(turn));
        process.signal(Signal::SIGKILL);
        process.wait(Duration::from_secs(5)).assert_code(137);
        bed.assert_nothing_left();
    }
}

fn heavy_the_stack_is_killed(bed: &Bed) {
    let _peer = bed.peer();
    let holds_tap = |pid: u32| {
        let links = std::fs::read_dir(bed.path(&format!("/proc/{pid}/fd"))).into_iter().flatten().flatten();
        links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path.ends_with("net/tun"))
    };
    for turn in 0..20 {
        let process = busy(bed);
        std::thread::sleep(moment(turn));
        kill_in_bed(bed, "process with the tap", |pid, _| holds_tap(pid));
        let out = process.wait(Duration::from_secs(5));
        assert_ne!(out.code(), 0, "a lost network is no success\n{out}");
        bed.assert_nothing_left();
    }
}

fn killed_while_it_sets_up(bed: &Bed) {
    for turn in 0..40 {
        let process = bed.run_argv("--copy-up /etc", &["sleep", "60"]).spawn();
        std::thread::sleep(Duration::from_millis(turn * 2));
        process.signal(if turn % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM });
        let code = process.wait(Duration::from_secs(5)).code();
        assert!(code == 137 || code == 143, "turn {turn}: {code}");
        eprintln!("turn {turn}, killed after {} ms", turn * 2);
        bed.assert_nothing_left();
    }
}

fn the_command_ends_before_its_children(bed: &Bed) {
    let out = bed.run("", "setsid sleep 61 >/dev/null 2>&1 </dev/null & exit 4").output();
    out.assert_code(4);
    assert!(out.elapsed < Duration::from_secs(5), "{out}");
    bed.assert_nothing_left();
}

fn the_callers_own_children_live_on(bed: &Bed) {
    // A shell that becomes rnet leaves it children that rnet did not start: a process substitution, a job.
    let out = bed.sh("bash -c '(sleep 0.5; echo survived) & exec rnet run -- true' | cat").ok();
    assert_eq!(out, "survived");
}

fn the_terminal_goes_away(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run -- sh -c 'echo go; exec sleep 60'");
    terminal.expect("go\r");
    drop(terminal);
    bed.assert_nothing_left();
}

fn the_reader_of_the_output_goes_away(bed: &Bed) {
    // `yes` dies of SIGPIPE, which the shell of the pipeline sees as 141: rnet must not ignore it for the command.
    let out = bed.sh("bash -c 'rnet run -- yes | head -n 3; echo ${PIPESTATUS[0]}'").ok();
    assert_eq!(out, "y\ny\ny\n141");
}
