//! A TCP relay that reads along: every byte on its way to a client is searched for what must not be there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use memchr::memmem;

/// Relays ports of one loopback address to the same ports of another.
#[derive(Clone, Debug)]
pub struct Tap {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Byte strings that no client may see.
    forbidden: Vec<Vec<u8>>,
    findings: Mutex<Vec<String>>,
    connections: AtomicU64,
    bytes_to_clients: AtomicU64,
}

impl Tap {
    /// Listens on `ports` of `from` until the process ends.
    pub fn start(
        from: Ipv4Addr,
        to: Ipv4Addr,
        ports: impl IntoIterator<Item = u16>,
        forbidden: &[String],
    ) -> Result<Tap> {
        let shared = Arc::new(Shared {
            forbidden: forbidden.iter().map(|text| text.clone().into_bytes()).collect(),
            findings: Mutex::default(),
            connections: AtomicU64::new(0),
            bytes_to_clients: AtomicU64::new(0),
        });
        for port in ports {
            let listener =
                TcpListener::bind((from, port)).with_context(|| format!("the tap cannot listen on {from}:{port}"))?;
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    // A gateway that refuses the connection is seen by the client as a closed one.
                    if let Ok(gateway) = TcpStream::connect((to, port)) {
                        shared.connections.fetch_add(1, Ordering::Relaxed);
                        let _ = relay(&shared, client, gateway, port);
                    }
                }
            });
        }
        Ok(Tap { shared })
    }

    /// Where a forbidden byte string went by, in words.
    pub fn findings(&self) -> Vec<String> {
        self.shared.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    pub fn bytes_to_clients(&self) -> u64 {
        self.shared.bytes_to_clients.load(Ordering::Relaxed)
    }
}

fn relay(shared: &Arc<Shared>, client: TcpStream, gateway: TcpStream, port: u16) -> io::Result<()> {
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let (client_in, gateway_out) = (client.try_clone()?, gateway.try_clone()?);
    thread::spawn(move || copy(client_in, gateway_out, |_| {}));
    let shared = Arc::clone(shared);
    let mut search = Search::new(&shared.forbidden);
    thread::spawn(move || {
        copy(gateway, client, |bytes| {
            shared.bytes_to_clients.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            for found in search.find(&shared.forbidden, bytes) {
                let finding = format!("on port {port}: {}", found.escape_ascii());
                shared.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
            }
        });
    });
    Ok(())
}

/// Copies until either side ends, and passes the end on.
pub(crate) fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        look(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// Finds byte strings in a stream, also where they lie across two reads.
struct Search {
    kept: Vec<u8>,
    keep: usize,
}

impl Search {
    fn new(forbidden: &[Vec<u8>]) -> Search {
        let longest = forbidden.iter().map(Vec::len).max().unwrap_or(0);
        Search { kept: Vec::new(), keep: longest.saturating_sub(1) }
    }

    /// What stands around each finding.
    fn find(&mut self, forbidden: &[Vec<u8>], bytes: &[u8]) -> Vec<Vec<u8>> {
        const AROUND: usize = 24;
        let old = self.kept.len();
        self.kept.extend_from_slice(bytes);
        let text = &self.kept;
        let found = forbidden
            .iter()
            .flat_map(|needle| {
                // What ended in the part that was searched before is known already.
                memmem::find_iter(text, needle)
                    .filter(move |at| at + needle.len() > old)
                    .map(|at| text[at.saturating_sub(AROUND)..(at + needle.len() + AROUND).min(text.len())].to_vec())
            })
            .collect();
        let cut = self.kept.len().saturating_sub(self.keep);
        self.kept.drain(..cut);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_arrives_byte_by_byte_is_found_once() {
        let forbidden = [b"broker-1:9092".to_vec(), b"broker-1".to_vec()];
        let mut search = Search::new(&forbidden);

        let found: usize = b"..broker-1:9092..".iter().map(|byte| search.find(&forbidden, &[*byte]).len()).sum();

        assert_eq!(found, 2, "each of the two once");
    }
}
