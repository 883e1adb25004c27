//! A Kafka endpoint that costs next to nothing: answers are prepared, record bytes are dropped unread.
//!
//! Except for its live topics: there it is a broker with a short memory, and real clients can work with it. It knows one
//! consumer group with one member, commits nothing, and does not compare sequence numbers.

mod answers;
mod groups;
mod log;
mod metadata;
#[cfg(all(test, feature = "real-kafka"))]
mod real_clients;
mod records;
mod topics;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use anyhow::{Result, ensure};

use self::answers::{Answers, Purpose};
use self::log::Logs;
pub(crate) use self::topics::{Family, Topic, UNSEEN, listed_own};
use crate::cpu::ENDPOINT_THREAD;
use crate::frames::{Connection, Frame};

/// Partitions of a topic that requests name; partition `p` is led by node `p % nodes`.
pub(crate) const PARTITIONS: usize = 4;
/// Live topics, `live-0` and so on.
pub(crate) const LIVE_TOPICS: usize = 8;
/// Topics in the list of all, unless said otherwise.
const LISTED: usize = 1_000;
/// Partitions of a topic in that list.
const LISTED_PARTITIONS: usize = 3;
/// There may be a thread for each of thousands of connections.
const STACK_BYTES: usize = 512 * 1024;

/// What all connections together have received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    frames: AtomicU64,
    bytes: AtomicU64,
    look_ups: AtomicU64,
}

impl Received {
    /// Requests of the load and their bytes so far, without those of connection set-up.
    pub(crate) fn load(&self) -> (u64, u64) {
        (self.frames.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// How often a topic was asked for by its id.
    pub(crate) fn look_ups(&self) -> u64 {
        self.look_ups.load(Relaxed)
    }

    fn count(&self, purpose: Purpose, frame_bytes: usize) {
        match purpose {
            Purpose::Load => {
                self.frames.fetch_add(1, Relaxed);
                self.bytes.fetch_add(frame_bytes as u64, Relaxed);
            }
            Purpose::LookUp => {
                self.look_ups.fetch_add(1, Relaxed);
            }
            Purpose::Other => {}
        }
    }
}

/// What all connections share.
struct Cluster {
    nodes: Vec<SocketAddr>,
    listed: AtomicUsize,
    logs: Logs,
    received: Arc<Received>,
}

/// The running endpoint; its threads end with the process.
pub(crate) struct Endpoint {
    /// Index is node id.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) received: Arc<Received>,
    cluster: Arc<Cluster>,
}

impl Endpoint {
    pub(crate) fn start(nodes: usize) -> Result<Self> {
        let listeners =
            (0..nodes).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
        let nodes = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let received = Arc::new(Received::default());
        let cluster = Cluster {
            nodes: nodes.clone(),
            listed: AtomicUsize::new(LISTED),
            logs: Logs::new(),
            received: Arc::clone(&received),
        };
        let cluster = Arc::new(cluster);
        for listener in listeners {
            let cluster = Arc::clone(&cluster);
            thread::Builder::new().name(ENDPOINT_THREAD.into()).spawn(move || accept(&listener, &cluster))?;
        }
        Ok(Self { nodes, received, cluster })
    }

    /// How many topics a connection is told of that asks for all of them from now on.
    pub(crate) fn list(&self, topics: usize) {
        self.cluster.listed.store(topics, Relaxed);
    }

    /// What it answers to this request frame, with correlation id 0. Only for answers that are prepared.
    pub(crate) fn answer_to(&self, request: &[u8]) -> Result<Vec<u8>> {
        let frame = Frame::of(request);
        let built = Answers::new(&self.cluster).build(request[4..].to_vec().into())?;
        ensure!(built.is_prepared, "the answer to {} bytes depends on what was produced", frame.size);
        Ok(built.bytes)
    }

    /// Offset of the next record in a live partition.
    pub(crate) fn end_of(&self, topic: Topic, partition: usize) -> Result<i64> {
        Ok(self.cluster.logs.range(topic, i32::try_from(partition)?)?.1)
    }
}

fn accept(listener: &TcpListener, cluster: &Arc<Cluster>) {
    for stream in listener.incoming().flatten() {
        let cluster = Arc::clone(cluster);
        let thread = thread::Builder::new().name(ENDPOINT_THREAD.into()).stack_size(STACK_BYTES);
        let served = thread.spawn(move || {
            if let Err(error) = serve(stream, &cluster) {
                eprintln!("endpoint: connection given up: {error:#}");
            }
        });
        if let Err(error) = served {
            eprintln!("endpoint: no thread: {error}");
        }
    }
}

fn serve(stream: TcpStream, cluster: &Cluster) -> Result<()> {
    let mut connection = Connection::accepted(stream)?;
    let mut answers = Answers::new(cluster);
    loop {
        let Some(request) = connection.peek()? else { return Ok(()) };
        let size = request.size;
        let answer = match answers.find(&request)? {
            Some(found) => {
                connection.pass(size)?;
                answers.prepared(found)
            }
            None => answers.new_to(connection.whole(size)?)?,
        };
        // Counted first: whoever has the answer may look.
        cluster.received.count(answer.purpose, size + 4);
        connection.write_all(answer.bytes)?;
    }
}
