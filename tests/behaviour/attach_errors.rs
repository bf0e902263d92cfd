//! `rnet attach` that cannot work: one message that says what to do, and nothing left half-made.

use crate::attach::Container;
use crate::bed::{Bed, Out, Side};

both!(
    a_process_that_does_not_exist,
    a_path_that_is_no_namespace,
    the_hosts_own_network_is_refused,
    a_link_of_that_name_exists,
    one_target_and_only_one,
    a_bad_descriptor,
    an_exit_descriptor_that_is_at_its_end,
    an_unwritable_pid_file,
    a_pid_file_in_a_devices_place,
);

only!(Plain as_user: someone_elses_namespace);

fn fails(bed: &Bed, arguments: &str, code: i32, words: &[&str]) -> Out {
    let mut all = vec!["attach"];
    all.extend(arguments.split_whitespace());
    let out = bed.rnet(&all).output();
    out.assert_code(code).assert_stderr(words);
    assert_eq!(out.stdout, "", "{out}");
    assert!(out.closed, "{out}");
    bed.assert_nothing_left();
    out
}

fn a_process_that_does_not_exist(bed: &Bed) {
    fails(bed, "--pid 999999", 1, &["999999"]);
    fails(bed, "--pid 0", 2, &["--pid"]);
    fails(bed, "--pid seven", 2, &["--pid", "seven"]);
}

fn a_path_that_is_no_namespace(bed: &Bed) {
    fails(bed, "--netns /no/such/path", 1, &["/no/such/path"]);
    fails(bed, "--netns /etc/passwd", 1, &["/etc/passwd"]);
    fails(bed, "--netns /proc/self/ns/mnt", 1, &["/proc/self/ns/mnt"]);
}

fn the_hosts_own_network_is_refused(bed: &Bed) {
    // A tap with a default route in the host's own network would cut the host off.
    fails(bed, "--netns /proc/self/ns/net", 1, &["/proc/self/ns/net"]);
    let links = bed.root(Side::Host, "ip route; ip -o link | wc -l").ok();
    assert!(links.contains("default via 203.0.113.1") && links.ends_with("\n2"), "{links}");
}

fn a_link_of_that_name_exists(bed: &Bed) {
    let container = Container::new(bed);
    container.sh("ip link add tap0 type veth peer name other");
    fails(bed, &format!("--pid {}", container.pid), 1, &["tap0"]);
    assert_eq!(container.sh("ip -o link | wc -l"), "3", "lo and the container's own links, untouched");
    assert_eq!(container.sh("ip route; ip -6 route"), "");
    container.end();
}

fn one_target_and_only_one(bed: &Bed) {
    fails(bed, "", 2, &["--pid", "--netns"]);
    fails(bed, "--pid 1 --netns /proc/1/ns/net", 2, &["--pid", "--netns"]);
    fails(bed, "--pid 1 --userns /proc/1/ns/user", 2, &["--userns"]);
}

fn a_bad_descriptor(bed: &Bed) {
    let container = Container::new(bed);
    fails(bed, &format!("--pid {} --ready-fd 77", container.pid), 2, &["77"]);
    fails(bed, &format!("--pid {} --exit-fd 78", container.pid), 2, &["78"]);
    fails(bed, &format!("--pid {} --exit-fd -1", container.pid), 2, &["--exit-fd"]);
    container.end();
}

fn an_unwritable_pid_file(bed: &Bed) {
    let container = Container::new(bed);
    fails(bed, &format!("--pid {} --pid-file /no/such/dir/pid", container.pid), 1, &["/no/such/dir/pid"]);
    assert!(!container.sh("ip -o link").contains("tap0"));
    container.end();
}

fn an_exit_descriptor_that_is_at_its_end(bed: &Bed) {
    let container = Container::new(bed);
    let out = bed.sh(&format!("rnet attach --pid {} --exit-fd 9 9</dev/null", container.pid)).output();
    out.assert_code(1).assert_stderr(&["--exit-fd"]);
    assert!(!container.sh("ip -o link").contains("tap0"));
    container.end();
}

fn a_pid_file_in_a_devices_place(bed: &Bed) {
    let container = Container::new(bed);
    bed.sh("mkfifo /tmp/pipe").ok();
    let out = bed.rnet(&["attach", "--pid", &container.pid.to_string(), "--pid-file", "/tmp/pipe"]).output();
    out.assert_code(1).assert_stderr(&["/tmp/pipe"]);
    bed.sh("test -p /tmp/pipe && rm /tmp/pipe").ok();
    container.end();
}

fn someone_elses_namespace(bed: &Bed) {
    bed.root(Side::Host, "exec unshare --net sleep 100").keep();
    let pid = bed.processes().into_iter().find(|(_, command)| command.starts_with("sleep 100")).map(|(pid, _)| pid);
    let pid = pid.unwrap_or_else(|| bed.processes()[0].0);
    let out = fails(bed, &format!("--pid {pid}"), 1, &[&pid.to_string()]);
    assert!(out.stderr.to_lowercase().contains("permi") || out.stderr.contains("may not"), "{out}");
}
