//! Which processes and namespaces a network is for.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::{Log, Network};

/// A command in namespaces of its own: `rnet run`.
#[derive(Debug)]
pub struct Run {
    /// The network it gets.
    pub network: Network,
    /// Logging of the processes around it.
    pub log: Log,
    /// Who the caller is inside.
    pub map_user: MapUser,
    /// Which ids exist inside.
    pub map_ids: MapIds,
    /// Where it is controlled from while it runs.
    pub control: Control,
    /// Absolute directories that are made writable inside.
    pub copy_up: Vec<PathBuf>,
    /// The program and its arguments, at least the program.
    pub command: Vec<OsString>,
    /// What is otherwise than rnet has it.
    pub surroundings: Surroundings,
}

/// What a command finds around itself, beyond the network. By default that is what rnet makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether it is the first process of a PID namespace of its own.
    pub own_processes: bool,
    /// What its host is called, in IPC and UTS namespaces of its own.
    pub host_name: Option<String>,
    /// Whether the environment and resolv.conf stay as they are.
    pub is_bare: bool,
    /// Whether it is told to be a login shell.
    pub login_shell: bool,
    /// Gets this process's id when the network is ready.
    pub pid_file: Option<PathBuf>,
}

/// Who the caller is inside the user namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapUser {
    /// User and group 0.
    #[default]
    Root,
    /// The same user and group as outside.
    Keep,
}

/// Which ids exist inside the user namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapIds {
    /// All that /etc/subuid and /etc/subgid allot, or else the caller's own alone.
    #[default]
    Auto,
    /// All that /etc/subuid and /etc/subgid allot, or an error.
    All,
    /// The caller's own alone.
    One,
}

/// Namespaces that somebody else made: `rnet attach`.
#[derive(Debug)]
pub struct Attach {
    /// The network they get.
    pub network: Network,
    /// Logging.
    pub log: Log,
    /// The namespaces.
    pub target: Target,
    /// Whether the caller waits for the end or only for the beginning.
    pub presence: Presence,
    /// Gets `1` and is closed when the network is ready.
    pub ready_fd: Option<OwnedFd>,
    /// Any event on it ends the network.
    pub exit_fd: Option<OwnedFd>,
    /// Holds the process's id while the network is there.
    pub pid_file: Option<PathBuf>,
    /// Whether that is left behind, for callers that look at it afterwards.
    pub leaves_pid_file: bool,
    /// Whether the network ends when the target's path or process does, whatever else is in the namespace.
    pub ends_with_path: bool,
    /// Where it is controlled from while it is there.
    pub control: Control,
    /// How it behaves towards the caller.
    pub manner: Manner,
}

/// How a network behaves towards a caller who expects another program. By default it is rnet's own way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// What is said on standard output when the network is ready.
    pub greeting: String,
    /// What is said on standard error when the exit descriptor has had an event.
    pub farewell: &'static str,
    /// Whether the exit descriptor counts only when the network is ready.
    pub exit_fd_waits: bool,
    /// Whether a signal that ends the network ends the process as well, so that its parent sees which.
    pub dies_of_signals: bool,
    /// Whether the supervisor gives up, when ready, all files but /etc and /run, and all capabilities but CAP_NET_BIND_SERVICE.
    pub sandbox: bool,
    /// Whether the supervisor may not make, when ready, system calls that it does not need.
    pub seccomp: bool,
}

/// What a network is for: namespaces, by their names, or a device.
#[derive(Debug)]
pub enum Target {
    /// Those of a process.
    Process(i32),
    /// Those that files stand for (/proc/PID/ns/net, or a bind mount of it).
    Files {
        /// The network namespace.
        netns: PathBuf,
        /// The user namespace to join; `None` is the owner of the network namespace.
        userns: Option<PathBuf>,
    },
    /// No namespace is joined: this is a tap device, or a socket that keeps frames apart.
    Device(OwnedFd),
    /// No namespace is joined: whoever connects first to a socket (SOCK_SEQPACKET) at this absolute path sends and gets
    /// frames there, as a User Mode Linux does with its transport `bess`.
    Frames(PathBuf),
}

/// Where a network is controlled from while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nowhere.
    Off,
    /// At a socket among those of the user's other networks, where there is a place for it.
    Usual,
    /// At a socket with this absolute path.
    At(PathBuf),
    /// At a socket with this absolute path, where published ports are told and changed as slirp4netns does that.
    HostForwards(PathBuf),
}

/// Whether a process stays with its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It stays until the end.
    Foreground,
    /// It goes to the background when ready.
    Background,
}
