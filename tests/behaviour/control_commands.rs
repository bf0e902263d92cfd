//! `rnet list`, `rnet ports`, `rnet stats` and `rnet flows`: which instance they find, and what they tell.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::{Bed, HOST4, Proc};
use crate::published::Server;

both!(
    list_tells_of_all_that_run,
    the_dead_are_not_listed_and_leave_nothing,
    ports_are_told_and_changed,
    an_instance_is_found_by_what_people_know_of_it,
    what_is_wrong_is_said,
    stats_and_flows,
);

fn json(bed: &Bed, arguments: &[&str]) -> Value {
    let text = bed.rnet(&[arguments, &["--json"]].concat()).ok();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn start(bed: &Bed, options: &str, name: &str) -> Proc {
    let process = bed.run(options, &format!("echo up {name}; sleep 60; true")).spawn();
    process.wait_for("up");
    process
}

fn end(process: Proc) {
    process.signal(Signal::SIGTERM);
    process.wait(Duration::from_secs(10));
}

fn list_tells_of_all_that_run(bed: &Bed) {
    assert_eq!(json(bed, &["list"])["instances"], Value::Array(vec![]));
    assert_eq!(bed.rnet(&["list"]).ok().lines().count(), 1);
    let one = start(bed, "-p 8001:80", "one");
    let two = start(bed, "--control /tmp/c.sock -p 8002:80 -p 127.0.0.1:53000-53001:53-54/udp", "two\u{1b}[31m");
    let three = start(bed, "--control none", "three");
    let list = json(bed, &["list"]);
    let instances = list["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2, "{list}");
    let of = |process: &Proc| instances.iter().find(|one| one["pid"] == process.pid_in_bed()).unwrap();
    assert_eq!((&of(&one)["kind"], &of(&one)["forwards"]), (&"run".into(), &serde_json::json!(["8001:80"])));
    assert_eq!(of(&two)["socket"], "/tmp/c.sock");
    assert_eq!(of(&two)["forwards"], serde_json::json!(["8002:80", "127.0.0.1:53000-53001:53-54/udp"]));
    assert!(of(&two)["netns"].as_u64() > Some(0) && of(&two)["netns"] != of(&one)["netns"]);
    let table = bed.rnet(&["list"]).ok();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("PID"), "{table}");
    assert!(table.contains("8002:80,127.0.0.1:53000-53001:53-54/udp") && table.contains("/tmp/c.sock"), "{table}");
    assert!(!table.contains('\u{1b}'), "what a command is called does nothing to a terminal: {table:?}");
    [one, two, three].into_iter().for_each(end);
    bed.assert_nothing_left();
}

fn the_dead_are_not_listed_and_leave_nothing(bed: &Bed) {
    let directory = format!("/run/user/{}/rnet", bed.account().uid);
    let make = format!(
        "mkdir -m 700 {directory}; cd {directory}; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"11.sock\")'
        ln -s /tmp/none 12.sock; echo text >13.sock"
    );
    bed.sh(&make).ok();
    let one = start(bed, "", "one");
    assert_eq!(json(bed, &["list"])["instances"].as_array().unwrap().len(), 1);
    let left = bed.sh(&format!("ls {directory}")).ok();
    assert!(!left.contains("11.sock") && !left.contains("12.sock"), "{left}");
    bed.sh(&format!("rm -f {directory}/13.sock")).ok();
    end(one);
    bed.assert_nothing_left();
}

fn ports_are_told_and_changed(bed: &Bed) {
    let one = start(bed, "-p 8001:80", "one");
    assert_eq!(bed.rnet(&["ports", "add", "8002:80", "[::1]:53000-53001:53-54/udp", "127.0.0.1:8003"]).ok(), "");
    let table = "PROTOCOL  HOST                CONTAINER
tcp       *:8001              80
tcp       *:8002              80
udp       [::1]:53000-53001   53-54
tcp       127.0.0.1:8003      8003";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&bed.rnet(&["ports", "list"]).ok()), squeezed(table));
    assert_eq!(bed.rnet(&["ports", "remove", "8001:80", "127.0.0.1:8003:8003/tcp"]).ok(), "");
    let list = json(bed, &["ports", "list"]);
    let first = &list["forwards"][0];
    assert_eq!(
        (&first["forward"], &first["port"], &first["container_port"]),
        (&"8002:80".into(), &8002.into(), &80.into())
    );
    assert_eq!(list["forwards"].as_array().unwrap().len(), 2, "{list}");
    // What replace tells can be given back.
    let former = bed.rnet(&["ports", "replace", "8009"]).ok();
    assert_eq!(former, "8002:80\n[::1]:53000-53001:53-54/udp");
    let former: Vec<&str> = former.lines().collect();
    assert_eq!(json(bed, &[&["ports", "replace"], &former[..]].concat())["former"], serde_json::json!(["8009"]));
    assert_eq!(bed.rnet(&["ports", "replace"]).ok().lines().count(), 2);
    assert_eq!(json(bed, &["ports", "list"])["forwards"], Value::Array(vec![]));
    end(one);
}

fn an_instance_is_found_by_what_people_know_of_it(bed: &Bed) {
    let one = start(bed, "-p 8001", "one");
    let two = start(bed, "--control /tmp/c.sock -p 8002", "two");
    let pid = two.pid_in_bed().to_string();
    let command = json(bed, &["list"])["instances"].as_array().unwrap().clone();
    let command = command.iter().find(|one| one["pid"] == two.pid_in_bed()).unwrap()["command_pid"].to_string();
    // `sleep`, which the command has started.
    let child = bed.sh(&format!("pgrep -P {command}")).ok();
    let netns = format!("/proc/{child}/ns/net");
    for choice in
        [["--pid", &pid], ["--pid", &command], ["--pid", &child], ["--netns", &netns], ["--path", "/tmp/c.sock"]]
    {
        let list = json(bed, &[&["ports", "list"], &choice[..]].concat());
        assert_eq!(list["forwards"][0]["forward"], "8002", "{choice:?}");
    }
    let out = bed.rnet(&["ports", "list"]).output();
    out.assert_code(1).assert_stderr(&["2 instances", "--pid", &pid, &one.pid_in_bed().to_string()]);
    for (choice, words) in [
        (
            ["--pid", "1"],
            if bed.account().uid == 0 { "no running instance" } else { "/proc/1/ns/net: Permission denied" },
        ),
        (["--pid", "999999"], "/proc/999999"),
        (["--netns", "/no/such"], "/no/such"),
        (["--netns", "/proc/self/ns/net"], "no running instance"),
        (["--path", "/no/such.sock"], "/no/such.sock"),
    ] {
        bed.rnet(&[&["stats"], &choice[..]].concat()).output().assert_code(1).assert_stderr(&[words]);
    }
    end(two);
    assert_eq!(json(bed, &["ports", "list"])["forwards"][0]["forward"], "8001");
    end(one);
    let out = bed.rnet(&["ports", "list"]).output();
    out.assert_code(1).assert_stderr(&["no instance"]);
}

fn what_is_wrong_is_said(bed: &Bed) {
    let usage = |arguments: &[&str], words: &[&str]| {
        let out = bed.rnet(arguments).output();
        out.assert_code(2).assert_stderr(words);
        assert_eq!(out.stdout, "", "{out}");
    };
    usage(&["ports", "add", "nonsense", "0", "--pid", "x"], &["nonsense", "0", "--pid x"]);
    usage(&["ports", "add"], &["which ports?"]);
    usage(&["ports", "remove"], &["which ports?"]);
    usage(&["ports"], &["list, add, remove or replace"]);
    usage(&["ports", "lisst"], &["lisst", "list"]);
    usage(&["stats", "--pid", "1", "--path", "x"], &["exclude each other"]);
    usage(&["ports", "add", "--bogus", "8080"], &["--bogus"]);
    let one = start(bed, "-p 8001:80", "one");
    let refused = |arguments: &[&str], words: &[&str]| {
        bed.rnet(arguments).output().assert_code(1).assert_stderr(words);
    };
    refused(&["ports", "add", "8000-8010"], &["8001", "8001:80"]);
    refused(&["ports", "remove", "8002"], &["not published", "8002"]);
    refused(&["ports", "add", "192.0.2.99:80:80"], &["192.0.2.99"]);
    for arguments in [&["list", "--help"][..], &["ports", "--help"], &["ports", "add", "--help"], &["stats", "--help"]]
    {
        let help = bed.rnet(arguments).ok();
        assert!(help.contains("--json") || help.contains("Examples"), "{help}");
    }
    end(one);
}

fn stats_and_flows(bed: &Bed) {
    let server = Server::start(bed, "-p 8001:7001");
    let script = format!(
        "import subprocess
socks = [connect('{HOST4}', 8001) for _ in range(3)]
for s in socks: s.sendall(b'x'); s.recv(1)
def told(*arguments): return json.loads(subprocess.check_output(['rnet', *arguments, '--json']))
stats = told('stats'); equal(stats['counters']['tcp_flows_accepted'], 3); equal(stats['holdings']['tcp_flows'], 3)
flows = told('flows')['flows']; equal(len(flows), 3); equal(flows[0]['container'], '10.0.2.100:7001')
table = subprocess.check_output(['rnet', 'flows']).decode(); equal(len(table.splitlines()), 4); check('{HOST4}:8001' in table)
table = subprocess.check_output(['rnet', 'stats']).decode(); check('tcp_flows_accepted' in table and 'frames_in' in table, table)"
    );
    crate::published::host(bed, &script);
    server.end(bed);
}
