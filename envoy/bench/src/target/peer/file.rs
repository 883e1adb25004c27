//! The peers file: parsed strictly, every error with file and field.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use super::Peer;
use super::placeholders::Placeholders;

/// Most ports of one peer.
const PORTS_MAX: u16 = 1000;
const READY_TIMEOUT_SECONDS_MAX: u64 = 600;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PeersFile {
    peers: Vec<Peer>,
}

/// The peers of a file. `taken`: names that mean something already; `nodes`: how many brokers there will be.
///
/// They live as long as this process, so that a target is a small value.
pub(crate) fn read(path: &Path, taken: &[&str], nodes: usize) -> Result<Vec<&'static Peer>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut peers = parse(&text, taken, nodes).with_context(|| path.display().to_string())?;
    let folder = path.canonicalize()?.parent().map(Path::to_owned).unwrap_or_default();
    for peer in &mut peers {
        peer.working_directory = peer.working_directory.take().map(|directory| folder.join(directory));
    }
    Ok(peers.into_iter().map(|peer| &*Box::leak(Box::new(peer))).collect())
}

fn parse(text: &str, taken: &[&str], nodes: usize) -> Result<Vec<Peer>> {
    let mut field = String::new();
    let typed = serde_saphyr::with_deserializer_from_str(text, |file| {
        serde_path_to_error::deserialize(file).map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    });
    let file: PeersFile = typed.map_err(|error| match field.as_str() {
        "" | "." => anyhow!("{error}"),
        field => anyhow!("{field}: {error}"),
    })?;
    ensure!(!file.peers.is_empty(), "peers: the list is empty");
    for (index, peer) in file.peers.iter().enumerate() {
        let earlier = &file.peers[..index];
        check(peer, nodes)
            .and_then(|()| {
                let is_taken =
                    taken.contains(&peer.name.as_str()) || earlier.iter().any(|other| other.name == peer.name);
                ensure!(!is_taken, "name: '{}' is taken", peer.name);
                Ok(())
            })
            .with_context(|| format!("peers[{index}]"))?;
    }
    Ok(file.peers)
}

/// What can be seen before anything starts.
fn check(peer: &Peer, nodes: usize) -> Result<()> {
    ensure!(!peer.name.trim().is_empty(), "name: it is empty");
    ensure!(peer.command.first().is_some_and(|program| !program.is_empty()), "command: there is no program");
    ensure!((1..=PORTS_MAX).contains(&peer.ports), "ports: {} is not within 1..={PORTS_MAX}", peer.ports);
    let timeout = peer.ready_timeout_seconds;
    ensure!(
        (1..=READY_TIMEOUT_SECONDS_MAX).contains(&timeout),
        "readyTimeoutSeconds: {timeout} is not within 1..={READY_TIMEOUT_SECONDS_MAX}"
    );
    if let Some(configuration) = &peer.configuration {
        let file = Path::new(&configuration.file);
        ensure!(
            file.file_name().is_some_and(|name| name == file.as_os_str()),
            "configuration.file: '{}' is no plain file name",
            configuration.file
        );
    }
    // With ports and nodes of nobody: whether all placeholders are known.
    let placeholders = Placeholders {
        ports: &vec![1; usize::from(peer.ports)],
        nodes: &vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1)); nodes],
        directory: Path::new("."),
        configuration: peer.configuration.as_ref().map(|configuration| Path::new(&configuration.file)),
        workers: 1,
    };
    peer.command(&placeholders, Path::new("."))?;
    if let Some(configuration) = &peer.configuration {
        placeholders.fill(&configuration.text).context("configuration.text")?;
    }
    placeholders.fill(&peer.bootstrap).context("bootstrap")?;
    for (index, node) in peer.nodes.iter().enumerate() {
        placeholders.fill(node).with_context(|| format!("nodes[{index}]"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, &["bare"], 2).unwrap_err())
    }

    #[test]
    fn the_committed_example_is_valid() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.example.yaml");
        let peers = read(&example, &[], 2).unwrap();
        assert!(!peers.is_empty());
        // The entries that are comments are examples, too.
        let text = fs::read_to_string(example).unwrap();
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix("#|") {
                Some(entry) => format!("{}\n", entry.strip_prefix(' ').unwrap_or(entry)),
                None => format!("{line}\n"),
            })
            .collect();
        assert!(parse(&uncommented, &[], 2).unwrap().len() > peers.len(), "{uncommented}");
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let peers = parse("peers: [{ name: x, command: [x, '$(listen0)'] }]", &[], 2).unwrap();
        assert_eq!((peers[0].ports, peers[0].bootstrap.as_str(), peers[0].prefix.as_str()), (1, "$(listen0)", ""));
    }

    #[test]
    fn errors_name_the_field() {
        for (text, told) in [
            ("peers: [{ name: x, comand: [x] }]", "peers[0].comand"),
            ("peers: [{ name: x, command: x }]", "peers[0].command"),
            ("peers: [{ name: x }]", "command"),
            ("peers: [{ name: x, command: [] }]", "peers[0]: command"),
            ("peers: [{ name: bare, command: [x] }]", "'bare' is taken"),
            ("peers: [{ name: x, command: [x] }, { name: x, command: [x] }]", "peers[1]: name"),
            ("peers: [{ name: x, command: [x, '$(port1)'] }]", "peers[0]: command[1]"),
            ("peers: [{ name: x, command: [x], nodes: ['$(listen0)', '$(lisen0)'] }]", "nodes[1]"),
            ("peers: [{ name: x, command: [x], environment: { A: '$(a)' } }]", "environment.A"),
            ("peers: [{ name: x, command: [x], configuration: { file: ../x, text: '' } }]", "configuration.file"),
            ("peers: [{ name: x, command: [x], configuration: { file: x, text: '$(node2)' } }]", "configuration.text"),
            ("peers: [{ name: x, command: [x], ports: 0 }]", "ports"),
            ("peers: [{ name: x, command: [x], ports: -1 }]", "peers[0].ports"),
            ("peers: [{ name: x, command: [x], readyTimeoutSeconds: 0 }]", "readyTimeoutSeconds"),
            ("peers: []", "empty"),
            ("{}", "peers"),
            ("", "end of input"),
            ("peers: [", "line"),
        ] {
            let error = error(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
