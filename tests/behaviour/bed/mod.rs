//! The bed: a small machine of namespaces in which rnet runs, and a world of servers for it to talk to.
//!
//! ```text
//!  host: eth0 203.0.113.2/24, 2001:db8:cafe::2/64  ── veth ──  world: 203.0.113.1, 198.51.100.1, .2, 2001:db8:cafe::1, beef::1, ::2
//! ```
//! The host side has network, mount, PID, IPC and UTS namespaces of its own, with private /tmp, /run, /dev/shm and homes. Its first
//! process reads from a pipe that this test holds: when the test ends, even by SIGKILL, the pipe closes and the kernel
//! takes every process and namespace of the bed away. Nothing outside is changed, so there is nothing to clean up.
//!
//! `RNET_TEST_BIN=/path` puts another program in rnet's place, to hold the tests themselves against a known network.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

mod address;
mod clean;
mod cmd;
mod join;
mod name_servers;
mod podman;
mod process;
mod servers;
mod terminal;

pub use address::*;
pub use cmd::{Cmd, Side};
pub use podman::{Podman, Programs};
pub use process::{Out, Proc, eventually};
pub use servers::port;
pub use terminal::Terminal;

/// Who starts rnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// uid 0 in the initial user namespace.
    Root,
    /// The unprivileged user that `tests/setup` makes.
    Plain,
}

/// Whose programs the bed has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// The machine's own.
    Own,
    /// Those of the Debian 13 that `tests/debian13` has made, with the machine's users.
    Debian13,
}

/// An account as /etc/passwd has it.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
}

/// A host, a world, and a user who runs rnet on the host.
pub struct Bed {
    pub user: User,
    pub system: System,
    account: Account,
    init: Child,
    _pipe: ChildStdin,
    ground: Arc<join::Ground>,
    background: RefCell<Vec<Proc>>,
    files: RefCell<clean::Files>,
    excused: RefCell<Vec<String>>,
}

/// Makes each function `name(bed: &Bed)` two tests, `name::as_root` and `name::as_user`.
macro_rules! both {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            $(#[$attribute])*
            fn as_root() {
                $crate::bed::Bed::with($crate::bed::User::Root, super::$name);
            }
            #[test]
            $(#[$attribute])*
            fn as_user() {
                $crate::bed::Bed::with($crate::bed::User::Plain, super::$name);
            }
        }
    )*};
}

/// Makes each function `name(bed: &Bed)` one test, `name::as_root` or `name::as_user`, where only one of them has a meaning.
macro_rules! only {
    ($user:ident $test:ident: $($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn $test() {
                $crate::bed::Bed::with($crate::bed::User::$user, super::$name);
            }
        }
    )*};
}

/// Makes each function `name(bed: &Bed)` two tests of the unprivileged user, `name::as_user` and `name::on_debian_13`.
macro_rules! both_systems {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_user() {
                $crate::bed::Bed::with($crate::bed::User::Plain, super::$name);
            }
            #[test]
            fn on_debian_13() {
                $crate::bed::Bed::on($crate::bed::System::Debian13, $crate::bed::User::Plain, super::$name);
            }
        }
    )*};
}

/// Makes each function `name(bed: &Bed)` one test, `name::as_user`, of the unprivileged user on Debian 13.
macro_rules! debian_13 {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn as_user() {
                $crate::bed::Bed::on($crate::bed::System::Debian13, $crate::bed::User::Plain, super::$name);
            }
        }
    )*};
}

impl Bed {
    /// Runs one test in a new bed and checks afterwards that nothing is left in it.
    pub fn with(user: User, test: fn(&Bed)) {
        Bed::on(System::Own, user, test);
    }

    /// The same with the programs of another system.
    pub fn on(system: System, user: User, test: fn(&Bed)) {
        let bed = Bed::new(system, user);
        test(&bed);
        bed.finish();
    }

    /// A new machine with addresses, routes and name servers, and nothing running.
    fn new(system: System, user: User) -> Bed {
        assert!(nix::unistd::geteuid().is_root(), "the tests make network namespaces: run them as root (tests/run)");
        let account = account(if user == User::Root { "root" } else { "rnettest" });
        let program = std::env::var("RNET_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rnet").into());
        assert!(Path::new(&program).is_file(), "{program}: not a file");

