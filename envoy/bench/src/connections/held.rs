//! Many connections that are open and do nothing.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::dialogue::{Dialogue, connect};
use super::{Door, THREADS, process};
use crate::cpu::LOAD_THREAD;
use crate::figure::Figure;
use crate::processes::{allow_open_files, open_files};
use crate::record::Measured;
use crate::target::{Held, Proxy, Running};

/// A proxy has two sockets for a connection, and so has this process, as load and as endpoint.
const SOCKETS: usize = 2;
/// Files that processes have open besides.
const OTHER_FILES: usize = 200;
/// How long the proxy may take to close its sides of connections that were closed.
const CLOSING_MAX: Duration = Duration::from_secs(20);

/// The wanted number of connections, or what one process may have open.
pub(crate) fn most_held(wanted: usize) -> usize {
    wanted.min(allow_open_files().saturating_sub(OTHER_FILES) / SOCKETS)
}

/// Opens connections, measures what they take while they rest, and looks whether each still answers.
///
/// Memory of a connection is what those took that came on top of the most that the process has had before. The first case
/// has as many beforehand as it measures: what a module's compiler has left free is used up by these.
pub(crate) fn hold(count: usize, running: &Running) -> Result<Measured> {
    let proxy = process(running)?;
    let files_before = open_files(proxy.pid())?;
    let addresses = Door::Nodes.addresses(running)?;
    let fewer = proxy.held();
    let open = Open::new(count, &addresses)?;
    proxy.rest()?;
    let with = Held { connections: count, memory: proxy.memory()? };
    let more = if fewer.is_none() { Some(Open::new(count, &addresses)?) } else { None };
    proxy.rest()?;
    let most = Held { connections: count + more.as_ref().map_or(0, Open::count), memory: proxy.memory()? };
    let sockets = open_files(proxy.pid())?.saturating_sub(files_before);
    ensure!(sockets >= count, "the proxy has {sockets} sockets more for {count} connections");
    for open in more.iter().chain([&open]) {
        open.ask()?;
    }
    drop((open, more));
    wait_until_closed(proxy, files_before + count / 100)?;
    proxy.remember(most);
    let fewer = fewer.unwrap_or(with);
    ensure!(most.connections > fewer.connections, "{} connections take the memory of earlier ones", most.connections);
    let more_kib = most.memory.resident_kib as f64 - fewer.memory.resident_kib as f64;
    Ok(Measured::default()
        .with(Figure::ResidentMib, with.memory.resident_mib())
        .with(Figure::KibPerConnection, more_kib / (most.connections - fewer.connections) as f64))
}

/// The next case is not to pay for this one. Pools and timers may keep a few.
fn wait_until_closed(proxy: &Proxy, files_max: usize) -> Result<()> {
    let began = Instant::now();
    while open_files(proxy.pid())? > files_max {
        ensure!(began.elapsed() < CLOSING_MAX, "the proxy keeps sockets of connections that were closed");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Open connections, in as many parts as there are threads to ask them.
struct Open {
    dialogue: Arc<Dialogue>,
    parts: Vec<Vec<TcpStream>>,
}

impl Open {
    /// To each address in turn; each has asked for ApiVersions.
    fn new(count: usize, addresses: &[SocketAddr]) -> Result<Self> {
        let dialogue = Arc::new(Dialogue::short(*addresses.first().context("no address")?)?);
        let mut threads = Vec::new();
        for first in 0..THREADS {
            let mine: Vec<_> = (first..count).step_by(THREADS).map(|at| addresses[at % addresses.len()]).collect();
            let dialogue = Arc::clone(&dialogue);
            let open = move || {
                let (mut part, mut buffer) = (Vec::with_capacity(mine.len()), Vec::new());
                for address in mine {
                    let mut stream = connect(address)?;
                    dialogue.hold(&mut stream, &mut buffer)?;
                    part.push(stream);
                }
                anyhow::Ok(part)
            };
            threads.push(thread::Builder::new().name(LOAD_THREAD.into()).spawn(open)?);
        }
        let mut parts = Vec::new();
        for thread in threads {
            let part = thread.join().map_err(|_| anyhow!("a load thread panicked"))?;
            parts.push(part.with_context(|| format!("opening {count} connections"))?);
        }
        Ok(Self { dialogue, parts })
    }

    fn count(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Whether each of them still answers.
    fn ask(&self) -> Result<()> {
        let mut buffer = Vec::new();
        for (index, stream) in self.parts.iter().flatten().enumerate() {
            // A second handle of the same connection, because asking changes nothing of the one that is held.
            let mut stream = stream.try_clone()?;
            self.dialogue.hold(&mut stream, &mut buffer).with_context(|| format!("connection {index} after a rest"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn as_many_connections_are_open_as_were_asked_for() {
        let endpoint = Endpoint::start(2).unwrap();
        let open = Open::new(21, &endpoint.nodes).unwrap();
        assert_eq!(open.count(), 21);
        let to_first = open.parts.iter().flatten().filter(|stream| stream.peer_addr().unwrap() == endpoint.nodes[0]);
        assert_eq!(to_first.count(), 11);
        open.ask().unwrap();
    }

    #[test]
    fn a_connection_that_was_closed_meanwhile_is_noticed() {
        let endpoint = Endpoint::start(1).unwrap();
        let open = Open::new(9, &endpoint.nodes).unwrap();
        open.parts[3][0].shutdown(std::net::Shutdown::Both).unwrap();
        let error = open.ask().unwrap_err();
        assert!(error.to_string().contains("after a rest"), "{error:#}");
    }

    #[test]
    fn no_more_connections_than_a_process_may_have_open() {
        let most = most_held(usize::MAX);
        assert!(most > 0 && most * SOCKETS < allow_open_files(), "{most}");
        assert_eq!(most_held(7), 7);
    }
}
