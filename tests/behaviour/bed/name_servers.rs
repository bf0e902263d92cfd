//! Name servers of several makes.

use super::{Account, Bed, Cmd, Side, account, eventually};
use std::time::Duration;

impl Bed {
    /// Starts `python3 -c SCRIPT`, which has everything from names.py at hand and ends with `for_ever()`, for as long as the
    /// test runs.
    pub fn names_server(&self, side: Side, script: &str) {
        let script = format!("from names import *\n{script}\nfor_ever()");
        let root: Account = account("root");
        let process = Cmd::new(self, side, root, ["python3", "-c", &script].map(String::from).into()).spawn();
        process.wait_for("\"ready\"");
        self.note_processes();
        self.keep(process);
    }

    /// Starts nsd with a zone, for as long as the test runs.
    pub fn nsd(&self, side: Side, listen: &[&str], zone: &str) {
        let addresses: String = listen.iter().map(|address| format!("  ip-address: {address}\n")).collect();
        let config = format!(
            "server:\n{addresses}  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: /mnt/nsd\n  database: \"\"\n  \
             pidfile: \"\"\n  xfrdfile: /mnt/nsd/xfrd\n  zonelistfile: /mnt/nsd/list\n  xfrdir: /mnt/nsd\n  nsid: ascii_rnet-test\n  \
             hide-version: no\n  version: rnet-test\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\nzone:\n  \
             name: example\n  zonefile: zone\n"
        );
        std::fs::create_dir_all(self.path("/mnt/nsd")).unwrap();
        std::fs::write(self.path("/mnt/nsd/conf"), config).unwrap();
        std::fs::write(self.path("/mnt/nsd/zone"), zone).unwrap();
        let server = self.root(side, "exec nsd -d -c /mnt/nsd/conf").spawn();
        let ask = format!("dig +short +time=1 +tries=1 @{} example SOA | grep -q .", listen[0]);
        let up = eventually(Duration::from_secs(10), || self.root(side, &ask).output().code() == 0);
        assert!(up, "nsd did not start: {}{}", server.stdout(), server.stderr());
        // It answers before it has made all of its processes.
        let all = eventually(Duration::from_secs(5), || {
            self.processes().iter().filter(|(_, command)| command.starts_with("nsd -d")).count() >= 3
        });
        assert!(all, "{:?}", self.processes());
        self.note_processes();
        self.keep(server);
    }

    /// Starts unbound in the world: over TLS at port 853 and HTTPS at 443 with certificates for `dns.example` and its address that
    /// the authority in /mnt/ca/ca.pem has signed; it knows web.example.
    pub fn unbound(&self, listen: &str) {
        self.root(
            Side::World,
            &format!(
                "mkdir -p /mnt/ca; cd /mnt/ca
                openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=rnet-test-ca -addext basicConstraints=critical,CA:TRUE
                printf 'subjectAltName=DNS:dns.example,IP:{listen}\\nextendedKeyUsage=serverAuth\\n' >ext
                openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr -subj /CN=dns.example
                openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out cert.pem
                openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 30 -subj /CN=other-ca
                cat >conf <<END
server:
  interface: {listen}@853
  interface: {listen}@443
  tls-port: 853
  https-port: 443
  tls-service-key: /mnt/ca/key.pem
  tls-service-pem: /mnt/ca/cert.pem
  username: \"\"
  chroot: \"\"
  directory: /mnt/ca
  pidfile: \"\"
  use-syslog: no
  logfile: \"\"
  module-config: iterator
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  local-zone: example. static
  local-data: 'web.example. 300 A 192.0.2.80'
  local-data: 'odd.example. 300 TYPE65280 \\# 4 01020304'
remote-control:
  control-enable: no
END"
            ),
        )
        .ok();
        let server = self.root(Side::World, "exec unbound -d -c /mnt/ca/conf").spawn();
        let up = eventually(Duration::from_secs(10), || {
            self.root(Side::World, "ss -tlnH | grep -q :853 && ss -tlnH | grep -q :443").output().code() == 0
        });
        assert!(up, "unbound did not start: {}{}", server.stdout(), server.stderr());
        self.note_processes();
        self.keep(server);
    }
}
