//! The API socket: what is answered, and the ports that it publishes.

use serde_json::{Value, json};

use super::{BOTH_PROGRAMS, Program, of_both};
use crate::attach::Container;
use crate::bed::{Bed, HOST4, HOST6, Side};

both!(
    answers_as_the_original_does,
    what_the_original_does_worse,
    a_port_is_published_listed_and_removed,
    udp_ports,
    ipv6_ports,
    the_containers_address_may_be_another,
    a_client_that_does_not_half_close,
    too_much_is_refused_while_it_comes,
    busy_ports_are_told,
    the_socket_takes_the_place_of_an_old_one_and_goes,
    many_clients_at_once,
);

const SOCKET: &str = "/tmp/api.sock";

/// Sends bytes, half closes, and reads to the end: as podman and rootlesskit do.
const EXCHANGE: &str = "def exchange(data, half_close=True):
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/tmp/api.sock'); s.sendall(data)
    if half_close: s.shutdown(socket.SHUT_WR)
    answer = b''
    try:
        while part := s.recv(65536): answer += part
    except ConnectionResetError: pass # the original leaves a part unread
    return answer.decode()
";

fn python(bed: &Bed, script: &str) -> String {
    bed.write("/tmp/ask.py", &format!("from peer import *\n{EXCHANGE}\n{script}"));
    bed.sh("exec python3 /tmp/ask.py").ok()
}

/// What the API answers to a request.
fn ask(bed: &Bed, request: &str) -> Value {
    let answer = python(bed, &format!("print(exchange({request:?}.encode()), end='')"));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{request}: {error}: {answer}"))
}

fn execute(bed: &Bed, name: &str, arguments: Value) -> Value {
    ask(bed, &json!({ "execute": name, "arguments": arguments }).to_string())
}

fn add(bed: &Bed, arguments: Value) -> Value {
    execute(bed, "add_hostfwd", arguments)
}

