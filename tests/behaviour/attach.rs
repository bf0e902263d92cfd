//! `rnet attach`: a network for namespaces that something else made.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bed::{BOTH, Bed, CONTAINER4, Proc, Side, User, WORLD4, eventually, port};

both!(
    attaches_by_pid,
    attaches_by_path,
    stays_in_the_foreground_if_asked,
    ready_descriptor_says_so_once,
    exit_descriptor_ends_it,
    pid_file_names_the_process,
    a_signal_ends_it_and_leaves_the_namespace,
    a_signal_that_the_caller_ignores_does_not,
    ends_with_the_namespace_it_joined_by_path,
    options_are_shared_with_run,
    dies_without_a_trace,
);

only!(Plain as_user: the_container_cannot_trace_rnet);

/// Namespaces as an engine makes them: a network, and for the plain user a user namespace around it.
pub struct Container<'b> {
    bed: &'b Bed,
    holder: Proc,
    pub pid: u32,
}

impl<'b> Container<'b> {
    pub fn new(bed: &'b Bed) -> Container<'b> {
        let flags = if bed.user == User::Root { "--net" } else { "--user --map-root-user --net" };
        let holder = bed.sh(&format!("exec unshare {flags} sh -c 'echo made; exec sleep 300'")).spawn();
        holder.wait_for("made");
        bed.note_processes();
        let pid = holder.pid_in_bed();
        Container { bed, holder, pid }
    }

    /// Runs a script in there, which must succeed.
    pub fn sh(&self, script: &str) -> String {
        let user = if self.bed.user == User::Root { "" } else { "--user --preserve-credentials" };
        let quoted = script.replace('\'', "'\\''");
        self.bed.sh(&format!("exec nsenter {user} --net -t {} sh -ec '{quoted}'", self.pid)).ok()
    }

    /// Starts a script in there.
    pub fn spawn(&self, script: &str) -> Proc {
        let user = if self.bed.user == User::Root { "" } else { "--user --preserve-credentials" };
        let quoted = script.replace('\'', "'\\''");
        self.bed.sh(&format!("exec nsenter {user} --net -t {} sh -ec '{quoted}'", self.pid)).spawn()
    }

    pub fn python(&self, script: &str) -> String {
        self.sh(&format!("exec python3 -c \"from peer import *\n{script}\""))
    }

    /// The end of the container: its last process goes.
    pub fn end(self) {
        drop(self.holder);
    }
}

/// The processes of rnet that run in the bed.
fn rnets(bed: &Bed) -> Vec<PathBuf> {
    let all = bed.processes().into_iter().map(|(pid, _)| bed.path(&format!("/proc/{pid}")));
    all.filter(|dir| std::fs::read_to_string(dir.join("comm")).is_ok_and(|comm| comm.starts_with("rnet"))).collect()
}

fn attach(bed: &Bed, arguments: &str) {
    let mut all = vec!["attach"];
    all.extend(arguments.split_whitespace());
    let out = bed.rnet(&all).output();
    out.assert_code(0);
    assert!(out.closed, "whoever reads the output of `rnet attach` sees its end when the network is ready\n{out}");
    assert_eq!(out.stdout, "");
}

/// Both families carry traffic at this very moment.
fn works(container: &Container<'_>) {
    for host in BOTH {
        container.python(&format!("s = connect('{host}', ECHO, timeout=5); s.sendall(b'x'); equal(s.recv(1), b'x')"));
    }
}

fn attaches_by_pid(bed: &Bed) {
    let peer = bed.peer();
    let container = Container::new(bed);
    attach(bed, &format!("--pid {}", container.pid));
    works(&container);
    let out = container.sh("ip -o address; ip -o link show up; ip route");
    assert!(
        out.contains(&format!("{CONTAINER4}/24")) && out.contains("default via 10.0.2.2") && out.contains(" lo: "),
        "{out}"
    );
    peer.reports(port::ECHO, 2);
    container.end();
    bed.assert_nothing_left();
}

fn attaches_by_path(bed: &Bed) {
    let _peer = bed.peer();
    let container = Container::new(bed);
    let ns = format!("/proc/{}/ns", container.pid);
    let userns = if bed.user == User::Root { String::new() } else { format!("--userns {ns}/user") };
    attach(bed, &format!("--netns {ns}/net {userns}"));
    works(&container);
    container.end();
    bed.assert_nothing_left();
}

fn a_signal_that_the_caller_ignores_does_not(bed: &Bed) {
    // As `nohup rnet attach --foreground` is started.
    let container = Container::new(bed);
    let mut process = bed.sh(&format!("trap '' HUP; exec rnet attach --foreground --pid {}", container.pid)).spawn();
    assert!(eventually(Duration::from_secs(5), || container.sh("ip -o link").contains("tap0")), "no tap");
    std::thread::sleep(Duration::from_millis(300));
    process.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(300));
    assert!(process.is_running(), "it ended: {}", process.stderr());
    process.signal(Signal::SIGTERM);
    process.wait(Duration::from_secs(5));
    container.end();
    bed.assert_nothing_left();
}

