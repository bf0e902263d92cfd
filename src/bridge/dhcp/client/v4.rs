//! DHCPv4 (RFC 2131, options of RFC 2132).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use ipnet::{IpNet, Ipv4Net};

use super::lease::{name, usable};
use super::sound;
use super::timing::{Random, until};
use super::{Event, Identity, Lease, Server, Transmit};

/// So often an offer is asked for before another is looked for.
const REQUESTS: u32 = 4;
/// Servers may expect a BOOTP message (RFC 951), which has this length in bytes.
const LENGTH: usize = 300;
/// The longest client identifier and host name, in bytes, without the identifier's type.
const TEXT_MAX: usize = 254;
/// An Ethernet address, in bytes.
const MAC: u8 = 6;

#[derive(Debug)]
enum State {
    /// Looking for a server.
    Selecting,
    /// Asking for what one has offered.
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
pub struct V4 {
    identity: Identity,
    state: State,
    /// The address that was had before.
    wanted: Option<Ipv4Addr>,
    xid: u32,
    tries: u32,
    refusals: u32,
    at: Option<Duration>,
    random: Random,
}

impl V4 {
    pub(super) fn new(identity: Identity, previous: Option<Lease>, now: Duration, seed: u64) -> V4 {
        let mut random = Random::new(seed);
        let xid = random.next();
        let mut client = V4 {
            identity,
            state: State::Selecting,
            wanted: previous.as_ref().and_then(address),
            xid,
            tries: 0,
            refusals: 0,
            at: Some(now),
            random,
        };
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
        match std::mem::replace(&mut self.state, State::Selecting) {
            State::Requesting(offer) if self.tries < REQUESTS => {
                self.wait(now);
                let message = self.request(address(&offer), Some(&offer.server), None);
                self.state = State::Requesting(offer);
                (Some(Transmit::Broadcast(Ipv4Addr::UNSPECIFIED, message)), None)
            }
            State::Selecting | State::Requesting(_) => {
                if matches!(self.tries, 0 | REQUESTS..) {
                    self.xid = self.random.next();
                }
                self.wait(now);
                (Some(Transmit::Broadcast(Ipv4Addr::UNSPECIFIED, self.discover())), None)
            }
            State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease) => self.keep(now, lease),
        }
    }

    /// Asks for more time, or gives up when there is none left.
    fn keep(&mut self, now: Duration, lease: Lease) -> (Option<Transmit>, Option<Event>) {
        let own = address(&lease).unwrap_or(Ipv4Addr::UNSPECIFIED);
        if lease.left(now) == 0 {
            self.restart(now, Duration::ZERO);
            return (None, Some(Event::Lost));
        }
        self.xid = self.random.next();
        let message = self.request(None, None, Some(own));
        let rebind = lease.rebind_at().is_some_and(|at| at <= now);
        let end = if rebind { lease.ends_at() } else { lease.rebind_at() };
        self.at = Some(until(now, end, lease.lifetime));
        match lease.server {
            Server::V4(server) if !rebind => {
                self.state = State::Renewing(lease);
                (Some(Transmit::Unicast(own, server, message)), None)
            }
            _ => {
                self.state = State::Rebinding(lease);
                (Some(Transmit::Broadcast(own, message)), None)
            }
        }
    }

    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) -> Option<Event> {
        let message = Message::decode(&mut Decoder::new(&sound::v4(bytes)?)).ok()?;
        // The message's own length of the address is not to be trusted before it is compared.
        let ours = message.opcode() == Opcode::BootReply
            && message.xid() == self.xid
            && message.hlen() == MAC
            && message.chaddr() == self.identity.mac;
        let DhcpOption::MessageType(kind) = message.opts().get(OptionCode::MessageType)? else { return None };
        if !ours {
            return None;
        }
        match (&self.state, kind) {
            (State::Selecting, MessageType::Offer) => {
                self.state = State::Requesting(lease(&message, now, None)?);
                (self.tries, self.at) = (0, Some(now));
                None
            }
            (State::Requesting(offer), MessageType::Ack) => {
                let lease = lease(&message, now, Some(&offer.server))?;
                (lease.server == offer.server).then(|| self.bind(lease))
            }
            (State::Renewing(held) | State::Rebinding(held), MessageType::Ack) => {
                let lease = lease(&message, now, Some(&held.server))?;
                Some(self.bind(lease))
            }
            (State::Requesting(_), MessageType::Nak) => {
                self.refused(now);
                None
            }
            (State::Renewing(_) | State::Rebinding(_), MessageType::Nak) => {
                self.refused(now);
                Some(Event::Lost)
            }
            _ => None,
        }
    }

    pub(super) fn release(&mut self) -> Option<Transmit> {
        let (State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease)) = &self.state else {
            return None;
        };
        let (own, Server::V4(server)) = (address(lease)?, &lease.server) else { return None };
        let (server, xid) = (*server, self.random.next());
        let mut message = self.message(MessageType::Release);
        message.set_xid(xid).set_ciaddr(own).set_flags(Flags::default());
        message.opts_mut().insert(DhcpOption::ServerIdentifier(server));
        self.state = State::Selecting;
        self.at = None;
        Some(Transmit::Unicast(own, server, encoded(&message)))
    }

    fn bind(&mut self, lease: Lease) -> Event {
        self.wanted = address(&lease);
        (self.tries, self.refusals) = (0, 0);
        self.at = lease.renew_at();
        self.state = State::Bound(lease.clone());
        Event::Bound(Box::new(lease))
    }

    /// Another address has to be found; a server that refuses again and again is asked more and more rarely.
    fn refused(&mut self, now: Duration) {
        self.wanted = None;
        let pause = if self.refusals == 0 { Duration::ZERO } else { self.random.patience(self.refusals) };
        self.refusals = self.refusals.saturating_add(1);
        self.restart(now, pause);
    }

    fn restart(&mut self, now: Duration, pause: Duration) {
        self.state = State::Selecting;
        self.tries = 0;
        self.at = Some(now + pause);
    }

    fn wait(&mut self, now: Duration) {
        self.at = Some(now + self.random.patience(self.tries));
        self.tries = self.tries.saturating_add(1);
    }

    fn discover(&self) -> Vec<u8> {
        let mut message = self.message(MessageType::Discover);
        if let Some(wanted) = self.wanted {
            message.opts_mut().insert(DhcpOption::RequestedIpAddress(wanted));
        }
        encoded(&message)
    }

    fn request(&self, wanted: Option<Ipv4Addr>, server: Option<&Server>, own: Option<Ipv4Addr>) -> Vec<u8> {
        let mut message = self.message(MessageType::Request);
        if let Some(wanted) = wanted {
            message.opts_mut().insert(DhcpOption::RequestedIpAddress(wanted));
        }
        if let Some(Server::V4(server)) = server {
            message.opts_mut().insert(DhcpOption::ServerIdentifier(*server));
        }
        if let Some(own) = own {
            message.set_ciaddr(own).set_flags(Flags::default());
        }
        encoded(&message)
    }

    fn message(&self, kind: MessageType) -> Message {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(self.xid, none, none, none, none, &self.identity.mac);
        // An interface without an address hears no unicast, and several containers may share one Ethernet address (ipvlan).
        message.set_flags(Flags::default().set_broadcast());
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ClientIdentifier(self.client_id()));
        if kind != MessageType::Release {
            let host_name: String = self.identity.host_name.chars().take(TEXT_MAX / 4).collect();
            if !host_name.is_empty() {
                options.insert(DhcpOption::Hostname(host_name));
            }
            options.insert(DhcpOption::ParameterRequestList(vec![
                OptionCode::SubnetMask,
                OptionCode::Router,
                OptionCode::DomainNameServer,
                OptionCode::DomainName,
                OptionCode::InterfaceMtu,
                OptionCode::NtpServers,
            ]));
        }
        message
    }

    /// The container, by a type that is no hardware's; without an id, the Ethernet address.
    fn client_id(&self) -> Vec<u8> {
        match self.identity.container_id.as_bytes() {
            [] => [&[1][..], &self.identity.mac].concat(),
            id => [&[0][..], &id[..id.len().min(TEXT_MAX)]].concat(),
        }
    }
}

