//! `--busy-poll`: the stack looks for packets while messages go to and fro, and sleeps when nothing comes.

use std::time::Duration;

use crate::bed::{Bed, WORLD4, eventually};

both!(looks_while_messages_come_and_sleeps_when_none_do, wrong_times);

/// CPU time of all of rnet's processes.
fn cpu_time(bed: &Bed) -> Duration {
    let stats = bed.processes().into_iter().filter_map(|(pid, _)| {
        let stat = std::fs::read_to_string(bed.path(&format!("/proc/{pid}/stat"))).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // proc_pid_stat(5): the state is the third field, utime and stime are the 14th and 15th.
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        name.contains("(rnet").then_some(ticks)
    });
    // A tick is a hundredth of a second (USER_HZ).
    Duration::from_millis(10 * stats.sum::<u64>())
}

fn looks_while_messages_come_and_sleeps_when_none_do(bed: &Bed) {
    let _peer = bed.peer();
    let script = format!(
        "s = connect('{WORLD4}', ECHO); print('up', flush=True)
for turn in range(50):
    s.sendall(b'x'); equal(s.recv(1), b'x'); time.sleep(0.01)
print('done', flush=True); time.sleep(60)"
    );
    for (option, busy) in
        [("--busy-poll 100000", true), ("--busy-poll 100000 --threads 2", true), ("--busy-poll 0", false), ("", false)]
    {
        let process = bed.run_python(option, &script).spawn();
        process.wait_for("up");
        let before = cpu_time(bed);
        process.wait_for("done");
        let during = cpu_time(bed) - before;
        // 50 messages take half a second at least; others may want the processor too.
        assert_eq!(during > Duration::from_millis(120), busy, "{option:?}: {during:?} of CPU time");
        let sleeps = || {
            let before = cpu_time(bed);
            std::thread::sleep(Duration::from_millis(500));
            cpu_time(bed) - before < Duration::from_millis(50)
        };
        assert!(eventually(Duration::from_secs(5), sleeps), "{option:?}: it does not sleep when nothing comes");
        drop(process);
        assert!(
            eventually(Duration::from_secs(5), || cpu_time(bed).is_zero()),
            "{option:?}: it goes on after the command"
        );
    }
}

fn wrong_times(bed: &Bed) {
    for wrong in ["-1", "100001", "soon"] {
        let out = bed.rnet(&["run", &format!("--busy-poll={wrong}"), "--mtu", "1", "--", "echo", "started"]).output();
        out.assert_code(2).assert_stderr(&["--busy-poll", "from 0 to 100000, or auto", "--mtu 1"]);
        assert_eq!(out.stdout, "");
    }
}