fn the_container_cannot_trace_rnet(bed: &Bed) {
    // Root of the container's user namespace may trace what joins it; what it sees then would be the host's files.
    let container = Container::new(bed);
    let script = "import ctypes, time
trace = ctypes.CDLL(None).ptrace
SEIZE = 0x4206
print('looking', flush=True)
until = time.time() + 3
while time.time() < until:
    last = int(open('/proc/loadavg').read().split()[4])
    for pid in range(last - 2, last + 5):
        try: is_rnet = open(f'/proc/{pid}/comm').read().startswith('rnet')
        except OSError: continue
        if is_rnet and trace(SEIZE, pid, 0, 0) == 0: print('traced', pid, flush=True)";
    bed.write("/tmp/trace.py", script);
    let enter = format!("exec nsenter --user --preserve-credentials --net -t {}", container.pid);
    let tracer = bed.sh(&format!("{enter} python3 /tmp/trace.py")).spawn();
    tracer.wait_for("looking");
    for turn in 0..15 {
        let rnet = format!("timeout -s KILL 0.1 rnet attach --foreground --ifname t{turn} --pid {}", container.pid);
        bed.sh(&rnet).output();
    }
    let out = tracer.wait(Duration::from_secs(10));
    out.assert_code(0);
    assert_eq!(out.stdout.trim(), "looking", "{out}");
    container.end();
}

fn stays_in_the_foreground_if_asked(bed: &Bed) {
    let _peer = bed.peer();
    let container = Container::new(bed);
    let mut process = bed.rnet(&["attach", "--foreground", "--pid", &container.pid.to_string()]).spawn();
    assert!(
        eventually(Duration::from_secs(5), || container.sh("ip -o link").contains("tap0")),
        "no tap: {}",
        process.stderr()
    );
    works(&container);
    assert!(process.is_running(), "in the foreground");
    container.end();
    process.wait(Duration::from_secs(5)).assert_code(0);
}

/// Python on the host that starts `rnet attach` with pipes.
fn piped(bed: &Bed, container: &Container<'_>, script: &str) {
    let script = format!(
        "exec python3 -c \"from peer import *
import subprocess
def attach(*options, keep): return subprocess.Popen(['rnet', 'attach', '--pid', '{}', *options], pass_fds=keep)
{script}\"",
        container.pid
    );
    bed.sh(&script).ok();
}

fn ready_descriptor_says_so_once(bed: &Bed) {
    let container = Container::new(bed);
    piped(
        bed,
        &container,
        "r, w = os.pipe(); p = attach('--foreground', '--ready-fd', str(w), keep=[w]); os.close(w)
check(select.select([r], [], [], 10)[0], 'not ready'); equal(os.read(r, 100), b'1'); check(select.select([r], [], [], 5)[0], 'not closed'); equal(os.read(r, 100), b'')
equal(p.poll(), None); p.terminate(); p.wait(5)",
    );
    container.end();
}

