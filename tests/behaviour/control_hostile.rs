//! Clients of the control socket that are many, slow, or talk nonsense: each is told, and nobody else notices.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bed::{Bed, Proc};
use crate::control::client;

both!(
    nonsense_closes_only_the_one_who_talks_it,
    faults_of_a_request_leave_the_connection_open,
    requests_may_come_in_any_pieces,
    a_hundred_clients,
    slow_clients_cost_nothing,
);

fn start(bed: &Bed) -> Proc {
    let process = bed.run("--control /tmp/c.sock -p 8080", "echo up; exec sleep 100").spawn();
    process.wait_for("up");
    process
}

fn end(bed: &Bed, process: Proc) {
    client(bed, "equal(specs(PATH), ['8080']); ok(PATH, 'ping')");
    process.signal(Signal::SIGTERM);
    let out = process.wait(Duration::from_secs(10));
    assert!(!out.stderr.contains("panicked"), "{out}");
    bed.assert_nothing_left();
}

fn nonsense_closes_only_the_one_who_talks_it(bed: &Bed) {
    let process = start(bed);
    client(
        bed,
        r#"other = Client(PATH)
for line in (b'garbage', b'{', b'[]', b'null', b'7', b'""', b'\xff\xfe', b'{"v":1}', b'{"method":"ping"}', b'{"v":"1","method":"ping"}',
             b'{"v":1,"method":"ping"} trailing', b'{"v":1,"v":1,"method":"ping"}', b'{"v":1,"method":7}', b'{"v":1,"method":"ping","id":{}}',
             b'{"v":1,"method":"ping","id":1.5}', b'{"v":-1,"method":"ping"}', b'{"v":1,"method":"ping","id":"' + b'x' * 200 + b'"}',
             b'{"v":1,"method":"ping","extra":1}', b'[' * 200000, b'{"v":1,"method":"ping","params":' + b'{"a":' * 5000, b'\0' * 100, b'GET / HTTP/1.1'):
    c = Client(PATH); c.send(line + b'\n'); reply = c.reply()
    equal((reply['v'], reply['error']['code']), (1, 'bad_request'), line[:80]); check(c.is_closed(), line[:80])
    equal(other.ask('ping')['result']['kind'], 'run')
for length in (1 << 20, 3 << 20):
    c = Client(PATH)
    try:
        c.send(b'x' * length); c.send(b'x' * 100000)
    except (BrokenPipeError, ConnectionResetError): pass
    equal(c.reply()['error']['code'], 'too_long'); check(c.is_closed())
for half in (b'', b'{"v":1', b'{"v":1,"method":"shutdown"}'):
    c = Client(PATH); c.send(half); c.sock.shutdown(socket.SHUT_WR); check(c.is_closed(), half)
equal(other.ask('ping')['result']['kind'], 'run')"#,
    );
    end(bed, process);
}

fn faults_of_a_request_leave_the_connection_open(bed: &Bed) {
    let process = start(bed);
    client(
        bed,
        r#"c = Client(PATH)
def refused(code, words, **request):
    c.send(json.dumps({'id': 'x', **request}).encode() + b'\n'); reply = c.reply()
    equal((reply['id'], reply['error']['code']), ('x', code), (request, reply)); check(words in reply['error']['message'], reply)
refused('bad_version', '2', v=2, method='ping')
refused('unknown_method', 'forward.add', v=1, method='forward.ad')
refused('bad_params', 'x', v=1, method='ping', params={'x': 1})
refused('bad_params', 'forwards', v=1, method='forward.add')
refused('bad_params', 'sequence', v=1, method='forward.add', params={'forwards': 'x'})
refused('bad_params', 'params', v=1, method='forward.add', params=[['8000']])
refused('bad_params', 'params', v=1, method='forward.add', params={'forwards': [1]})
refused('bad_params', 'not a port', v=1, method='forward.add', params={'forwards': ['8000', '0', 'x:y']})
refused('bad_params', 'x:y', v=1, method='forward.add', params={'forwards': ['8000', '0', 'x:y']})
refused('bad_params', 'more than', v=1, method='forward.add', params={'forwards': ['8000'] * 5000})
refused('bad_params', 'cursor', v=1, method='flows.list', params={'cursor': '9.tcp.0'})
refused('bad_params', 'cursor', v=1, method='flows.list', params={'cursor': 'x' * 1000})
refused('bad_params', '-1', v=1, method='flows.list', params={'limit': -1})
refused('clash', '8080', v=1, method='forward.add', params={'forwards': ['8070-8090']})
refused('clash', '9000', v=1, method='forward.add', params={'forwards': ['9000', '9000:1']})
refused('not_found', '8081', v=1, method='forward.remove', params={'forwards': ['8080', '8081']})
equal([each['forward'] for each in c.ask('forward.list')['result']['forwards']], ['8080'])"#,
    );
    end(bed, process);
}

