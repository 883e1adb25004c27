//! One step: one workload against one running target, for a fixed time.

mod busy;
mod paced;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;

pub(crate) use self::busy::{Busy, Moment};
pub(crate) use self::paced::paced;
#[cfg(feature = "real-kafka")]
pub(crate) use self::paced::{is_late, micros};
use crate::cpu::LOAD_THREAD;
use crate::endpoint::Endpoint;
use crate::figure::Figure;
use crate::load::{Progress, Request, Sender, Totals, Workload, crowd};
use crate::record::Measured;
use crate::target::Running;

/// How long connections run before anything is counted.
const WARM_UP: Duration = Duration::from_millis(150);
/// From so many connections on one thread works for all of them.
const CROWD_MIN: usize = 10;

/// Figures of one step, counted between two moments of full load.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// All threads of the proxy's process; absent without a proxy.
    pub(crate) proxy_cpu_seconds: Option<f64>,
    /// What a request's cost may grow with, in each.
    pub(crate) elements: Option<usize>,
    pub(crate) round_trip: Option<RoundTrip>,
    pub(crate) busy: Busy,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Sample {
    fn cpu_seconds_per(&self, count: f64) -> Option<f64> {
        self.proxy_cpu_seconds.map(|cpu| cpu / count)
    }

    pub(crate) fn measured(&self) -> Measured {
        let round_trip = |figure: fn(&RoundTrip) -> f64| self.round_trip.as_ref().map(figure);
        let elements = self.elements.map(|elements| self.requests as f64 * elements as f64);
        let measured = Measured::default()
            .with(Figure::MegabytesPerSecond, self.bytes as f64 / 1e6 / self.seconds)
            .with(Figure::RequestsPerSecond, self.requests as f64 / self.seconds)
            .with_some(Figure::CpuSecondsPerGigabyte, self.cpu_seconds_per(self.bytes as f64 / 1e9))
            .with_some(Figure::CpuSecondsPerMillionRequests, self.cpu_seconds_per(self.requests as f64 / 1e6))
            .with_some(Figure::CpuMicrosPerElement, elements.and_then(|elements| self.cpu_seconds_per(elements / 1e6)))
            .with_some(Figure::P50Us, round_trip(|time| time.p50_us))
            .with_some(Figure::P99Us, round_trip(|time| time.p99_us));
        self.busy.measured(measured)
    }
}

/// Runs a workload; an error means that something broke or was lost.
pub(crate) fn step(workload: &Workload, running: &Running, endpoint: &Endpoint, duration: Duration) -> Result<Sample> {
    if let Request::ListTopics { of } = workload.request {
        endpoint.list(of);
    }
    let client = running.client()?;
    let ids = client.topic_ids(workload.request)?;
    let senders = (0..workload.connections).map(|index| Sender::open(&client, workload, &ids, index, endpoint));
    let senders = senders.collect::<Result<Vec<_>>>()?;
    let received_before = endpoint.received.load();
    let progress = Arc::new(Progress::default());
    let mut threads = Vec::new();
    let mut start = |work: Box<dyn FnOnce() -> Result<Vec<Totals>> + Send>| -> Result<()> {
        threads.push(thread::Builder::new().name(LOAD_THREAD.into()).spawn(work)?);
        Ok(())
    };
    if senders.len() < CROWD_MIN {
        for sender in senders {
            let progress = Arc::clone(&progress);
            start(Box::new(move || Ok(vec![sender.run(&progress)?])))?;
        }
    } else {
        let progress = Arc::clone(&progress);
        start(Box::new(move || crowd(senders, &progress)))?;
    }
    thread::sleep(WARM_UP);
    progress.measuring.store(true, Relaxed);
    let before = Moment::now(&progress, running.pid())?;
    thread::sleep(duration);
    let after = Moment::now(&progress, running.pid())?;
    progress.measuring.store(false, Relaxed);
    progress.stop.store(true, Relaxed);

    let mut totals = Vec::new();
    for thread in threads {
        totals.extend(thread.join().map_err(|_| anyhow!("a load thread panicked"))??);
    }
    verify(&totals, received_before, endpoint)?;
    sample(&before, &after, workload, &totals)
}

/// A topic id that no Metadata answer has shown: the gateway has to ask whose it is, once, and let the request go on.
pub(crate) fn look_up(workload: &Workload, running: &Running, endpoint: &Endpoint) -> Result<()> {
    let (received_before, look_ups_before) = (endpoint.received.load(), endpoint.received.look_ups());
    let client = running.client()?;
    for _ in 0..2 {
        Sender::for_unseen_topic(&client, workload, endpoint)?.once()?;
    }
    let look_ups = endpoint.received.look_ups() - look_ups_before;
    ensure!(look_ups == 1, "the endpoint was asked {look_ups} times for a topic by its id");
    let received = endpoint.received.load().0 - received_before.0;
    ensure!(received == 2, "the endpoint received {received} requests instead of 2");
    Ok(())
}

