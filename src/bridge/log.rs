//! Log lines on standard error as netavark's callers know them: `[INFO  netavark::firewall] Using nftables firewall driver`,
//! chosen by RUST_LOG (`netavark=debug`, or only `debug`).

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// This crate's own name for the room, and what callers filter by.
const OWN: &str = concat!(env!("CARGO_PKG_NAME"), "::bridge");
const SHOWN: &str = "netavark";

/// Starts logging by the words of RUST_LOG; errors only when there are none.
pub fn init(directives: &str) -> LevelFilter {
    let filter = Filter::parse(directives);
    let most = filter.most();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(most)
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .event_format(filter)
        .finish();
    let installed = tracing::subscriber::set_global_default(subscriber);
    debug_assert!(installed.is_ok(), "logging is started once");
    most
}

/// For each target's beginning the least important level that is shown.
#[derive(Debug, PartialEq)]
struct Filter(Vec<(String, LevelFilter)>);

impl Filter {
    fn parse(directives: &str) -> Filter {
        // env_logger's grammar also has a /regex after the directives, which no caller sends.
        let directives = directives.split('/').next().unwrap_or_default();
        let mut rules = Vec::new();
        for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            match directive.split_once('=') {
                Some((target, level)) => rules.extend(level.parse().ok().map(|level| (target.into(), level))),
                None => match directive.parse() {
                    Ok(level) => rules.push((String::new(), level)),
                    Err(_) => rules.push((directive.into(), LevelFilter::TRACE)),
                },
            }
        }
        if rules.is_empty() {
            rules.push((String::new(), LevelFilter::ERROR));
        }
        rules.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Filter(rules)
    }

    fn most(&self) -> LevelFilter {
        self.0.iter().map(|(_, level)| *level).max().unwrap_or(LevelFilter::ERROR)
    }

    fn level(&self, target: &str) -> LevelFilter {
        self.0.iter().find(|(start, _)| target.starts_with(start)).map_or(LevelFilter::OFF, |(_, level)| *level)
    }
}

impl<S, N> FormatEvent<S, N> for Filter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let target = match target.strip_prefix(OWN) {
            Some(rest) => format!("{SHOWN}{rest}"),
            None => target.into(),
        };
        if level > self.level(&target) {
            return Ok(());
        }
        write!(writer, "[{level:<5} {target}] ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives() {
        let level = |text: &str, target: &str| Filter::parse(text).level(target);
        assert_eq!(level("", "netavark::firewall"), LevelFilter::ERROR);
        assert_eq!(level("netavark=debug", "netavark::firewall"), LevelFilter::DEBUG);
        assert_eq!(level("netavark=debug", "other"), LevelFilter::OFF);
        assert_eq!(level("INFO", "netavark"), LevelFilter::INFO);
        assert_eq!(level("warn,netavark::dns=trace", "netavark::dns::aardvark"), LevelFilter::TRACE);
        assert_eq!(level("warn,netavark::dns=trace", "netavark::firewall"), LevelFilter::WARN);
        assert_eq!(level("netavark", "netavark::x"), LevelFilter::TRACE);
        assert_eq!(level("netavark=nonsense", "netavark::x"), LevelFilter::ERROR);
    }
}
