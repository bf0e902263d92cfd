//! What was typed becomes a network and its target, or complaints.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rnet_stack::frame::MacAddr;
use tracing::level_filters::LevelFilter;

use super::{Complaints, value};
use crate::cli::value as common;
use crate::config::{
    Attach, Auto, AutoExpose, BusyPoll, Control, Dns, DnsService, Limits, Link, Log, LogFormat, LoopbackSource, Manner,
    Network, Outbound, Presence, Setup, Subnet, Target,
};
use crate::sys;

/// Bytes of a socket's path, its end included (sun_path in unix(7)).
const SOCKET_PATH_MAX: usize = 108;

/// Everything that was asked for.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    configure: bool,
    exit_fd: Option<i32>,
    ready_fd: Option<i32>,
    mtu: Option<u16>,
    subnet: Option<Subnet<Ipv4Addr>>,
    disable_host_loopback: bool,
    netns_type: Option<OsString>,
    userns: Option<PathBuf>,
    api_socket: Option<OsString>,
    ipv6: bool,
    sandbox: bool,
    seccomp: bool,
    outbound: Outbound,
    disable_dns: bool,
    mac: Option<MacAddr>,
    is_bess: bool,
    /// What is no option.
    pub operands: Vec<OsString>,
}

impl Wishes {
    /// Takes an option.
    pub(super) fn option(&mut self, name: &str, given: OsString, complaints: &mut Complaints) {
        let mut usage = |fault: String| complaints.usage(fault);
        match name {
            "configure" => self.configure = true,
            "exit-fd" => self.exit_fd = value::descriptor(name, &given).map_err(usage).ok(),
            "ready-fd" => self.ready_fd = value::descriptor(name, &given).map_err(usage).ok(),
            "mtu" => self.mtu = value::mtu(&given).map_err(usage).ok(),
            "cidr" => self.subnet = value::cidr(&given).map_err(|fault| complaints.value(fault)).ok(),
            "disable-host-loopback" | "no-host-loopback" => self.disable_host_loopback = true,
            "netns-type" => self.netns_type = Some(given),
            "userns-path" => {
                let wrong = |_: &_| format!("userns path doesn't exist: {}", given.to_string_lossy());
                self.userns = value::existing(&given, wrong).map_err(usage).ok();
            }
            "api-socket" => self.api_socket = Some(given),
            "enable-ipv6" => self.ipv6 = true,
            "enable-sandbox" | "create-sandbox" => self.sandbox = true,
            "enable-seccomp" => self.seccomp = true,
            "outbound-addr" => {
                self.outbound.ipv4 = value::outbound4(&given).map_err(|fault| complaints.value(fault)).ok()
            }
            "outbound-addr6" => {
                self.outbound.ipv6 = value::outbound6(&given).map_err(|fault| complaints.value(fault)).ok();
            }
            "disable-dns" => self.disable_dns = true,
            "macaddress" => self.mac = value::mac(&given).map_err(|fault| complaints.value(fault)).ok(),
            "target-type" if given == "bess" => self.is_bess = true,
            "target-type" if given == "netns" => self.is_bess = false,
            "target-type" => usage("--target-type must be either \"netns\" or \"bess\"".into()),
            _ => {}
        }
    }

    /// What is to be done; `None` when `complaints` has got one more.
    pub(super) fn request(self, complaints: &mut Complaints) -> Option<Attach> {
        self.judge_conflicts(complaints);
        let (target, ifname) = self.target(complaints)?;
        let control = self.control(complaints);
        if !complaints.is_empty() {
            return None;
        }
        let mut claim = |name: &str, number: Option<i32>| -> Option<OwnedFd> {
            let claimed = claim(number?);
            claimed.map_err(|error| complaints.value(format!("{name}: {error}"))).ok()
        };
        let ready_fd = claim("ready-fd", self.ready_fd);
        let exit_fd = claim("exit-fd", self.exit_fd);
        let target = match target {
            Aim::Target(target) => target,
            Aim::Device(number) => Target::Device(claim("tapfd", Some(number))?),
        };
        let subnet = self.subnet.unwrap_or(SUBNET);
        let manner = Manner {
            greeting: self.greeting(&subnet),
            farewell: "exitfd event\ndo_slirp is exiting\n",
            exit_fd_waits: true,
            dies_of_signals: true,
            sandbox: self.sandbox,
            seccomp: self.seccomp,
        };
        Some(Attach {
            network: self.network(ifname, subnet),
            log: Log {
                level: LevelFilter::WARN,
                format: LogFormat::default(),
                file: None,
                bounded: None,
                preface: Vec::new(),
            },
            target,
            presence: Presence::Foreground,
            ready_fd,
            exit_fd,
            pid_file: None,
            leaves_pid_file: false,
            ends_with_path: false,
            control,
            manner,
        })
    }

