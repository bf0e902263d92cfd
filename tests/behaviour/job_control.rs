//! `rnet run` at a shell: keys, signals, jobs and the window's size.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bed::{Bed, Terminal, eventually};

both!(
    the_interrupt_key_ends_the_command,
    a_command_may_handle_the_interrupt,
    the_suspend_key_stops_and_fg_continues,
    a_shell_inside_has_job_control,
    a_full_screen_program_sees_the_windows_size,
    runs_in_the_background,
    passes_signals_on,
    stops_in_the_background,
);

/// Types a line and waits for the prompt; gives the output.
fn answer(terminal: &mut Terminal, line: &str) -> String {
    terminal.type_line(line);
    terminal.expect("ready> ").replace('\r', "")
}

fn the_interrupt_key_ends_the_command(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run -- sh -c 'echo go; sleep 100'");
    terminal.expect("go");
    terminal.press('C');
    terminal.expect("ready> ");
    assert_eq!(answer(&mut terminal, "echo code=$?"), "code=130\n");
    bed_is_idle(bed, &terminal);
}

fn a_command_may_handle_the_interrupt(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run -- sh -c 'trap \"echo caught; exit 7\" INT; echo go; while :; do sleep 0.1; done'");
    terminal.expect("go");
    terminal.press('C');
    terminal.expect("caught");
    terminal.expect("ready> ");
    assert_eq!(answer(&mut terminal, "echo code=$?"), "code=7\n");
    bed_is_idle(bed, &terminal);
}

fn the_suspend_key_stops_and_fg_continues(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run -- sh -c 'echo go; read line; echo read $line; exit 5'");
    terminal.expect("go");
    terminal.press('Z');
    terminal.expect("Stopped");
    terminal.expect("ready> ");
    assert_eq!(answer(&mut terminal, "jobs | grep -c Stopped"), "1\n");
    terminal.type_line("fg");
    terminal.expect("rnet run");
    terminal.type_line("words");
    terminal.expect("read words");
    terminal.expect("ready> ");
    assert_eq!(answer(&mut terminal, "echo code=$?"), "code=5\n");
    bed_is_idle(bed, &terminal);
}

fn a_shell_inside_has_job_control(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("PS1='inside> ' rnet run -- bash --norc -i");
    let greeting = terminal.expect("inside> ");
    assert!(!greeting.contains("no job control"), "{greeting}");
    terminal.type_line("sleep 100");
    std::thread::sleep(Duration::from_millis(300));
    terminal.press('Z');
    terminal.expect("Stopped");
    terminal.expect("inside> ");
    terminal.type_line("kill %1; wait %1; echo 'done' here");
    terminal.expect("done here");
    terminal.expect("inside> ");
    // The interrupt key ends what the inner shell runs, not the inner shell and not rnet.
    terminal.type_line("sleep 100");
    std::thread::sleep(Duration::from_millis(300));
    terminal.press('C');
    terminal.expect("inside> ");
    terminal.type_line("exit 9");
    terminal.expect("ready> ");
    assert_eq!(answer(&mut terminal, "echo code=$?"), "code=9\n");
    bed_is_idle(bed, &terminal);
}

fn a_full_screen_program_sees_the_windows_size(bed: &Bed) {
    let mut terminal = bed.terminal();
    terminal.type_line("rnet run -- bash -c 'trap \"stty size\" WINCH; stty size; while :; do sleep 0.1; done'");
    terminal.expect("24 80");
    terminal.resize(40, 132);
    terminal.expect("40 132");
    terminal.press('C');
    terminal.expect("ready> ");
    bed_is_idle(bed, &terminal);
}

fn runs_in_the_background(bed: &Bed) {
    let mut terminal = bed.terminal();
    answer(&mut terminal, "rnet run -- sh -c 'sleep 1; exit 6' &");
    assert_eq!(answer(&mut terminal, "wait %1; echo code=$?").lines().find(|l| l.starts_with("code")), Some("code=6"));
    bed_is_idle(bed, &terminal);
}

fn passes_signals_on(bed: &Bed) {
    for (signal, name) in
        [(Signal::SIGTERM, "TERM"), (Signal::SIGHUP, "HUP"), (Signal::SIGINT, "INT"), (Signal::SIGUSR1, "USR1")]
    {
        let script = format!("trap 'echo got {name}; exit 21' {name}; echo go; while :; do sleep 0.05; done");
        let process = bed.run("", &script).spawn();
        process.wait_for("go");
        process.signal(signal);
        let out = process.wait(Duration::from_secs(10));
        out.assert_code(21);
        assert_eq!(out.stdout, format!("go\ngot {name}\n"));
    }
    let process = bed.run("", "echo go; exec sleep 100").spawn();
    process.wait_for("go");
    process.signal(Signal::SIGTERM);
    process.wait(Duration::from_secs(10)).assert_code(143);
}

fn stops_in_the_background(bed: &Bed) {
    let mut terminal = bed.terminal();
    // Not a shell's loop: a process stopped between vfork and exec keeps its parent from stopping, rnet or no rnet.
    answer(
        &mut terminal,
        "rnet run -- python3 -uc 'exec(\"import time\\nwhile True: print(1); time.sleep(0.02)\")' >ticks &",
    );
    let ticks = bed.path(&format!("{}/ticks", bed.account().home));
    let length = || std::fs::metadata(&ticks).map_or(0, |file| file.len());
    let going = || {
        let before = length();
        std::thread::sleep(Duration::from_millis(400));
        length() > before
    };
    assert!(eventually(Duration::from_secs(10), going), "it does not start");
    answer(&mut terminal, "kill -TSTP %1");
    assert!(eventually(Duration::from_secs(5), || !going()), "the command goes on after SIGTSTP to the job");
    answer(&mut terminal, "bg");
    assert!(eventually(Duration::from_secs(5), going), "the command does not go on after bg");
    answer(&mut terminal, "kill %1; wait %1; rm ticks");
    bed_is_idle(bed, &terminal);
}

/// Nothing but the shell on the terminal is left.
fn bed_is_idle(bed: &Bed, _terminal: &Terminal) {
    let mut extras = Vec::new();
    let idle = eventually(Duration::from_secs(3), || {
        extras = bed.extras().into_iter().filter(|extra| !extra.ends_with("bash --norc -i ")).collect();
        extras.is_empty()
    });
    assert!(idle, "left behind: {extras:?}");
}
