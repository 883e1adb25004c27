//! What stands for ports, addresses and files in a peer's entry.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What each of them means, for the help text and for errors.
pub(super) const KNOWN: &str = "$(listenN) and $(portN) (127.0.0.1:port and port of the peer's Nth port, from 0), \
    $(nodeN), $(nodeHostN) and $(nodePortN) (the brokers, from 0), $(bootstrapServers) (all brokers), \
    $(directory) (where it may write), $(configuration) (path of the written file), $(workers); $$ is a dollar sign";

pub(super) struct Placeholders<'a> {
    pub(super) ports: &'a [u16],
    pub(super) nodes: &'a [SocketAddr],
    pub(super) directory: &'a Path,
    pub(super) configuration: Option<&'a Path>,
    pub(super) workers: usize,
}

impl Placeholders<'_> {
    /// The text with all placeholders filled in.
    pub(super) fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled += before;
            rest = if let Some(after) = after.strip_prefix('$') {
                filled.push('$');
                after
            } else if let Some((name, after)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
                filled += &self.value(name)?;
                after
            } else {
                filled.push('$');
                after
            };
        }
        Ok(filled + rest)
    }

    fn value(&self, name: &str) -> Result<String> {
        let path = |path: &Path| path.to_str().map(str::to_owned).context("path is no text");
        match name {
            "bootstrapServers" => {
                return Ok(self.nodes.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(","));
            }
            "directory" => return path(self.directory),
            "configuration" => return path(self.configuration.context("$(configuration): the entry has none")?),
            "workers" => return Ok(self.workers.to_string()),
            _ => {}
        }
        let (kind, index) = name.split_at(name.trim_end_matches(|last: char| last.is_ascii_digit()).len());
        let Ok(index) = index.parse::<usize>() else {
            bail!("there is no $({name}), there are {KNOWN}");
        };
        let port = || {
            let count = self.ports.len();
            self.ports.get(index).with_context(|| format!("$({name}): the entry has `ports: {count}`, counted from 0"))
        };
        let node = || {
            let count = self.nodes.len();
            self.nodes.get(index).with_context(|| format!("$({name}): there are {count} nodes, counted from 0"))
        };
        Ok(match kind {
            "listen" => format!("127.0.0.1:{}", port()?),
            "port" => port()?.to_string(),
            "node" => node()?.to_string(),
            "nodeHost" => node()?.ip().to_string(),
            "nodePort" => node()?.port().to_string(),
            _ => bail!("there is no $({name}), there are {KNOWN}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String> {
        let nodes = ["127.0.0.1:9092".parse().unwrap(), "127.0.0.1:9093".parse().unwrap()];
        let placeholders = Placeholders {
            ports: &[20_000, 20_001],
            nodes: &nodes,
            directory: Path::new("/d"),
            configuration: None,
            workers: 2,
        };
        placeholders.fill(text)
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, filled) in [
            ("--map=$(node1),$(listen1),$(port0)", "--map=127.0.0.1:9093,127.0.0.1:20001,20000"),
            ("$(bootstrapServers)", "127.0.0.1:9092,127.0.0.1:9093"),
            ("$(nodeHost0) $(nodePort0) $(directory)/x -w$(workers)", "127.0.0.1 9092 /d/x -w2"),
            ("$HOME $$(port0) 5$", "$HOME $(port0) 5$"),
        ] {
            assert_eq!(fill(text).unwrap(), filled);
        }
    }

    #[test]
    fn a_placeholder_that_is_not_there_is_named() {
        for (text, told) in [
            ("$(listne0)", "there is no $(listne0)"),
            ("$(port2)", "`ports: 2`"),
            ("$(node7)", "there are 2 nodes"),
            ("$(configuration)", "has none"),
            ("$(port99999999999999999999)", "there is no"),
            ("$()", "there is no $()"),
        ] {
            let error = fill(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