fn address(lease: &Lease) -> Option<Ipv4Addr> {
    match lease.address {
        IpNet::V4(net) => Some(net.addr()),
        IpNet::V6(_) => None,
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    // Only numbers and short texts of ours are in it, which can all be written.
    let mut bytes = message.to_vec().unwrap_or_default();
    bytes.resize(bytes.len().max(LENGTH), 0);
    bytes
}

/// What an offer or an acknowledgement grants; `None` when it lacks something or makes no sense. The server may leave itself out where
/// it is known.
fn lease(message: &Message, now: Duration, known: Option<&Server>) -> Option<Lease> {
    let option = |code| message.opts().get(code);
    let server = match option(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => Server::V4(*server),
        _ => known?.clone(),
    };
    let own = message.yiaddr();
    if own.is_unspecified() || own.is_multicast() || own.is_broadcast() || own.is_loopback() {
        return None;
    }
    let mask = match option(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => ipnet::ip_mask_to_prefix((*mask).into()).ok()?,
        _ => class(own),
    };
    let seconds = |code| match option(code) {
        Some(DhcpOption::AddressLeaseTime(time) | DhcpOption::Renewal(time) | DhcpOption::Rebinding(time)) => {
            Some(*time)
        }
        _ => None,
    };
    let lifetime = seconds(OptionCode::AddressLeaseTime).filter(|time| *time > 0)?;
    let addresses = |code| match option(code) {
        Some(DhcpOption::Router(list) | DhcpOption::DomainNameServer(list) | DhcpOption::NtpServers(list)) => {
            usable(list)
        }
        _ => Vec::new(),
    };
    let text = |code| match option(code) {
        Some(DhcpOption::DomainName(text) | DhcpOption::Hostname(text)) => name(text),
        _ => String::new(),
    };
    let mut lease = Lease {
        address: IpNet::V4(Ipv4Net::new(own, mask).ok()?),
        server,
        obtained: 0,
        t1: 0,
        t2: 0,
        lifetime,
        gateways: addresses(OptionCode::Router),
        dns: addresses(OptionCode::DomainNameServer),
        ntp: addresses(OptionCode::NtpServers),
        domain: text(OptionCode::DomainName),
        host_name: text(OptionCode::Hostname),
        mtu: match option(OptionCode::InterfaceMtu) {
            Some(DhcpOption::InterfaceMtu(mtu)) => Some(*mtu),
            _ => None,
        },
    };
    lease.gateways.retain(|gateway| *gateway != IpAddr::V4(own));
    lease.set_times(now, (seconds(OptionCode::Renewal), seconds(OptionCode::Rebinding), lifetime));
    Some(lease)
}

/// The prefix of the address's old class, where the server names none.
fn class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}