        let tree = match system {
            System::Own => "",
            System::Debian13 => {
                assert!(
                    Path::new(DEBIAN_13).join(".complete").is_file(),
                    "there is no {DEBIAN_13}: run tests/setup first"
                );
                DEBIAN_13
            }
        };

        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(include_str!("init.sh")).env_clear().env("PATH", PATH).env("TREE", tree);
        command.env("RNET", program).env("USER_UID", account.uid.to_string()).env("USER_GID", account.gid.to_string());
        command
            .env("USER_HOME", &account.home)
            .env("PEER", include_str!("peer.py"))
            .env("NAMES", include_str!("names.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut init = join::spawn_init(&mut command);
        let pipe = init.stdin.take().unwrap();
        let mut answer = String::new();
        BufReader::new(init.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "ready\n", "the bed's init did not come up");

        let host = join::Namespaces::of(init.id());
        let bed = Bed {
            user,
            system,
            account,
            init,
            _pipe: pipe,
            ground: Arc::new(join::Ground { host, world: join::new_network() }),
            background: RefCell::default(),
            files: RefCell::default(),
            excused: RefCell::default(),
        };
        bed.connect_sides();
        *bed.files.borrow_mut() = clean::Files::of(&bed);
        bed
    }

    /// Lays the cable between host and world and gives both their addresses.
    fn connect_sides(&self) {
        self.outside_command(&format!(
            "ip link add eth0 type veth peer name eth0 netns {}",
            join::path_of(&self.ground.world)
        ));
        self.root(Side::Host, include_str!("host.sh")).ok();
        self.root(Side::World, include_str!("world.sh")).ok();
    }

    /// Runs a shell command in the host's network but with the test's own files and processes.
    fn outside_command(&self, script: &str) {
        let mut command = Command::new("/bin/sh");
        command.arg("-ec").arg(script);
        let status = self.ground.host.only_network().spawn(command, None).wait().unwrap();
        assert!(status.success(), "{script}: {status}");
    }

    /// `rnet ARGUMENTS…` on the host, as the bed's user. With RNET_TEST_THREADS in the environment everything that makes a
    /// network is given so many threads, unless it is told otherwise.
    pub fn rnet<S: AsRef<str>>(&self, arguments: &[S]) -> Cmd<'_> {
        let mut argv = vec!["rnet".to_owned()];
        argv.extend(arguments.iter().map(|a| a.as_ref().to_owned()));
        if let (Some("run" | "attach"), Ok(threads)) =
            (argv.get(1).map(String::as_str), std::env::var("RNET_TEST_THREADS"))
        {
            argv.splice(2..2, ["--threads".to_owned(), threads]);
        }
        Cmd::new(self, Side::Host, self.account.clone(), argv)
    }

    /// `rnet run OPTIONS… -- sh -c SCRIPT` on the host, as the bed's user. `options` are split at blanks.
    pub fn run(&self, options: &str, script: &str) -> Cmd<'_> {
        self.run_argv(options, &["sh", "-c", script])
    }

    /// `rnet run OPTIONS… -- ARGV…` on the host, as the bed's user. `options` are split at blanks.
    pub fn run_argv(&self, options: &str, argv: &[&str]) -> Cmd<'_> {
        let mut arguments = vec!["run"];
        arguments.extend(options.split_whitespace());
        arguments.push("--");
        arguments.extend(argv);
        self.rnet(&arguments)
    }

    /// `rnet run OPTIONS… -- python3 -c SCRIPT`, with everything from peer.py at hand.
    pub fn run_python(&self, options: &str, script: &str) -> Cmd<'_> {
        self.run_argv(options, &["python3", "-c", &format!("from peer import *\n{script}")])
    }

    /// `rnet run OPTIONS… -- python3 -c SCRIPT`, with everything from names.py at hand.
    pub fn run_names(&self, options: &str, script: &str) -> Cmd<'_> {
        self.run_argv(options, &["python3", "-c", &format!("from names import *\n{script}")])
    }

    /// `sh -c SCRIPT` as the bed's user on the host, without rnet.
    pub fn sh(&self, script: &str) -> Cmd<'_> {
        Cmd::new(self, Side::Host, self.account.clone(), ["sh", "-c", script].map(String::from).into())
    }

    /// `sh -ec SCRIPT` as root on either side.
    pub fn root(&self, side: Side, script: &str) -> Cmd<'_> {
        Cmd::new(self, side, account("root"), ["sh", "-ec", script].map(String::from).into())
    }

    /// The account that runs rnet.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Where the bed's private file system is seen from the test.
    pub fn path(&self, inside: &str) -> std::path::PathBuf {
        format!("/proc/{}/root{inside}", self.init.id()).into()
    }

    /// Writes a file for the bed's user.
    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).unwrap_or_else(|e| panic!("write {path}: {e}"));
        std::os::unix::fs::chown(self.path(path), Some(self.account.uid), Some(self.account.gid)).unwrap();
        *self.files.borrow_mut() = clean::Files::of(self);
    }

    /// Says that files below `start` are not rnet's but another program's, and may stay.
    pub fn excuse_files(&self, start: &str) {
        self.excused.borrow_mut().push(start.into());
    }

    /// Puts text into the host's /etc/resolv.conf.
    pub fn resolv_conf(&self, text: &str) {
        std::fs::write(self.path("/mnt/resolv.conf"), text).unwrap();
    }

    /// Keeps a process until the end of the test.
    fn keep(&self, process: Proc) {
        self.background.borrow_mut().push(process);
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A PID namespace does not end before its last process is reaped, and these are ours to reap.
        self.background.borrow_mut().clear();
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// The search path inside the bed: rnet comes first.
const PATH: &str = "/mnt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where `tests/debian13` makes its system.
const DEBIAN_13: &str = "/var/lib/rnettest/debian-13";

/// How long a command may take that should be done at once.
const LIMIT: Duration = Duration::from_secs(30);

/// Looks a user up, without NSS.
fn account(name: &str) -> Account {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == name)
        .unwrap_or_else(|| panic!("there is no user {name}: run tests/setup first"));
    let (uid, gid) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    Account { name: name.into(), uid, gid, home: fields[5].into() }
}
