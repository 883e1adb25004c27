//! Envoy's log lines in readable form.

use tracing::Level;

/// spdlog pattern: level, logger, message on one line.
pub(crate) const FORMAT: &str = "[%l][%n] %_";

/// Warnings that tell an operator nothing: this one is Envoy's answer to being stopped.
const EXPECTED: &[&str] = &["caught ENVOY_SIGTERM"];

/// One line of Envoy's log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    /// Who says it: a virtual cluster, or `None` for Envoy itself.
    pub(crate) virtual_cluster: Option<&'a str>,
    pub(crate) message: &'a str,
}

impl<'a> Line<'a> {
    /// Never fails: a line without the prefix (a crash, the continuation of a message) is Envoy's, at warning.
    pub(crate) fn parse(line: &'a str) -> Line<'a> {
        let Some((level, logger, message)) = prefix(line) else {
            return Line { level: Level::WARN, virtual_cluster: None, message: line };
        };
        // `wasm log <plugin> [<root id>] <vm id>: <message>`; only connections name the root id. The VM id begins with the
        // name of the virtual cluster.
        let module = (logger == "wasm")
            .then(|| {
                let (origin, message) = message.strip_prefix("wasm log bifrost ")?.split_once(": ")?;
                Some((origin.rsplit(' ').next()?.split('/').next()?, message))
            })
            .flatten();
        match module {
            Some((virtual_cluster, message)) => Line { level, virtual_cluster: Some(virtual_cluster), message },
            None => Line { level, virtual_cluster: None, message },
        }
    }

    /// Hands the line to the log of this process.
    pub(crate) fn show(&self, verbose: bool) {
        let who = self.virtual_cluster.unwrap_or("envoy");
        let message = self.message;
        if EXPECTED.contains(&message) {
            return;
        }
        // More severe is less.
        if self.virtual_cluster.is_none() && self.level > Level::WARN && !verbose {
            return;
        }
        match self.level {
            Level::ERROR => tracing::error!("{who}: {message}"),
            Level::WARN => tracing::warn!("{who}: {message}"),
            Level::INFO => tracing::info!("{who}: {message}"),
            Level::DEBUG => tracing::debug!("{who}: {message}"),
            _ => tracing::trace!("{who}: {message}"),
        }
    }
}

fn prefix(line: &str) -> Option<(Level, &str, &str)> {
    let (level, rest) = line.strip_prefix('[')?.split_once("][")?;
    let (logger, message) = rest.split_once("] ")?;
    let level = match level {
        "critical" | "error" => Level::ERROR,
        "warning" => Level::WARN,
        "info" => Level::INFO,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => return None,
    };
    Some((level, logger, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_module_is_named_after_its_virtual_cluster() {
        for origin in ["bifrost tenant-a", "bifrost bifrost tenant-a", "bifrost bifrost tenant-a/0123456789abcdef"] {
            assert_eq!(
                Line::parse(&format!("[error][wasm] wasm log {origin}: node 3: unknown")),
                Line { level: Level::ERROR, virtual_cluster: Some("tenant-a"), message: "node 3: unknown" }
            );
        }
    }

    #[test]
    fn a_line_of_envoy_keeps_its_level() {
        assert_eq!(
            Line::parse("[critical][main] error initializing configuration"),
            Line { level: Level::ERROR, virtual_cluster: None, message: "error initializing configuration" }
        );
        assert_eq!(Line::parse("[info][wasm] wasm loaded").level, Level::INFO);
    }

    #[test]
    fn anything_else_is_a_warning_of_envoy() {
        for text in ["", "terminate called", "[", "[info]", "[info][x]", "[odd][main] text"] {
            assert_eq!(Line::parse(text), Line { level: Level::WARN, virtual_cluster: None, message: text });
        }
    }
}