fn requests_may_come_in_any_pieces(bed: &Bed) {
    let process = start(bed);
    client(
        bed,
        r#"c = Client(PATH); line = b'{"v":1,"id":%d,"method":"ping"}\n'
c.send(b''.join(line % n for n in range(500))); equal([c.reply()['id'] for _ in range(500)], list(range(500)))
c.send(b'\n \n\r\n')
for byte in line % 9 + line % 10: c.send(bytes([byte]))
equal([c.reply()['id'] for _ in range(2)], [9, 10])
c.send((line % 11)[:20]); time.sleep(0.5); c.send((line % 11)[20:] + (line % 12)[:5]); equal(c.reply()['id'], 11)
c.send((line % 12)[5:].replace(b'\n', b'\r\n')); equal(c.reply()['id'], 12)
# No id is no id.
c.send(b'{"v":1,"method":"ping"}\n'); check('id' not in c.reply())"#,
    );
    end(bed, process);
}

fn a_hundred_clients(bed: &Bed) {
    let process = start(bed);
    client(
        bed,
        r#"clients = [Client(PATH) for _ in range(100)]
served, told = [], []
for c in clients:
    try: c.send(b'{"v":1,"id":1,"method":"ping"}\n')
    except BrokenPipeError: pass
    reply = c.reply()
    if 'result' in reply: served.append(c)
    else: equal(reply['error']['code'], 'too_many_clients'); check('64' in reply['error']['message']); check(c.is_closed()); told.append(c)
equal((len(served), len(told)), (64, 36))
for c in served: equal(c.ask('ping')['result']['kind'], 'run')
for c in served[:10]: c.file.close(); c.sock.close()
time.sleep(0.3); more = [Client(PATH) for _ in range(10)]
for c in more + served[10:]: equal(c.ask('ping')['result']['kind'], 'run')
# All at once, and each for itself.
def hammer(c):
    for _ in range(50): c.ask('stats'); c.ask('forward.list')
threads = [threading.Thread(target=hammer, args=(c,)) for c in more + served[10:]]
for each in threads: each.start()
for each in threads: each.join()
for c in more + served[10:]: c.file.close(); c.sock.close()"#,
    );
    end(bed, process);
}

fn slow_clients_cost_nothing(bed: &Bed) {
    let process = start(bed);
    client(
        bed,
        r#"import subprocess
pid = int(subprocess.check_output(['pgrep', '-x', 'rnet-control']))
def cpu():
    fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split(); return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
def memory(): return int(open(f'/proc/{pid}/statm').read().split()[1]) * 4096
# Some never finish a request, some never read a reply.
halves = [Client(PATH) for _ in range(20)]
for c in halves: c.send(b'{"v":1,' + b' ' * 500000)
deaf = [Client(PATH) for _ in range(20)]
for c in deaf:
    c.sock.setblocking(False)
    try:
        for _ in range(20000): c.sock.send(b'{"v":1,"method":"config.get"}\n' * 10)
    except BlockingIOError: pass
    c.sock.settimeout(15)
start, before = time.monotonic(), cpu()
quick = Client(PATH)
while time.monotonic() - start < 5:
    asked = time.monotonic(); quick.ask('ping'); check(time.monotonic() - asked < 1); time.sleep(0.2)
check(cpu() - before < 1, cpu() - before, 'seconds of processor time'); check(memory() < 100 << 20, memory())
for c in halves: equal(c.reply()['error']['code'], 'timed_out'); check(c.is_closed())
# The deaf have been left by then: what was not read is lost, and their places are free.
time.sleep(max(0, 12 - (time.monotonic() - start)))
others = [Client(PATH) for _ in range(60)]
for c in others: equal(c.ask('ping')['result']['kind'], 'run')
quick.ask('ping')"#,
    );
    end(bed, process);
}
