//! A control socket and those who speak to it.

use crate::bed::Bed;
use crate::published::host;

/// `ask(path, method, …)` gives the reply to one request; `Client` is a connection.
const ASK: &str = "
import glob, stat
class Client:
    def __init__(self, path, timeout=15):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(timeout); self.sock.connect(path)
        self.file = self.sock.makefile('rb')
    def send(self, line): self.sock.sendall(line)
    def reply(self):
        line = self.file.readline()
        return json.loads(line) if line else None
    def ask(self, method, **params):
        self.send(json.dumps({'v': 1, 'id': 7, 'method': method, 'params': params}).encode() + b'\\n')
        reply = self.reply(); equal((reply['v'], reply['id']), (1, 7), reply); return reply
    def is_closed(self):
        try: return self.file.readline() == b''
        except ConnectionResetError: return True
def ask(path, method, **params): return Client(path).ask(method, **params)
def ok(path, method, **params):
    reply = ask(path, method, **params); check('result' in reply, method, params, reply); return reply['result']
def fails(path, code, words, method, **params):
    reply = ask(path, method, **params); equal(reply.get('error', {}).get('code'), code, reply)
    for word in words: check(word in reply['error']['message'], word, reply)
def specs(path): return [each['forward'] for each in ok(path, 'forward.list')['forwards']]
PATH = '/tmp/c.sock'
";

/// A client on the host, as the user who runs rnet.
pub fn client(bed: &Bed, script: &str) -> String {
    host(bed, &format!("{ASK}{script}"))
}

/// The same, with a script that has braces.
pub fn script(text: &str) -> String {
    format!("{ASK}{text}")
}
