//! Connections as fast as they come: open, ApiVersions, one Metadata, close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::dialogue::{Dialogue, connect};
use super::{Door, THREADS};
use crate::cpu::LOAD_THREAD;
use crate::figure::Figure;
use crate::load::Progress;
use crate::measure::{Busy, Moment};
use crate::record::Measured;
use crate::target::Running;

/// How long connections come before they are counted.
const WARM_UP: Duration = Duration::from_millis(100);

/// An error means that a connection was refused, broke, or got another answer than the others.
pub(crate) fn churn(door: Door, running: &Running, duration: Duration) -> Result<Measured> {
    let addresses = door.addresses(running)?;
    let dialogues = addresses.iter().map(|address| Ok((*address, Dialogue::of_a_client(*address)?)));
    let dialogues = Arc::new(dialogues.collect::<Result<Vec<_>>>()?);
    let progress = Arc::new(Progress::default());
    let mut threads = Vec::new();
    for index in 0..THREADS {
        let (dialogues, progress) = (Arc::clone(&dialogues), Arc::clone(&progress));
        let open = move || open_and_close(&dialogues, index, &progress);
        threads.push(thread::Builder::new().name(LOAD_THREAD.into()).spawn(open)?);
    }
    thread::sleep(WARM_UP);
    let before = Moment::now(&progress, running.pid())?;
    thread::sleep(duration);
    let after = Moment::now(&progress, running.pid())?;
    progress.stop.store(true, Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a load thread panicked"))??;
    }
    measured(&before, &after)
}

/// One connection after the other, to each address in turn; `answers` of the progress counts connections.
fn open_and_close(dialogues: &[(SocketAddr, Dialogue)], first: usize, progress: &Progress) -> Result<()> {
    let mut buffer = Vec::new();
    for (address, dialogue) in dialogues.iter().cycle().skip(first % dialogues.len().max(1)) {
        if progress.stop.load(Relaxed) {
            break;
        }
        dialogue
            .hold(&mut connect(*address)?, &mut buffer)
            .with_context(|| format!("connection {} to {address}", progress.answers.load(Relaxed)))?;
        progress.answers.fetch_add(1, Relaxed);
    }
    Ok(())
}

fn measured(before: &Moment, after: &Moment) -> Result<Measured> {
    let seconds = after.seconds_since(before);
    let connections = (after.requests - before.requests) as f64;
    ensure!(connections > 0.0, "no connection in {seconds:.1} s");
    let cpu = after.proxy_cpu_since(before);
    let measured = Measured::default()
        .with(Figure::ConnectionsPerSecond, connections / seconds)
        .with_some(Figure::CpuMicrosPerConnection, cpu.map(|cpu| cpu * 1e6 / connections));
    // Threads of the endpoint serve one connection each; those that have ended are not in its share.
    Ok(Busy::between(before, after).measured(measured))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::load::Route;

    fn direct(bootstrap: SocketAddr) -> Running {
        Running { bootstrap, route: Route::Advertised, prefix: "", proxy: None }
    }

    #[test]
    fn connections_are_counted() {
        let endpoint = Endpoint::start(2).unwrap();
        for door in [Door::Bootstrap, Door::Nodes] {
            let measured = churn(door, &direct(endpoint.nodes[0]), Duration::from_millis(50)).unwrap();
            assert!(measured.figures[&Figure::ConnectionsPerSecond] > 0.0, "{measured:?}");
            assert!(!measured.figures.contains_key(&Figure::CpuMicrosPerConnection), "{measured:?}");
        }
    }

    /// Serves the first connections and drops those that follow.
    #[test]
    fn a_connection_that_breaks_is_an_error() {
        let endpoint = Endpoint::start(1).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, node) = (listener.local_addr().unwrap(), endpoint.nodes[0]);
        thread::spawn(move || {
            for (index, client) in listener.incoming().enumerate() {
                let (mut client, mut broker) = (client.unwrap(), connect(node).unwrap());
                if index < 20 {
                    let (mut from, mut to) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
                    thread::spawn(move || std::io::copy(&mut from, &mut to));
                    thread::spawn(move || std::io::copy(&mut broker, &mut client));
                } else {
                    let _ = client.read(&mut [0; 8]);
                }
            }
        });
        let error = churn(Door::Bootstrap, &direct(address), Duration::from_millis(300)).unwrap_err();
        assert!(format!("{error:#}").contains("connection"), "{error:#}");
    }
}