/// Every answer was checked on its connection; here, that the endpoint has seen exactly what was sent.
fn verify(totals: &[Totals], before: (u64, u64), endpoint: &Endpoint) -> Result<()> {
    let requests: u64 = totals.iter().map(|totals| totals.requests).sum();
    let bytes: u64 = totals.iter().map(|totals| totals.request_bytes).sum();
    let after = endpoint.received.load();
    let received = (after.0 - before.0, after.1 - before.1);
    ensure!(
        received == (requests, bytes),
        "sent {requests} requests of {bytes} bytes, the endpoint received {received:?}"
    );
    Ok(())
}

fn sample(before: &Moment, after: &Moment, workload: &Workload, totals: &[Totals]) -> Result<Sample> {
    let seconds = after.seconds_since(before);
    let requests = after.requests - before.requests;
    ensure!(requests > 0, "no answer in {seconds:.1} s");
    Ok(Sample {
        seconds,
        requests,
        bytes: after.bytes - before.bytes,
        proxy_cpu_seconds: after.proxy_cpu_since(before),
        elements: workload.request.elements(),
        round_trip: if workload.is_round_trip() { Some(round_trip(totals)?) } else { None },
        busy: Busy::between(before, after),
    })
}

fn round_trip(totals: &[Totals]) -> Result<RoundTrip> {
    let mut totals = totals.iter();
    let mut all: Histogram<u64> = totals.next().context("no connection")?.round_trips.clone();
    for more in totals {
        all.add(&more.round_trips)?;
    }
    let micros = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
    Ok(RoundTrip { p50_us: micros(0.5), p99_us: micros(0.99) })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

    use super::*;
    use crate::load::Route;
    use crate::plan::{self, What};

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn direct_connections_lose_nothing() {
        let endpoint = Endpoint::start(2).unwrap();
        let direct = Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, prefix: "", proxy: None };
        for case in plan::smoke(1, SHORT).stages.iter().flat_map(|stage| &stage.cases) {
            let What::Exchanges { workload, duration } = &case.what else { continue };
            let sample = step(workload, &direct, &endpoint, *duration).unwrap();
            assert!(sample.requests > 0 && sample.proxy_cpu_seconds.is_none(), "{}: {sample:?}", case.name);
        }
    }

    #[test]
    fn nothing_is_lost_of_requests_with_many_elements_nor_on_many_connections() {
        let endpoint = Endpoint::start(2).unwrap();
        let direct = Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, prefix: "", proxy: None };
        let workloads = [
            Workload::pipelined(Request::produce(12, 1024).over(100, 1)),
            Workload::pipelined(Request::produce(13, 100).over(1, 1_000)),
            Workload::pipelined(Request::fetch(17, 1024).over(100, 2)),
            Workload::pipelined(Request::fetch(12, 100).over(1, 1_000)),
            Workload::round_trips(Request::Metadata { topics: 1_000 }),
            Workload::round_trips(Request::ListTopics { of: 5_000 }),
            Workload::crowd(Request::produce(12, 1024), 100),
        ];
        for workload in workloads {
            let sample = step(&workload, &direct, &endpoint, SHORT).unwrap();
            assert!(sample.requests > 0, "{workload:?}: {sample:?}");
            assert_eq!(sample.elements, workload.request.elements());
            assert_eq!(sample.round_trip.is_some(), workload.connections == 1);
        }
    }

    #[test]
    fn a_request_that_never_arrived_is_noticed() {
        let endpoint = Endpoint::start(1).unwrap();
        let round_trips = Histogram::new(3).unwrap();
        let sent = [Totals { requests: 1, request_bytes: 100, round_trips }];
        assert!(verify(&sent, (0, 0), &endpoint).is_err());
        assert!(verify(&[], (0, 0), &endpoint).is_ok());
    }

    #[test]
    fn step_fails_when_the_proxy_closes_a_connection() {
        let endpoint = Endpoint::start(1).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let node = endpoint.nodes[0];
        thread::spawn(move || {
            for client in listener.incoming() {
                relay(client.unwrap(), node);
            }
        });
        let running = Running { bootstrap: address, route: Route::Listeners(vec![address]), prefix: "", proxy: None };
        let workload = Workload::pipelined(Request::produce(12, 256 * 1024));
        assert!(step(&workload, &running, &endpoint, SHORT).is_err());
    }

    /// Closes after a few megabytes from the client.
    fn relay(client: TcpStream, node: SocketAddr) {
        let broker = TcpStream::connect(node).unwrap();
        let (answers_from, answers_to) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || pump(answers_from, answers_to));
        thread::spawn(move || pump(client, broker));
    }

    fn pump(from: TcpStream, mut to: TcpStream) {
        // Whoever closed first has already taken both ends down.
        let _ = std::io::copy(&mut (&from).take(3_000_000), &mut to);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
