//! A Kafka endpoint that costs next to nothing: answers are prepared, record bytes are dropped unread.

mod answers;
mod topics;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::Result;

use self::answers::{Answers, Purpose};
pub(crate) use self::topics::{LISTED_OWN, UNSEEN};
use crate::cpu::ENDPOINT_THREAD;
use crate::frames::{Connection, Frame};

/// Partitions of a topic that requests name; partition `p` is led by node `p % nodes`.
pub(crate) const PARTITIONS: usize = 8;
/// Partitions of a topic in the list of all.
const LISTED_PARTITIONS: usize = 3;

/// What all connections together have received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    frames: AtomicU64,
    bytes: AtomicU64,
    look_ups: AtomicU64,
}

impl Received {
    /// Requests and their bytes so far, without those of connection set-up.
    pub(crate) fn load(&self) -> (u64, u64) {
        (self.frames.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// How often a topic was asked for by its id.
    pub(crate) fn look_ups(&self) -> u64 {
        self.look_ups.load(Relaxed)
    }
}

/// The running endpoint; its threads end with the process.
pub(crate) struct Endpoint {
    /// Index is node id.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) received: Arc<Received>,
}

impl Endpoint {
    pub(crate) fn start(nodes: usize) -> Result<Self> {
        let listeners =
            (0..nodes).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
        let nodes = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let received = Arc::new(Received::default());
        for listener in listeners {
            let (nodes, received) = (nodes.clone(), Arc::clone(&received));
            thread::Builder::new().name(ENDPOINT_THREAD.into()).spawn(move || accept(&listener, &nodes, &received))?;
        }
        Ok(Self { nodes, received })
    }

    /// What it answers to this request frame, with correlation id 0.
    pub(crate) fn answer_to(&self, request: &[u8]) -> Result<Vec<u8>> {
        Ok(Answers::new(self.nodes.clone()).to(&Frame::of(request))?.bytes.to_vec())
    }
}

fn accept(listener: &TcpListener, nodes: &[SocketAddr], received: &Arc<Received>) {
    for stream in listener.incoming().flatten() {
        let (answers, received) = (Answers::new(nodes.to_vec()), Arc::clone(received));
        let served = thread::Builder::new().name(ENDPOINT_THREAD.into()).spawn(move || {
            if let Err(error) = serve(stream, answers, &received) {
                eprintln!("endpoint: connection given up: {error:#}");
            }
        });
        if let Err(error) = served {
            eprintln!("endpoint: no thread: {error}");
        }
    }
}

fn serve(stream: TcpStream, mut answers: Answers, received: &Received) -> Result<()> {
    let mut connection = Connection::accepted(stream)?;
    loop {
        let Some(frame) = connection.next()? else { return Ok(()) };
        let size = frame.size;
        let answer = answers.to(&frame)?;
        // Counted first: whoever has the answer may look.
        match answer.purpose {
            Purpose::Load => {
                received.frames.fetch_add(1, Relaxed);
                received.bytes.fetch_add(size as u64 + 4, Relaxed);
            }
            Purpose::LookUp => {
                received.look_ups.fetch_add(1, Relaxed);
            }
            Purpose::SetUp => {}
        }
        connection.write_all(answer.bytes)?;
    }
}
