//! One step: one workload against one running target, for a fixed time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cpu::{ENDPOINT_THREAD, LOAD_THREAD, OwnThreads, Process};
use crate::endpoint::Endpoint;
use crate::load::{Progress, Sender, Totals};
use crate::target::Running;
use crate::workload::{Unit, Workload};

/// How long connections run before anything is counted.
const WARM_UP: Duration = Duration::from_millis(150);

/// Figures of one step, counted between two moments of full load.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// All threads of the proxy's process; absent without a proxy.
    pub(crate) proxy_cpu_seconds: Option<f64>,
    pub(crate) round_trip: Option<RoundTrip>,
    /// Share of the time in which other processes had the proxy's core: what remains of a shared machine's noise.
    pub(crate) proxy_kept_waiting: f64,
    /// Share of one core: the proxy.
    pub(crate) proxy_busy: f64,
    /// All threads of the load, and its busiest.
    pub(crate) load_busy: [f64; 2],
    /// All threads of the endpoint, and its busiest.
    pub(crate) endpoint_busy: [f64; 2],
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoundTrip {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Sample {
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    pub(crate) fn cpu_seconds_per(&self, unit: Unit) -> Option<f64> {
        match unit {
            Unit::Gigabyte => self.cpu_seconds_per_gigabyte(),
            Unit::MillionRequests => self.cpu_seconds_per_million_requests(),
        }
    }

    pub(crate) fn cpu_seconds_per_gigabyte(&self) -> Option<f64> {
        self.proxy_cpu_seconds.map(|cpu| cpu / (self.bytes as f64 / 1e9))
    }

    pub(crate) fn cpu_seconds_per_million_requests(&self) -> Option<f64> {
        self.proxy_cpu_seconds.map(|cpu| cpu / (self.requests as f64 / 1e6))
    }

    /// Which side set the pace, as far as CPU time tells.
    pub(crate) fn bottleneck(&self) -> &'static str {
        const FULL: f64 = 0.9;
        // All but the proxy's core.
        let cores = thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        if self.proxy_busy >= FULL {
            "proxy"
        } else if self.load_busy[1] >= FULL {
            "load"
        } else if self.endpoint_busy[1] >= FULL {
            "endpoint"
        } else if self.load_busy[0] + self.endpoint_busy[0] >= FULL * cores {
            "load + endpoint"
        } else {
            "waiting"
        }
    }
}

struct Moment {
    at: Instant,
    requests: u64,
    bytes: u64,
    proxy: Option<Process>,
    own: OwnThreads,
}

impl Moment {
    fn now(progress: &Progress, pid: Option<u32>) -> Result<Self> {
        Ok(Self {
            own: OwnThreads::now()?,
            proxy: pid.map(Process::now).transpose()?,
            at: Instant::now(),
            requests: progress.answers.load(Relaxed),
            bytes: progress.bytes.load(Relaxed),
        })
    }
}

/// Runs a workload; an error means that something broke or was lost.
pub(crate) fn step(workload: &Workload, running: &Running, endpoint: &Endpoint, duration: Duration) -> Result<Sample> {
    let client = running.client()?;
    let received_before = endpoint.received.load();
    let progress = Arc::new(Progress::default());
    let mut threads = Vec::new();
    for partition in 0..workload.connections {
        let sender = Sender::open(&client, workload, partition, endpoint)?;
        let progress = Arc::clone(&progress);
        threads.push(thread::Builder::new().name(LOAD_THREAD.into()).spawn(move || sender.run(&progress))?);
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
        totals.push(thread.join().map_err(|_| anyhow!("a load thread panicked"))??);
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
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let requests = after.requests - before.requests;
    ensure!(requests > 0, "no answer in {seconds:.1} s");
    let proxy = |figure: fn(Process) -> Duration| {
        let (after, before) = after.proxy.zip(before.proxy)?;
        Some(figure(after).saturating_sub(figure(before)).as_secs_f64())
    };
    let proxy_cpu_seconds = proxy(|process| process.cpu);
    let busy = |name| {
        let (sum, busiest) = after.own.since(&before.own, name);
        [sum.as_secs_f64() / seconds, busiest.as_secs_f64() / seconds]
    };
    Ok(Sample {
        seconds,
        requests,
        bytes: after.bytes - before.bytes,
        proxy_cpu_seconds,
        round_trip: if workload.is_round_trip() { Some(round_trip(totals)?) } else { None },
        proxy_kept_waiting: proxy(|process| process.kept_waiting).unwrap_or_default() / seconds,
        proxy_busy: proxy_cpu_seconds.unwrap_or_default() / seconds,
        load_busy: busy(LOAD_THREAD),
        endpoint_busy: busy(ENDPOINT_THREAD),
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
    use crate::workload::SMOKE;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn direct_connections_lose_nothing() {
        let endpoint = Endpoint::start(2).unwrap();
        let direct = Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, prefix: "", envoy: None };
        for workload in SMOKE {
            let sample = step(workload, &direct, &endpoint, SHORT).unwrap();
            assert!(sample.requests > 0 && sample.proxy_cpu_seconds.is_none(), "{}: {sample:?}", workload.name);
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
        let running = Running { bootstrap: address, route: Route::Listeners(vec![address]), prefix: "", envoy: None };
        assert!(step(&SMOKE[1], &running, &endpoint, SHORT).is_err());
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
