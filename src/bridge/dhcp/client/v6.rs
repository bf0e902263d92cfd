//! DHCPv6 (RFC 8415) for one address that is not temporary (IA_NA). Routers and prefixes come by router advertisements, which are the
//! kernel's.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dhcproto::v6::{DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, ORO, OptionCode, Status};
use dhcproto::{Decodable, Decoder, Encodable};
use ipnet::{IpNet, Ipv6Net};

use super::lease::{name, usable};
use super::sound;
use super::timing::{Random, until};
use super::{Event, Identity, Lease, Server, Transmit};

/// So often an advertised address is asked for before another is looked for.
const REQUESTS: u32 = 4;
/// The longest DUID (RFC 8415 section 11.1) in bytes, with its type.
const DUID_MAX: usize = 130;

#[derive(Debug)]
enum State {
    /// Looking for a server.
    Soliciting,
    /// Asking for what one has advertised.
    Requesting(Lease),
    /// Nothing to do before T1.
    Bound(Lease),
    /// Asking the server that granted it.
    Renewing(Lease),
    /// Asking any server.
    Rebinding(Lease),
}

/// A client for one interface.
#[derive(Debug)]
pub struct V6 {
    identity: Identity,
    state: State,
    wanted: Option<Ipv6Addr>,
    xid: [u8; 3],
    /// When the current exchange began, which the servers are told.
    began: Duration,
    tries: u32,
    refusals: u32,
    at: Option<Duration>,
    random: Random,
}

impl V6 {
    pub(super) fn new(identity: Identity, previous: Option<Lease>, now: Duration, seed: u64) -> V6 {
        let mut client = V6 {
            identity,
            state: State::Soliciting,
            wanted: previous.as_ref().and_then(address),
            xid: [0; 3],
            began: now,
            tries: 0,
            refusals: 0,
            at: Some(now),
            random: Random::new(seed),
        };
        client.begin(now);
        if let Some(lease) = previous.filter(|lease| client.wanted.is_some() && lease.left(now) > 0) {
            client.at = lease.renew_at();
            client.state = State::Bound(lease);
        }
        client
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.at
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) -> (Option<Transmit>, Option<Event>) {
        if self.at.is_none_or(|at| now < at) {
            return (None, None);
        }
        match std::mem::replace(&mut self.state, State::Soliciting) {
            State::Requesting(offer) if self.tries < REQUESTS => {
                self.wait(now);
                let message = self.message(MessageType::Request, now, address(&offer), Some(&offer.server));
                self.state = State::Requesting(offer);
                (Some(message), None)
            }
            State::Soliciting | State::Requesting(_) => {
                if matches!(self.tries, 0 | REQUESTS..) {
                    self.begin(now);
                }
                self.wait(now);
                (Some(self.message(MessageType::Solicit, now, self.wanted, None)), None)
            }
            State::Bound(lease) => {
                self.begin(now);
                self.keep(now, lease)
            }
            State::Renewing(lease) | State::Rebinding(lease) => self.keep(now, lease),
        }
    }