fn words(answer: &Value) -> &str {
    answer["error"]["desc"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

/// Requests that both answer alike, to the letter but for what rnet adds.
fn requests() -> Vec<String> {
    let add = |arguments: Value| json!({ "execute": "add_hostfwd", "arguments": arguments }).to_string();
    let remove = |id: Value| json!({ "execute": "remove_hostfwd", "arguments": { "id": id } }).to_string();
    let list = json!({ "execute": "list_hostfwd" }).to_string();
    vec![
        list.clone(),
        add(
            json!({ "proto": "tcp", "host_addr": "0.0.0.0", "host_port": 18080, "guest_addr": "10.0.2.100", "guest_port": 80 }),
        ),
        add(json!({ "proto": "udp", "host_port": 18080, "guest_port": 80 })),
        add(
            json!({ "proto": "tcp", "host_addr": "127.0.0.1", "host_port": 18081, "guest_addr": "", "guest_port": 81 }),
        ),
        add(
            json!({ "proto": "tcp", "host_addr": "", "host_port": 18082, "guest_addr": "10.0.2.15", "guest_port": 82 }),
        ),
        list.clone(),
        add(json!({ "proto": "tcp", "host_port": 18080, "guest_port": 80 })),
        add(json!({ "proto": "sctp", "host_port": 1, "guest_port": 1 })),
        add(json!({ "proto": "tcp", "host_addr": "nonsense", "host_port": 18083, "guest_port": 1 })),
        add(json!({ "proto": "tcp", "host_port": 0, "guest_port": 1 })),
        add(json!({ "proto": "tcp", "host_port": 18083, "guest_addr": "nonsense", "guest_port": 1 })),
        add(json!({ "proto": "tcp", "host_port": 18083 })),
        add(json!({ "proto": "tcp", "host_port": 18083, "guest_port": 0 })),
        remove(json!(2)),
        remove(json!(2)),
        remove(json!(99)),
        list.clone(),
        add(json!({ "proto": "udp", "host_port": 18080, "guest_port": 80 })),
        list,
        "nonsense".into(),
        "".into(),
        "[]".into(),
        "{}".into(),
        r#"{"execute":"nonsense"}"#.into(),
        format!("{{\"execute\":\"{}\"}}", "x".repeat(5000)),
    ]
}

fn answers_as_the_original_does(bed: &Bed) {
    let [original, rnet] = BOTH_PROGRAMS.map(|program| {
        let container = Container::new(bed);
        let process = program.serve(bed, &container, &format!("-c --api-socket={SOCKET}"));
        let answers: Vec<Value> = requests().iter().map(|request| ask(bed, request)).collect();
        drop(process);
        container.end();
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
        answers
    });
    for ((request, original), mut rnet) in requests().iter().zip(original).zip(rnet) {
        // The list stands where the manual says it is as well, and why something failed beside the original's words.
        if let Some(entries) = original.get("entries") {
            assert_eq!(&rnet["return"]["entries"], entries, "{request}");
            rnet.as_object_mut().unwrap().remove("return");
        }
        if let Some(error) = rnet.get_mut("error").and_then(Value::as_object_mut) {
            error.remove("reason");
        }
        assert_eq!(rnet, original, "{request}");
    }
    bed.assert_nothing_left();
}

fn what_the_original_does_worse(bed: &Bed) {
    let container = Container::new(bed);
    let mut process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    // The original crashes.
    for nothing in [json!({}), json!({ "host_port": 1, "guest_port": 1 }), json!({ "proto": 1 })] {
        assert_eq!(words(&add(bed, nothing)), "bad request: add_hostfwd: bad arguments.proto");
    }
    assert_eq!(words(&ask(bed, r#"{"execute":"add_hostfwd"}"#)), "bad request: add_hostfwd: bad arguments.proto");
    // It listens at 4464.
    let answer = add(bed, json!({ "proto": "tcp", "host_port": 70000, "guest_port": 80 }));
    assert_eq!(words(&answer), "bad request: add_hostfwd: bad arguments.host_port");
    let answer = add(bed, json!({ "proto": "tcp", "host_port": 18080.5, "guest_port": 80 }));
    assert_eq!(words(&answer), "bad request: add_hostfwd: bad arguments.host_port");
    let answer = add(bed, json!({ "proto": "tcp", "host_port": 18080, "guest_addr": "127.0.0.1", "guest_port": 80 }));
    assert_eq!(words(&answer), "bad request: add_hostfwd: bad arguments.guest_addr");
    assert!(process.is_running());
    drop(process);
    container.end();
    bed.sh("rm /tmp/ask.py").ok();
    bed.assert_nothing_left();
}

/// A web server in the container, which tells whom it sees.
fn serve<'b>(container: &Container<'b>, port: u16) -> crate::bed::Proc {
    let process = container.spawn(&format!("exec python3 /mnt/lib/peer.py http {port} ::"));
    process.wait_for("\"ready\"");
    process
}

fn fetch(bed: &Bed, side: Side, url: &str) -> (i32, String) {
    let out = bed.root(side, &format!("exec curl -sS --max-time 3 {url}")).output();
    (out.code(), out.stdout.trim_end().to_owned())
}

fn a_port_is_published_listed_and_removed(bed: &Bed) {
    of_both(bed, &format!("-c -a {SOCKET}"), |program, container, _| {
        let server = serve(container, 80);
        let answer = add(bed, json!({ "proto": "tcp", "host_addr": "0.0.0.0", "host_port": 18080, "guest_port": 80 }));
        assert_eq!(answer, json!({ "return": { "id": 1 } }));
        std::thread::sleep(std::time::Duration::from_millis(100));
        let world = format!("http://{HOST4}:18080/");
        let (code, text) = fetch(bed, Side::World, &world);
        assert_eq!(
            (code, text.as_str()),
            (0, "hello from the world, 203.0.113.1"),
            "{program:?}: the client's own address"
        );
        let (code, text) = fetch(bed, Side::Host, "http://127.0.0.1:18080/");
        assert_eq!((code, text.as_str()), (0, "hello from the world, 10.0.2.2"), "{program:?}: the gateway's");
        assert_eq!(execute(bed, "remove_hostfwd", json!({ "id": 1 })), json!({ "return": {} }));
        assert_eq!(fetch(bed, Side::World, &world).0, 7, "{program:?}: refused");
        drop(server);
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
    });
    bed.assert_nothing_left();
}

fn udp_ports(bed: &Bed) {
    of_both(bed, &format!("-c -a {SOCKET}"), |program, container, _| {
        let server = container.spawn(
            "exec python3 -c \"from peer import *
s = udp('0', timeout=None, bind=('0.0.0.0', 53)); report(ready=True)
while True:
    data, peer = s.recvfrom(2000); s.sendto(data + peer[0].encode(), peer)\"",
        );
        server.wait_for("\"ready\"");
        let answer = add(bed, json!({ "proto": "udp", "host_port": 15353, "guest_port": 53 }));
        assert_eq!(answer, json!({ "return": { "id": 1 } }));
        let script = format!(
            "exec python3 -c \"from peer import *
s = udp('{HOST4}'); s.sendto(b'hello ', ('{HOST4}', 15353)); print(s.recv(100).decode())\""
        );
        assert_eq!(bed.root(Side::World, &script).ok(), "hello 203.0.113.1", "{program:?}");
        drop(server);
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
    });
}

fn ipv6_ports(bed: &Bed) {
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -6 -a {SOCKET}"));
    let server = serve(&container, 80);
    for (arguments, listed) in [
        (json!({ "proto": "tcp", "host_addr": "::", "host_port": 18080, "guest_port": 80 }), ("::", "fd00::100")),
        (json!({ "proto": "tcp6", "host_port": 18081, "guest_port": 80 }), ("::", "fd00::100")),
        (json!({ "proto": "tcp4", "host_port": 18080, "guest_port": 80 }), ("0.0.0.0", "10.0.2.100")),
        (
            json!({ "proto": "tcp", "host_addr": "::1", "host_port": 18082, "guest_addr": "fd00::100", "guest_port": 80 }),
            ("::1", "fd00::100"),
        ),
    ] {
        let id = add(bed, arguments.clone())["return"]["id"].as_u64().unwrap_or_else(|| panic!("{arguments}"));
        let list = execute(bed, "list_hostfwd", json!({}));
        let entry = list["entries"].as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap().clone();
        assert_eq!((entry["host_addr"].as_str(), entry["guest_addr"].as_str()), (Some(listed.0), Some(listed.1)));
        assert_eq!(entry["proto"], "tcp");
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    let (_, text) = fetch(bed, Side::World, &format!("http://[{HOST6}]:18080/"));
    assert_eq!(text, "hello from the world, 2001:db8:cafe::1");
    let (_, text) = fetch(bed, Side::World, &format!("http://[{HOST6}]:18081/"));
    assert_eq!(text, "hello from the world, 2001:db8:cafe::1");
    assert_eq!(fetch(bed, Side::World, &format!("http://{HOST4}:18080/")).1, "hello from the world, 203.0.113.1");
    assert_eq!(fetch(bed, Side::Host, "http://[::1]:18082/").1, "hello from the world, fd00::2");
    for wrong in [json!({ "proto": "tcp4", "host_addr": "::" }), json!({ "proto": "udp6", "host_addr": "0.0.0.0" })] {
        assert_eq!(words(&add(bed, wrong)), "bad request: add_hostfwd: bad arguments.host_addr");
    }
    drop((server, process));
    container.end();
    // IPv6 clients of a container that has none reach its IPv4.
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    let server = serve(&container, 80);
    add(bed, json!({ "proto": "tcp", "host_addr": "::", "host_port": 18080, "guest_port": 80 }));
    std::thread::sleep(std::time::Duration::from_millis(100));
    let (_, text) = fetch(bed, Side::World, &format!("http://[{HOST6}]:18080/"));
    assert_eq!(text, "hello from the world, 10.0.2.2");
    drop((server, process));
    container.end();
    bed.sh("rm /tmp/ask.py").ok();
    bed.assert_nothing_left();
}

fn the_containers_address_may_be_another(bed: &Bed) {
    of_both(bed, &format!("-c -a {SOCKET}"), |program, container, _| {
        container.sh("ip address add 10.0.2.15/24 dev tap0");
        let server = container.spawn("exec python3 /mnt/lib/peer.py http 80 10.0.2.15");
        server.wait_for("\"ready\"");
        add(bed, json!({ "proto": "tcp", "host_port": 18080, "guest_addr": "10.0.2.15", "guest_port": 80 }));
        for (side, url, client) in [
            (Side::World, format!("http://{HOST4}:18080/"), "203.0.113.1"),
            (Side::Host, "http://127.0.0.1:18080/".into(), "10.0.2.2"),
        ] {
            let (_, text) = fetch(bed, side, &url);
            assert_eq!(text, format!("hello from the world, {client}"), "{program:?}: {url}");
        }
        drop(server);
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
    });
}

fn a_client_that_does_not_half_close(bed: &Bed) {
    of_both(bed, &format!("-c -a {SOCKET}"), |_, _, _| {
        let answer = python(bed, "print(exchange(b'{\"execute\": \"list_hostfwd\"}', half_close=False), end='')");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["entries"], json!([]));
        let answer = python(bed, "print(exchange(b'nonsense', half_close=False), end='')");
        assert!(answer.contains("cannot parse JSON"), "{answer}");
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
    });
    // A request may come in pieces, which the original does not wait for.
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    let script = "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/tmp/api.sock')
for part in [b'{\"execute\":', b'\"list_', b'hostfwd\"}']: s.sendall(part); time.sleep(0.1)
print(s.recv(1000).decode())";
    assert!(python(bed, script).contains("entries"));
    drop(process);
    container.end();
    bed.sh("rm -f /tmp/ask.py").ok();
}

fn too_much_is_refused_while_it_comes(bed: &Bed) {
    of_both(bed, &format!("-c -a {SOCKET}"), |program, _, _| {
        // It is not read for as long as it comes.
        let script =
            "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/tmp/api.sock'); start = time.monotonic()
try:
    while time.monotonic() < start + 4: s.sendall(bytes(65536))
except OSError: pass
check(time.monotonic() < start + 1, 'it was read for long')
print(s.recv(1000).decode())";
        assert!(python(bed, script).contains("bad request: too large message"), "{program:?}");
        bed.sh("rm -f /tmp/api.sock /tmp/ask.py").ok();
    });
}

fn busy_ports_are_told(bed: &Bed) {
    bed.http(Side::Host, 18080, "0.0.0.0");
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    let answer = add(bed, json!({ "proto": "tcp", "host_port": 18080, "guest_port": 80 }));
    assert_eq!(words(&answer), "bad request: add_hostfwd: slirp_add_hostfwd failed");
    let reason = answer["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("0.0.0.0:18080/tcp") && reason.contains("in use"), "{reason}");
    let answer = add(bed, json!({ "proto": "tcp", "host_addr": "192.0.2.99", "host_port": 18081, "guest_port": 80 }));
    assert_eq!(words(&answer), "bad request: add_hostfwd: slirp_add_hostfwd failed");
    // What failed has no number.
    let answer = add(bed, json!({ "proto": "tcp", "host_port": 18081, "guest_port": 80 }));
    assert_eq!(answer, json!({ "return": { "id": 1 } }));
    drop(process);
    container.end();
    bed.sh("rm /tmp/ask.py").ok();
}

fn the_socket_takes_the_place_of_an_old_one_and_goes(bed: &Bed) {
    bed.sh("python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('/tmp/api.sock')\"").ok();
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    assert!(execute(bed, "list_hostfwd", json!({}))["entries"].is_array());
    let mode = bed.sh("stat -c %a /tmp/api.sock").ok();
    assert_eq!(mode, "600", "it is its owner's");
    drop(process);
    container.end();
    bed.sh("rm /tmp/ask.py").ok();
    bed.assert_nothing_left();
}

fn many_clients_at_once(bed: &Bed) {
    let container = Container::new(bed);
    let process = Program::Rnet.serve(bed, &container, &format!("-c -a {SOCKET}"));
    let script = "idle = []
for _ in range(40): s = socket.socket(socket.AF_UNIX); s.connect('/tmp/api.sock'); idle.append(s)
answers = []
def one(n): answers.append(json.loads(exchange(json.dumps({'execute': 'add_hostfwd', 'arguments': {'proto': 'tcp', 'host_port': 20000 + n, 'guest_port': 80}}).encode())))
threads = [threading.Thread(target=one, args=(n,)) for n in range(50)]
[t.start() for t in threads]; [t.join() for t in threads]
equal(sorted(a['return']['id'] for a in answers), list(range(1, 51)))
equal(len(json.loads(exchange(b'{\"execute\":\"list_hostfwd\"}'))['entries']), 50)";
    python(bed, script);
    drop(process);
    container.end();
    bed.sh("rm /tmp/ask.py").ok();
    bed.assert_nothing_left();
}
