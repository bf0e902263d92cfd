//! The zone and the policies, and the part of them that belongs to containers.

use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use std::collections::HashMap;

use super::bus::{Bus, Settings};
use super::rules::{Forward, Rules};
use crate::bridge::error::{Error, Result};

/// What networks are sources of.
pub const ZONE: &str = "netavark_zone";
const OUTBOUND: &str = "netavark_policy";
const FORWARD: &str = "netavark_portfwd";
const HOST_FORWARD: &str = "netavark_host_fwd";
const INBOUND: &str = "netavark_zone_acc";

struct Policy {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    target: &'static str,
    masquerade: bool,
    rich: &'static [&'static str],
}

/// `masquerade` alone is about IPv4.
const MASQUERADE6: &str = "rule family=\"ipv6\" masquerade";

const POLICIES: [Policy; 4] = [
    Policy { name: OUTBOUND, from: ZONE, to: "ANY", target: "ACCEPT", masquerade: true, rich: &[MASQUERADE6] },
    Policy { name: FORWARD, from: "ANY", to: "HOST", target: "CONTINUE", masquerade: false, rich: &[] },
    Policy { name: HOST_FORWARD, from: "HOST", to: "ANY", target: "CONTINUE", masquerade: false, rich: &[] },
    Policy { name: INBOUND, from: "ANY", to: ZONE, target: "CONTINUE", masquerade: true, rich: &[] },
];

/// The zone and the policies are there. `true`: some were not, and firewalld was reloaded.
pub fn ensure(bus: &Bus) -> Result<bool> {
    let mut missing = false;
    if !bus.runtime::<Vec<String>>(".zone", "getZones", &())?.iter().any(|zone| zone == ZONE) {
        missing = true;
        if !bus.config::<Vec<String>>("getZoneNames", &())?.iter().any(|zone| zone == ZONE) {
            // Containers ask the network's name server on the host.
            let settings = Settings::from([("services", Value::new(vec!["dns"]))]);
            bus.config::<OwnedObjectPath>("addZone2", &(ZONE, settings))?;
        }
    }
    let running: Vec<String> = bus.runtime(".policy", "getPolicies", &())?;
    let is_missing = |policy: &&Policy| !running.iter().any(|name| name == policy.name);
    if POLICIES.iter().any(|policy| is_missing(&policy)) {
        missing = true;
        let permanent: Vec<String> = bus.config("getPolicyNames", &())?;
        for policy in
            POLICIES.iter().filter(is_missing).filter(|policy| !permanent.iter().any(|name| name == policy.name))
        {
            let settings = Settings::from([
                ("ingress_zones", Value::new(vec![policy.from])),
                ("egress_zones", Value::new(vec![policy.to])),
                ("target", Value::new(policy.target)),
                ("masquerade", Value::new(policy.masquerade)),
                ("rich_rules", Value::new(policy.rich.to_vec())),
            ]);
            bus.config::<OwnedObjectPath>("addPolicy", &(policy.name, settings))?;
        }
    }
    if missing {
        bus.runtime::<()>("", "reload", &())?;
    }
    Ok(missing)
}

/// Before firewalld 2 forwards to other machines were not allowed in a policy towards the host. There the policy leads anywhere.
/// `true`: it did not, and firewalld was reloaded.
pub fn forward_anywhere(bus: &Bus) -> Result<bool> {
    let mut present: HashMap<String, OwnedValue> = bus.runtime(".policy", "getPolicySettings", &FORWARD)?;
    let to: Vec<String> = take(&mut present, "egress_zones")?;
    if to == ["ANY"] {
        return Ok(false);
    }
    bus.update_policy(FORWARD, &Settings::from([("egress_zones", Value::new(vec!["ANY"]))]))?;
    bus.runtime::<()>("", "reload", &())?;
    Ok(true)
}

/// Changes what the policies hold for containers. The caller has the lock of its run directory: firewalld itself has none.
pub fn change(bus: &Bus, change: impl FnOnce(&mut Rules)) -> Result<()> {
    let running: Vec<String> = bus.runtime(".policy", "getPolicies", &())?;
    if [FORWARD, HOST_FORWARD].iter().any(|policy| !running.iter().any(|name| name == policy)) {
        // Nothing was ever set up.
        return Ok(());
    }
    let mut ports: HashMap<String, OwnedValue> = bus.runtime(".policy", "getPolicySettings", &FORWARD)?;
    let mut host: HashMap<String, OwnedValue> = bus.runtime(".policy", "getPolicySettings", &HOST_FORWARD)?;
    let before = Rules {
        forwards: take(&mut ports, "forward_ports")?,
        rich: take(&mut ports, "rich_rules")?,
        host: take(&mut host, "rich_rules")?,
    };
    let mut after = before.clone();
    change(&mut after);
    if (&after.forwards, &after.rich) != (&before.forwards, &before.rich) {
        let settings = Settings::from([
            ("forward_ports", Value::new::<Vec<Forward>>(after.forwards)),
            ("rich_rules", Value::new(after.rich)),
        ]);
        bus.runtime::<()>(".policy", "setPolicySettings", &(FORWARD, settings))?;
    }
    if after.host != before.host {
        let settings = Settings::from([("rich_rules", Value::new(after.host))]);
        bus.runtime::<()>(".policy", "setPolicySettings", &(HOST_FORWARD, settings))?;
    }
    Ok(())
}

/// A list among settings; one that is not there is empty.
fn take<T>(settings: &mut HashMap<String, OwnedValue>, key: &str) -> Result<Vec<T>>
where
    T: TryFrom<Value<'static>>,
    T::Error: Into<zbus::zvariant::Error>,
{
    let Some(value) = settings.remove(key) else { return Ok(Vec::new()) };
    Vec::try_from(Value::from(value)).map_err(|error: zbus::zvariant::Error| {
        Error::text(error.to_string()).during(format!("read {key}")).during("DBus Variant Error")
    })
}