    fn keep(&mut self, now: Duration, lease: Lease) -> (Option<Transmit>, Option<Event>) {
        if lease.left(now) == 0 {
            self.restart(now, Duration::ZERO);
            return (None, Some(Event::Lost));
        }
        let rebind = lease.rebind_at().is_some_and(|at| at <= now);
        let end = if rebind { lease.ends_at() } else { lease.rebind_at() };
        self.at = Some(until(now, end, lease.lifetime));
        let message = match rebind {
            false => self.message(MessageType::Renew, now, address(&lease), Some(&lease.server)),
            true => self.message(MessageType::Rebind, now, address(&lease), None),
        };
        self.state = if rebind { State::Rebinding(lease) } else { State::Renewing(lease) };
        (Some(message), None)
    }

    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) -> Option<Event> {
        let message = Message::decode(&mut Decoder::new(&sound::v6(bytes)?)).ok()?;
        let options = message.opts();
        let Some(DhcpOption::ClientId(client)) = options.get(OptionCode::ClientId) else { return None };
        if message.xid() != self.xid || *client != self.duid() {
            return None;
        }
        let Some(DhcpOption::ServerId(server)) = options.get(OptionCode::ServerId) else { return None };
        if server.is_empty() || server.len() > DUID_MAX {
            return None;
        }
        let granted = granted(options, self.iaid(), Server::V6(server.clone()), now);
        match (&self.state, message.msg_type()) {
            // The first that has an address is taken; a standard client would wait a second for a server that likes itself better.
            (State::Soliciting, MessageType::Advertise) => {
                self.state = State::Requesting(granted?);
                self.begin(now);
                (self.tries, self.at) = (0, Some(now));
                None
            }
            (State::Requesting(offer), MessageType::Reply) if offer.server == Server::V6(server.clone()) => {
                match granted {
                    Some(lease) => Some(self.bind(lease)),
                    None => {
                        self.refused(now);
                        None
                    }
                }
            }
            (State::Renewing(_) | State::Rebinding(_), MessageType::Reply) => match granted {
                Some(lease) => Some(self.bind(lease)),
                None => {
                    self.refused(now);
                    Some(Event::Lost)
                }
            },
            _ => None,
        }
    }

    pub(super) fn release(&mut self) -> Option<Transmit> {
        let (State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease)) =
            std::mem::replace(&mut self.state, State::Soliciting)
        else {
            return None;
        };
        let began = self.began;
        self.begin(began);
        self.at = None;
        Some(self.message(MessageType::Release, began, address(&lease), Some(&lease.server)))
    }

    fn bind(&mut self, lease: Lease) -> Event {
        self.wanted = address(&lease);
        (self.tries, self.refusals) = (0, 0);
        self.at = lease.renew_at();
        self.state = State::Bound(lease.clone());
        Event::Bound(Box::new(lease))
    }

    fn refused(&mut self, now: Duration) {
        self.wanted = None;
        let pause = if self.refusals == 0 { Duration::ZERO } else { self.random.patience(self.refusals) };
        self.refusals = self.refusals.saturating_add(1);
        self.restart(now, pause);
    }

    fn restart(&mut self, now: Duration, pause: Duration) {
        self.state = State::Soliciting;
        self.tries = 0;
        self.at = Some(now + pause);
    }

    /// A new exchange, which has a number of its own.
    fn begin(&mut self, now: Duration) {
        let [a, b, c, _] = self.random.next().to_be_bytes();
        (self.xid, self.began) = ([a, b, c], now);
    }

    fn wait(&mut self, now: Duration) {
        self.at = Some(now + self.random.patience(self.tries));
        self.tries = self.tries.saturating_add(1);
    }

    fn message(
        &self,
        kind: MessageType,
        now: Duration,
        address: Option<Ipv6Addr>,
        server: Option<&Server>,
    ) -> Transmit {
        let mut message = Message::new_with_id(kind, self.xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(self.duid()));
        if let Some(Server::V6(server)) = server {
            options.insert(DhcpOption::ServerId(server.clone()));
        }
        let hundredths = now.saturating_sub(self.began).as_millis() / 10;
        options.insert(DhcpOption::ElapsedTime(u16::try_from(hundredths).unwrap_or(u16::MAX)));
        let mut inner = DhcpOptions::new();
        if let Some(addr) = address {
            let opts = DhcpOptions::new();
            inner.insert(DhcpOption::IAAddr(IAAddr { addr, preferred_life: 0, valid_life: 0, opts }));
        }
        options.insert(DhcpOption::IANA(IANA { id: self.iaid(), t1: 0, t2: 0, opts: inner }));
        if kind != MessageType::Release {
            let opts = vec![OptionCode::DomainNameServers, OptionCode::DomainSearchList];
            options.insert(DhcpOption::ORO(ORO { opts }));
        }
        // Only numbers and short texts are in it, which can all be written.
        Transmit::Multicast(message.to_vec().unwrap_or_default())
    }

    /// DUID-LL (RFC 8415 section 11.4): the Ethernet address.
    fn duid(&self) -> Vec<u8> {
        [&[0, 3, 0, 1][..], &self.identity.mac].concat()
    }

    /// Which of the interfaces with this Ethernet address it is: a number out of names that stay (FNV-1a).
    fn iaid(&self) -> u32 {
        let text = self.identity.container_id.bytes().chain([0]).chain(self.identity.interface.bytes());
        text.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

fn address(lease: &Lease) -> Option<Ipv6Addr> {
    match lease.address {
        IpNet::V6(net) => Some(net.addr()),
        IpNet::V4(_) => None,
    }
}

fn succeeded(options: &DhcpOptions) -> bool {
    match options.get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(code)) => code.status == Status::Success,
        _ => true,
    }
}

/// The address that a message grants, if it grants one.
fn granted(options: &DhcpOptions, iaid: u32, server: Server, now: Duration) -> Option<Lease> {
    let associations = options.get_all(OptionCode::IANA)?;
    let association = associations.iter().find_map(|option| match option {
        DhcpOption::IANA(association) if association.id == iaid => Some(association),
        _ => None,
    })?;
    if !succeeded(options) || !succeeded(&association.opts) {
        return None;
    }
    let usable_address = |address: &&IAAddr| {
        let ip = address.addr;
        address.valid_life > 0
            && address.preferred_life <= address.valid_life
            && succeeded(&address.opts)
            && !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || ip.is_unicast_link_local())
    };
    let addresses = association.opts.get_all(OptionCode::IAAddr)?.iter().filter_map(|option| match option {
        DhcpOption::IAAddr(address) => Some(address),
        _ => None,
    });
    let granted = addresses.into_iter().find(usable_address)?;
    let mut lease = Lease {
        address: IpNet::V6(Ipv6Net::from(granted.addr)),
        server,
        obtained: 0,
        t1: 0,
        t2: 0,
        lifetime: 0,
        gateways: Vec::new(),
        dns: match options.get(OptionCode::DomainNameServers) {
            Some(DhcpOption::DomainNameServers(list)) => {
                usable::<IpAddr>(&list.iter().map(|ip| (*ip).into()).collect::<Vec<_>>())
            }
            _ => Vec::new(),
        },
        ntp: Vec::new(),
        domain: match options.get(OptionCode::DomainSearchList) {
            Some(DhcpOption::DomainSearchList(list)) => {
                list.first().map(|first| name(&first.to_ascii())).unwrap_or_default()
            }
            _ => String::new(),
        },
        host_name: String::new(),
        mtu: None,
    };
    // Zero leaves the times to the client.
    let time = |time: u32| (time != 0).then_some(time);
    lease.set_times(now, (time(association.t1), time(association.t2), granted.valid_life));
    Some(lease)
}
