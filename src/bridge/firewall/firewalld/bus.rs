//! firewalld on the system bus (firewalld.dbus(5)): a connection, and the calls that are made.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Type, Value};
use zbus::{Connection, connection};

use crate::bridge::error::{Error, Result};

/// firewalld's name on the bus.
pub const NAME: &str = "org.fedoraproject.FirewallD1";
/// Its running configuration.
pub const RUNTIME: &str = "/org/fedoraproject/FirewallD1";
/// Its permanent one.
const CONFIG: &str = "/org/fedoraproject/FirewallD1/config";
/// A call that firewalld does not answer by then has failed. A reload of many rules takes it seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a policy or zone is made of, as a{sv}.
pub type Settings<'a> = HashMap<&'a str, Value<'a>>;

/// A connection to the system bus.
pub struct Bus {
    runtime: Runtime,
    connection: Connection,
}

impl Bus {
    /// Connects to the bus that DBUS_SYSTEM_BUS_ADDRESS names, or the usual one.
    pub fn open() -> Result<Bus> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connect = async { connection::Builder::system()?.method_timeout(PATIENCE).build().await };
        let connection = runtime.block_on(connect).map_err(failed)?;
        Ok(Bus { runtime, connection })
    }

    /// Whether firewalld runs. It is not asked to start.
    pub fn has_firewalld(&self) -> Result<bool> {
        self.call_of("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", &NAME)
    }

    /// Calls a method of the running configuration; `interface` is what follows firewalld's name.
    pub fn runtime<R: DeserializeOwned + Type>(
        &self,
        interface: &str,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<R> {
        self.call_of(NAME, RUNTIME, &format!("{NAME}{interface}"), method, arguments)
    }

    /// Calls a method of the permanent configuration.
    pub fn config<R: DeserializeOwned + Type>(
        &self,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<R> {
        self.call_of(NAME, CONFIG, &format!("{NAME}.config"), method, arguments)
    }

    /// Changes settings of a policy in the permanent configuration.
    pub fn update_policy(&self, policy: &str, settings: &Settings<'_>) -> Result<()> {
        let path: OwnedObjectPath = self.config("getPolicyByName", &policy)?;
        self.call_of(NAME, path.as_str(), &format!("{NAME}.config.policy"), "update", settings)
    }

    /// A property of the permanent configuration; `None` when this firewalld does not have it.
    pub fn property(&self, name: &str) -> Option<String> {
        let interface = format!("{NAME}.config");
        let value: OwnedValue =
            self.call_of(NAME, CONFIG, "org.freedesktop.DBus.Properties", "Get", &(interface, name)).ok()?;
        String::try_from(value).ok()
    }

    /// Asks for something on the connection.
    pub fn wait<T>(&self, work: impl AsyncFnOnce(&Connection) -> zbus::Result<T>) -> Result<T> {
        self.runtime.block_on(work(&self.connection)).map_err(failed)
    }

    /// Waits for the next of these.
    pub fn next<T>(&self, stream: &mut (impl Stream<Item = zbus::Result<T>> + Unpin)) -> Option<Result<T>> {
        self.runtime.block_on(stream.next()).map(|next| next.map_err(failed))
    }

    fn call_of<R: DeserializeOwned + Type>(
        &self,
        name: &str,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<R> {
        let call = self.connection.call_method(Some(name), path, Some(interface), method, arguments);
        let reply = self.runtime.block_on(call).map_err(|error| failed_in(error, method))?;
        reply.body().deserialize().map_err(failed)
    }
}

/// In the words of netavark's callers.
fn failed(error: zbus::Error) -> Error {
    Error::text(sentence(error)).during("DBus error")
}

fn failed_in(error: zbus::Error, method: &str) -> Error {
    Error::text(sentence(error)).during(method).during("DBus error")
}

fn sentence(error: zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, Some(detail), _) => format!("{name}: {detail}"),
        other => other.to_string(),
    }
}

/// Whether firewalld refused with this code, with which its messages begin.
pub fn is_code(error: &Error, code: &str) -> bool {
    error.to_string().contains(&format!(": {code}"))
}
