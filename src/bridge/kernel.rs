//! Both ends of the work: connections to the kernel in the host's and in the container's network namespace.

use std::path::Path;

use super::error::{During, Error, Result};
use super::netlink::Route;
use super::netns::Netns;

/// The host's side, and the container's if it is still there.
pub struct Kernel {
    /// Links, addresses and routes of the host.
    pub host: Route,
    container: Option<Container>,
}

/// The container's side.
pub struct Container {
    /// Its links, addresses and routes.
    pub route: Route,
    /// The namespace itself.
    pub netns: Netns,
}

impl Kernel {
    /// Connects to both sides.
    pub fn open(netns: Netns) -> Result<Kernel> {
        let container = Container::open(netns)?;
        Ok(Kernel { host: open_host()?, container: Some(container) })
    }

    /// Connects to what is there: a container's namespace that is gone is `None`.
    pub fn open_for_teardown(path: &Path, errors: &mut Vec<Error>) -> Result<Kernel> {
        let container = match Netns::open(path) {
            Ok(netns) => Container::open(netns).map_err(|error| errors.push(error)).ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(target: "netavark::commands::teardown", "container netns not found: {}: {error}", path.display());
                None
            }
            Err(error) => {
                let path = path.display();
                errors.push(Error::from(error).during(format!("open {path}")).during("open container netns"));
                None
            }
        };
        Ok(Kernel { host: open_host()?, container })
    }

    /// The container's side.
    pub fn container(&mut self) -> Option<&mut Container> {
        self.container.as_mut()
    }

    /// Both sides, where there must be two.
    pub fn both(&mut self) -> Result<(&mut Route, &mut Container)> {
        let container =
            self.container.as_mut().ok_or_else(|| Error::text("the container's network namespace is gone"))?;
        Ok((&mut self.host, container))
    }
}

impl Container {
    fn open(netns: Netns) -> Result<Container> {
        let route = netns.inside(Route::open)?.during(|| "open netlink socket in the container netns")?;
        Ok(Container { route, netns })
    }

    /// Sets the loopback interface up.
    pub fn loopback_up(&mut self) -> Result<()> {
        use super::netlink::Change;
        /// The loopback interface is the first of each namespace.
        const LOOPBACK: u32 = 1;
        self.route
            .change_link(LOOPBACK, Change { up: true, ..Change::default() })
            .map_err(Error::Netlink)
            .during(|| "set loopback up in container")
    }
}

fn open_host() -> Result<Route> {
    Route::open().during(|| "open netlink socket on the host")
}