fn exit_descriptor_ends_it(bed: &Bed) {
    for how in ["os.close(w)", "os.write(w, b'x')"] {
        let container = Container::new(bed);
        piped(
            bed,
            &container,
            &format!(
                "r, w = os.pipe(); p = attach('--foreground', '--exit-fd', str(r), keep=[r]); os.close(r); time.sleep(0.7); equal(p.poll(), None); {how}; equal(p.wait(3), 0)"
            ),
        );
        assert!(!container.sh("ip -o link").contains("tap0"), "the tap went with it");
        container.end();
    }
    // In the background too.
    let container = Container::new(bed);
    piped(
        bed,
        &container,
        "r, w = os.pipe(); equal(attach('--exit-fd', str(r), keep=[r]).wait(10), 0); os.close(r); time.sleep(0.5)",
    );
    assert!(eventually(Duration::from_secs(3), || rnets(bed).is_empty()), "left running: {:?}", bed.processes());
    container.end();
}

fn pid_file_names_the_process(bed: &Bed) {
    let container = Container::new(bed);
    attach(bed, &format!("--pid {} --pid-file /tmp/rnet.pid", container.pid));
    // It is there as soon as the command is back, and whoever reads it can end rnet by it.
    let pid: u32 = std::fs::read_to_string(bed.path("/tmp/rnet.pid")).unwrap().trim().parse().unwrap();
    assert!(rnets(bed).contains(&bed.path(&format!("/proc/{pid}"))), "{pid} of {:?}", bed.processes());
    bed.sh(&format!("kill {pid}")).ok();
    assert!(eventually(Duration::from_secs(3), || rnets(bed).is_empty()), "left running: {:?}", bed.processes());
    bed.sh("rm -f /tmp/rnet.pid").ok();
    container.end();
}

fn a_signal_ends_it_and_leaves_the_namespace(bed: &Bed) {
    let _peer = bed.peer();
    let container = Container::new(bed);
    for signal in ["TERM", "INT", "HUP"] {
        attach(bed, &format!("--pid {} --pid-file /tmp/pid", container.pid));
        works(&container);
        bed.sh(&format!("kill -{signal} $(cat /tmp/pid)")).ok();
        assert!(eventually(Duration::from_secs(3), || rnets(bed).is_empty()), "{signal}: {:?}", bed.processes());
        // And the container may get a new network after that.
        assert!(!container.sh("ip -o link").contains("tap0"), "{signal}");
    }
    bed.sh("rm -f /tmp/pid").ok();
    container.end();
}

fn ends_with_the_namespace_it_joined_by_path(bed: &Bed) {
    let _peer = bed.peer();
    if bed.user == User::Root {
        // A namespace without a process, kept by its name.
        bed.root(Side::Host, "ip netns add named").ok();
        attach(bed, "--netns /run/netns/named");
        bed.root(
            Side::Host,
            &format!("ip netns exec named python3 -c \"from peer import *; connect('{WORLD4}', ECHO).close()\""),
        )
        .ok();
        bed.root(Side::Host, "ip netns del named").ok();
    } else {
        let container = Container::new(bed);
        let ns = format!("/proc/{}/ns", container.pid);
        attach(bed, &format!("--netns {ns}/net --userns {ns}/user"));
        container.end();
    }
    bed.assert_nothing_left();
}

fn options_are_shared_with_run(bed: &Bed) {
    let _peer = bed.peer();
    let container = Container::new(bed);
    attach(
        bed,
        &format!("--pid {} --ifname eth5 --mtu 1500 --cidr 10.55.0.0/24 -4 --mac 02:00:00:00:00:55", container.pid),
    );
    let out = container.sh("ip -o address show dev eth5; ip -o link show dev eth5");
    assert!(out.contains("10.55.0.100/24") && out.contains(" mtu 1500 ") && out.contains("02:00:00:00:00:55"), "{out}");
    container.python(&format!("connect('{WORLD4}', ECHO).close()"));
    container.end();
}

fn dies_without_a_trace(bed: &Bed) {
    for _ in 0..5 {
        let container = Container::new(bed);
        attach(bed, &format!("--pid {} --pid-file /tmp/pid", container.pid));
        bed.sh("kill -KILL $(cat /tmp/pid); rm -f /tmp/pid").ok();
        assert!(eventually(Duration::from_secs(3), || rnets(bed).is_empty()), "{:?}", bed.processes());
        assert!(!container.sh("ip -o link").contains("tap0"), "the tap went with it");
        container.end();
    }
}
