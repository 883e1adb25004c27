//! Who has a TCP connection to a broker: seen in /proc, so that no client can hide one.

use std::collections::HashSet;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

/// A connection lives at least for a request and its answer; this is well below what a client library takes.
const INTERVAL: Duration = Duration::from_millis(5);

/// A connection to a broker and the process that opened it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    pub broker: SocketAddr,
    pub pid: i32,
    pub program: String,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}) to {}", self.program, self.pid, self.broker)
    }
}

/// Looks again and again who is connected to the brokers, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

/// What a [`Watch`] has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections of processes that may not connect to brokers.
    pub strangers: HashSet<Connection>,
    /// How many connections of others there were: proof that the watch sees something.
    pub allowed: usize,
}

impl Watch {
    /// Watches connections to `brokers`. `allowed` names the processes that may have some: gateway and brokers.
    pub fn start(brokers: &[SocketAddrV4], allowed: impl Fn() -> Vec<i32> + Send + 'static) -> Watch {
        let brokers: HashSet<SocketAddr> = brokers.iter().copied().map(SocketAddr::V4).collect();
        let watch = Watch { stop: Arc::default(), seen: Arc::default() };
        let (stop, seen) = (Arc::clone(&watch.stop), Arc::clone(&watch.seen));
        std::thread::spawn(move || {
            let mut known = HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                let new = look(&brokers, &allowed, &mut known);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.strangers.extend(new.strangers);
                seen.allowed += new.allowed;
                drop(seen);
                std::thread::sleep(INTERVAL);
            }
        });
        watch
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What one look finds that earlier looks did not.
fn look(brokers: &HashSet<SocketAddr>, allowed: &impl Fn() -> Vec<i32>, known: &mut HashSet<u64>) -> Seen {
    let mut seen = Seen::default();
    let fresh: Vec<_> = procfs::net::tcp()
        .expect("/proc/net/tcp can be read")
        .into_iter()
        .filter(|entry| {
            let to_broker = brokers.contains(&entry.remote_address) && entry.state == TcpState::Established;
            to_broker && !known.contains(&entry.inode)
        })
        .collect();
    if fresh.is_empty() {
        return seen;
    }
    let allowed_sockets: HashSet<u64> = allowed().into_iter().flat_map(sockets).collect();
    for entry in fresh {
        known.insert(entry.inode);
        if allowed_sockets.contains(&entry.inode) {
            seen.allowed += 1;
        } else if let Some((pid, program)) = owner(entry.inode) {
            // A process that was started between the two looks, a broker for instance, may be allowed by now.
            if allowed().contains(&pid) {
                seen.allowed += 1;
            } else {
                seen.strangers.insert(Connection { broker: entry.remote_address, pid, program });
            }
        }
    }
    seen
}

fn owner(inode: u64) -> Option<(i32, String)> {
    procfs::process::all_processes()
        .ok()?
        .flatten()
        .find(|process| sockets(process.pid).contains(&inode))
        .map(|process| (process.pid, process.stat().map(|stat| stat.comm).unwrap_or_default()))
}

/// Running processes whose executable is `program`.
pub fn processes_of(program: &Path) -> Vec<i32> {
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    processes.filter(|process| process.exe().is_ok_and(|exe| exe == program)).map(|process| process.pid).collect()
}

/// Inodes of a process's sockets; none when it has ended.
fn sockets(pid: i32) -> Vec<u64> {
    let fds = Process::new(pid).and_then(|process| process.fd()).into_iter().flatten();
    fds.flatten()
        .filter_map(|fd| match fd.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_strangers_connection_is_seen_with_its_process() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(broker) = listener.local_addr().unwrap() else { panic!("IPv4 was asked for") };
        let watch = Watch::start(&[broker], Vec::new);

        let _connection = TcpStream::connect(broker).unwrap();
        std::thread::sleep(Duration::from_millis(500));

        let pids: Vec<i32> = watch.seen().strangers.iter().map(|stranger| stranger.pid).collect();
        assert_eq!(pids, [i32::try_from(std::process::id()).unwrap()]);
    }
}
