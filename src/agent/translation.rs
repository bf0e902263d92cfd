//! Whether addresses are translated in the network namespace (nftables and iptables, of the types `nat`): then a port may be
//! served that nobody listens at, and where a connection goes is not decided by routes alone.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

/// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const SUBSYSTEM: u16 = 10 << 8;
const NFT_MSG_NEWCHAIN: u16 = SUBSYSTEM | 3;
const NFT_MSG_GETCHAIN: u16 = SUBSYSTEM | 4;
const NFT_MSG_NEWGEN: u16 = SUBSYSTEM | 15;
const NFT_MSG_GETGEN: u16 = SUBSYSTEM | 16;
const NFTA_GEN_ID: u16 = 1;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
/// linux/netfilter.h: the hooks at which a destination is translated.
const NF_INET_PRE_ROUTING: u32 = 0;
const NF_INET_LOCAL_OUT: u32 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

/// How often the tables of the older iptables are looked for.
const OLD_PERIOD: Duration = Duration::from_secs(1);

/// Looks at the rules of the namespace that it was made in.
pub(super) struct Translation {
    /// `None` where the kernel has no nftables.
    netlink: Option<Socket>,
    /// The generation of rules that was looked at last.
    generation: Option<u32>,
    by_nftables: bool,
    /// The directory /proc/PID/net.
    proc_net: Option<OwnedFd>,
    by_iptables: bool,
    next_old: Instant,
}

impl Translation {
    /// To be made while /proc is there.
    pub(super) fn open() -> Translation {
        let connect = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0)).map(|()| socket)
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Translation {
            netlink: connect().ok(),
            generation: None,
            by_nftables: false,
            proc_net: open("/proc/self/net", flags, Mode::empty()).ok(),
            by_iptables: false,
            next_old: Instant::now(),
        }
    }

    /// Whether there are such rules now.
    pub(super) fn is_there(&mut self, now: Instant) -> bool {
        if let Some(netlink) = &self.netlink {
            match generation(netlink) {
                None => self.netlink = None,
                generation if generation == self.generation => {}
                generation => {
                    self.generation = generation;
                    self.by_nftables = translates(netlink);
                }
            }
        }
        if now >= self.next_old {
            self.next_old = now + OLD_PERIOD;
            self.by_iptables = ["ip_tables_names", "ip6_tables_names"].iter().any(|name| self.names_nat(name));
        }
        self.by_nftables || self.by_iptables
    }

    /// Whether a list of tables in use has `nat`.
    fn names_nat(&self, file: &str) -> bool {
        let Some(directory) = &self.proc_net else { return false };
        let Ok(file) = openat(directory, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else { return false };
        let mut names = String::new();
        let read = File::from(file).take(4096).read_to_string(&mut names);
        read.is_ok() && names.lines().any(|name| name == "nat")
    }
}

/// The number of the present generation of rules, which is another after each change.
fn generation(netlink: &Socket) -> Option<u32> {
    let mut found = None;
    ask(netlink, NFT_MSG_GETGEN, NLM_F_REQUEST, |kind, attributes| {
        if kind == NFT_MSG_NEWGEN {
            found = attribute(attributes, NFTA_GEN_ID).and_then(number);
        }
    })?;
    found
}

fn translates(netlink: &Socket) -> bool {
    let mut found = false;
    let asked = ask(netlink, NFT_MSG_GETCHAIN, NLM_F_REQUEST_DUMP, |kind, attributes| {
        let is_nat = attribute(attributes, NFTA_CHAIN_TYPE) == Some(b"nat\0");
        let hook = attribute(attributes, NFTA_CHAIN_HOOK);
        let hook = hook.and_then(|hook| attribute(hook, NFTA_HOOK_HOOKNUM)).and_then(number);
        found |= kind == NFT_MSG_NEWCHAIN && is_nat && matches!(hook, Some(NF_INET_PRE_ROUTING | NF_INET_LOCAL_OUT));
    });
    // Who cannot tell must be taken at the worst.
    found || asked.is_none()
}

/// Asks, and shows each answer's type and attributes to `see`; `None` when the kernel refuses.
fn ask(netlink: &Socket, kind: u16, flags: u16, mut see: impl FnMut(u16, &[u8])) -> Option<()> {
    let mut request = Vec::with_capacity(HEADER + 4);
    request.extend((HEADER as u32 + 4).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 12]);
    netlink.send(&request, 0).ok()?;
    let mut buffer = Vec::with_capacity(32 << 10);
    loop {
        buffer.clear();
        netlink.recv(&mut buffer, 0).ok()?;
        let mut rest = buffer.as_slice();
        while let Some(length) = rest.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
            let body = rest.get(HEADER..length)?;
            match u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?) {
                NLMSG_DONE => return Some(()),
                NLMSG_ERROR => return None,
                kind => see(kind, body.get(4..).unwrap_or_default()),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if flags == NLM_F_REQUEST {
            return Some(());
        }
    }
}

/// The value of an attribute (struct nlattr of linux/netlink.h).
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(4..length)?;
        // The two upper bits are flags.
        if kind & 0x3fff == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

/// Numbers of netfilter are in network byte order.
fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*value.first_chunk()?))
}