    fn judge_conflicts(&self, complaints: &mut Complaints) {
        if self.is_bess {
            for (is_given, name) in [
                (self.configure, "--configure"),
                (self.netns_type.is_some(), "--netns-type"),
                (self.userns.is_some(), "--userns-path"),
            ] {
                if is_given {
                    complaints.usage(format!("{name} conflicts with --target-type=bess"));
                }
            }
        } else if self.mac.is_some() && !self.configure {
            complaints.usage("--macaddr cannot be specified when --configure or -c is not specified");
        }
        if self.ready_fd.is_some() && self.ready_fd == self.exit_fd {
            complaints.usage("ready-fd and exit-fd must differ");
        }
    }

    /// What the operands mean, and the device's name.
    fn target(&self, complaints: &mut Complaints) -> Option<(Aim, String)> {
        let kind = self.netns_type.as_ref().map(|kind| kind.to_string_lossy());
        let kind = if self.is_bess { "bess" } else { kind.as_deref().unwrap_or("pid") };
        let has_name = matches!(kind, "pid" | "path");
        let (first, name) = match (self.operands.as_slice(), has_name) {
            ([first, name, ..], true) => (first, name.to_string_lossy().into_owned()),
            // The device is there, or is none; this name is only spoken of.
            ([first, ..], false) => (first, "tap".to_owned()),
            _ => {
                complaints.usage = true;
                return None;
            }
        };
        if has_name && let Err(fault) = common::ifname(&name) {
            complaints.usage(format!("TAPNAME {name} {fault}"));
        }
        let number = || first.to_str().and_then(|text| text.parse::<i32>().ok());
        let absolute = || std::path::absolute(first).unwrap_or_else(|_| first.into());
        let aim = match kind {
            "bess" => Some(Aim::Target(Target::Frames(absolute()))),
            "pid" => match number().filter(|pid| *pid > 0) {
                Some(pid) => Some(Aim::Target(match &self.userns {
                    None => Target::Process(pid),
                    Some(userns) => {
                        Target::Files { netns: format!("/proc/{pid}/ns/net").into(), userns: Some(userns.clone()) }
                    }
                })),
                None => {
                    complaints.usage("PID must be a positive integer");
                    None
                }
            },
            "path" => {
                let wrong = |error: &std::io::Error| {
                    let error = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOENT)).desc();
                    format!("existing path expected when --netns-type=path: {error}")
                };
                let netns = value::existing(first, wrong).map_err(|fault| complaints.usage(fault)).ok();
                netns.map(|netns| Aim::Target(Target::Files { netns, userns: self.userns.clone() }))
            }
            "tapfd" => match number().filter(|fd| *fd >= 0) {
                Some(number) => Some(Aim::Device(number)),
                None => {
                    complaints.usage("FD must be a non-negative integer");
                    None
                }
            },
            _ => {
                complaints.usage("--netns-type must be either \"path\", \"pid\" or \"tapfd\"");
                None
            }
        };
        Some((aim?, name))
    }

    fn control(&self, complaints: &mut Complaints) -> Control {
        let Some(path) = &self.api_socket else { return Control::Off };
        if path.len() >= SOCKET_PATH_MAX {
            complaints.value(format!("the specified API socket path is too long (>= {SOCKET_PATH_MAX})"));
        }
        Control::HostForwards(std::path::absolute(path).unwrap_or_else(|_| path.into()))
    }

    fn network(self, ifname: String, subnet: Subnet<Ipv4Addr>) -> Network {
        let mtu = self.mtu.unwrap_or(MTU);
        // The kernel has no IPv6 on a device with a lesser MTU.
        let ipv6 = Some(SUBNET6).filter(|_| self.ipv6 && mtu >= MTU_MIN_IPV6);
        Network {
            ifname,
            mtu,
            mac: self.mac,
            ipv4: Some(subnet),
            ipv6,
            link: Link {
                setup: if self.configure { Setup::Subnets } else { Setup::Bare },
                found: true,
                lease: Some(value::leases(&subnet).1),
                ..Link::default()
            },
            host_loopback: !self.disable_host_loopback,
            outbound: Outbound { to_loopback: true, ..self.outbound },
            dns: Dns { service: if self.disable_dns { DnsService::Off } else { DnsService::On }, ..Dns::default() },
            publish: Vec::new(),
            auto: Auto::default(),
            expose: Vec::new(),
            auto_expose: AutoExpose::default(),
            loopback_source: LoopbackSource::default(),
            limits: Limits::default(),
            threads: 1,
            busy_poll: BusyPoll::default(),
        }
    }

    /// What is told when the network is ready.
    fn greeting(&self, subnet: &Subnet<Ipv4Addr>) -> String {
        let (network, first, last) = value::leases(subnet);
        let mask = Ipv4Addr::from_bits(!(u32::MAX >> subnet.prefix));
        let mut text = String::from("Starting slirp\n");
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Nothing can be in the way of writing to a string.
            let _ = writeln!(text, "* {name:<16} {value}");
        };
        line("MTU:", &self.mtu.unwrap_or(MTU));
        line("Network:", &network);
        line("Netmask:", &mask);
        line("Gateway:", &subnet.gateway);
        if let Some(dns) = subnet.dns {
            line("DNS:", &dns);
        }
        line("DHCP begin:", &first);
        line("DHCP end:", &last);
        line("Recommended IP:", &subnet.address);
        if let Some(path) = &self.api_socket {
            line("API Socket:", &path.to_string_lossy());
        }
        if let Some(address) = self.outbound.ipv4 {
            line("Outbound IPv4:", &address);
        }
        if let Some(address) = self.outbound.ipv6 {
            line("Outbound IPv6:", &address);
        }
        if !self.disable_host_loopback {
            let _ = writeln!(
                text,
                "WARNING: 127.0.0.1:* on the host is accessible as {} (set --disable-host-loopback to prohibit connecting to \
                 127.0.0.1:*)",
                subnet.gateway
            );
        }
        if self.ipv6 && self.mtu.unwrap_or(MTU) < MTU_MIN_IPV6 {
            let _ = writeln!(text, "WARNING: there is no IPv6: it needs an MTU of {MTU_MIN_IPV6} bytes at least");
        }
        if self.operands.len() > 2 {
            text.push_str("WARNING: too many arguments\n");
        }
        text
    }
}

/// A target, or the number of a descriptor that is one.
enum Aim {
    Target(Target),
    Device(i32),
}

const MTU: u16 = 1500;
/// RFC 8200 section 5.
const MTU_MIN_IPV6: u16 = 1280;

const SUBNET: Subnet<Ipv4Addr> = Subnet {
    address: Ipv4Addr::new(10, 0, 2, 100),
    prefix: 24,
    gateway: Ipv4Addr::new(10, 0, 2, 2),
    dns: Some(Ipv4Addr::new(10, 0, 2, 3)),
};

const SUBNET6: Subnet<Ipv6Addr> = Subnet {
    address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
    prefix: 64,
    gateway: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
    dns: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3)),
};

/// Takes over a descriptor. The number of a standard stream does not stay free: nothing else is to get it.
fn claim(number: i32) -> std::io::Result<OwnedFd> {
    let claimed = sys::claim_descriptor(number)?;
    if number <= 2 {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        sys::redirect(&null, number)?;
    }
    Ok(claimed)
}
