//! How much memory a proxy has while large frames pass.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::process;
use crate::cpu::LOAD_THREAD;
use crate::endpoint::Endpoint;
use crate::figure::Figure;
use crate::load::{Progress, Sender, Workload};
use crate::processes::reset_peak;
use crate::record::Measured;
use crate::target::Running;

/// So many frames on each connection: the first has the buffers grow, the others show whether they do again.
const FRAMES: u64 = 3;
/// Large frames take long to make, and a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// An error means that a frame was lost, came twice or was another.
pub(crate) fn peak(workload: &Workload, running: &Running, endpoint: &Endpoint) -> Result<Measured> {
    let proxy = process(running)?;
    proxy.memory_at_rest()?;
    let client = running.client()?;
    let ids = client.topic_ids(workload.request)?;
    let senders = (0..workload.connections).map(|index| Sender::open(&client, workload, &ids, index, endpoint));
    let senders = senders.collect::<Result<Vec<_>>>()?;
    let received_before = endpoint.received.load();
    let progress = Arc::new(Progress::default());
    let wanted = FRAMES * senders.len() as u64;

    reset_peak(proxy.pid())?;
    let began = Instant::now();
    let mut threads = Vec::new();
    for sender in senders {
        let progress = Arc::clone(&progress);
        threads.push(thread::Builder::new().name(LOAD_THREAD.into()).spawn(move || sender.run(&progress))?);
    }
    let has_time = || began.elapsed() < PATIENCE;
    while progress.answers.load(Relaxed) < wanted && has_time() && !threads.iter().any(|thread| thread.is_finished()) {
        thread::sleep(Duration::from_millis(5));
    }
    progress.stop.store(true, Relaxed);
    let mut sent = (0, 0);
    for thread in threads {
        let totals = thread.join().map_err(|_| anyhow!("a load thread panicked"))??;
        sent = (sent.0 + totals.requests, sent.1 + totals.request_bytes);
    }
    let peak = proxy.memory()?;
    let received = endpoint.received.load();
    let received = (received.0 - received_before.0, received.1 - received_before.1);
    ensure!(received == sent, "sent {} requests of {} bytes, the endpoint received {received:?}", sent.0, sent.1);
    ensure!(sent.0 >= wanted, "{} frames instead of {wanted} in {PATIENCE:?}", sent.0);
    Ok(Measured::default().with(Figure::PeakMib, peak.peak_mib()))
}
