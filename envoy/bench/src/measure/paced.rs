//! One step at a fixed rate: latencies from when a record was due.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;

use super::busy::{Busy, Moment};
use super::verify;
use crate::cpu::LOAD_THREAD;
use crate::endpoint::Endpoint;
use crate::figure::Figure;
use crate::load::{Counted, Pace, Paced, Progress};
use crate::record::{Bottleneck, Measured};
use crate::target::Running;

const WARM_UP: Duration = Duration::from_millis(300);
/// The load goes on for so long after the last record that counts.
const COOL_DOWN: Duration = Duration::from_millis(100);

/// Runs a schedule; an error means that something broke, was lost, or came twice.
pub(crate) fn paced(pace: &Pace, running: &Running, endpoint: &Endpoint, duration: Duration) -> Result<Measured> {
    let client = running.client()?;
    let counted = Counted { after: WARM_UP, during: duration, before: COOL_DOWN };
    let load = Paced::open(&client, *pace, endpoint, counted)?;
    let received_before = endpoint.received.load();
    let progress = Arc::new(Progress::default());
    let load = {
        let progress = Arc::clone(&progress);
        thread::Builder::new().name(LOAD_THREAD.into()).spawn(move || load.run(&progress))?
    };
    thread::sleep(WARM_UP);
    let before = Moment::now(&progress, running.pid())?;
    thread::sleep(duration);
    let after = Moment::now(&progress, running.pid())?;
    let outcome = load.join().map_err(|_| anyhow!("the load's thread panicked"))??;
    let totals = [outcome.totals];
    verify(&totals, received_before, endpoint)?;
    let [totals] = totals;
    ensure!(totals.round_trips.len() == outcome.end_to_end.len(), "some records were counted on one side only");

    let percentiles = |times: &Histogram<u64>| [0.5, 0.99, 0.999].map(|share| micros(times, share));
    let [p50, p99, p999] = percentiles(&totals.round_trips);
    let [end_to_end_p50, end_to_end_p99, end_to_end_p999] = percentiles(&outcome.end_to_end);
    let measured = Measured::default()
        .with(Figure::RecordsPerSecond, (after.requests - before.requests) as f64 / after.seconds_since(&before))
        .with(Figure::P50Us, p50)
        .with(Figure::P99Us, p99)
        .with(Figure::P999Us, p999)
        .with(Figure::EndToEndP50Us, end_to_end_p50)
        .with(Figure::EndToEndP99Us, end_to_end_p99)
        .with(Figure::EndToEndP999Us, end_to_end_p999)
        .with(Figure::LateP99Us, micros(&outcome.late, 0.99));
    let mut measured = Busy::between(&before, &after).measured(measured);
    if is_late(&outcome.late, &totals.round_trips) {
        measured.bottleneck = Some(Bottleneck::Load);
    }
    Ok(measured)
}

/// Whether the load was late by itself in more than half of what the 99th percentile shows: then the latencies are its own.
pub(crate) fn is_late(late: &Histogram<u64>, latencies: &Histogram<u64>) -> bool {
    micros(late, 0.99) > micros(latencies, 0.99) / 2.0
}

pub(crate) fn micros(times: &Histogram<u64>, share: f64) -> f64 {
    times.value_at_quantile(share) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use super::*;
    use crate::load::Route;

    const SHORT: Duration = Duration::from_millis(200);
    const PACE: Pace = Pace { rate: 2_000, record_bytes: 1_000, produce_version: 12, fetch_version: 12 };

    fn direct(endpoint: &Endpoint) -> Running {
        Running { bootstrap: endpoint.nodes[0], route: Route::Advertised, prefix: "", proxy: None }
    }

    #[test]
    fn all_records_of_the_schedule_are_answered_and_arrive() {
        let endpoint = Endpoint::start(2).unwrap();
        for (produce_version, fetch_version) in [(12, 12), (13, 17)] {
            let pace = Pace { produce_version, fetch_version, ..PACE };
            let measured = paced(&pace, &direct(&endpoint), &endpoint, SHORT).unwrap();
            let figure = |figure| measured.figures[&figure];
            assert!(figure(Figure::P50Us) > 0.0 && figure(Figure::P50Us) <= figure(Figure::P999Us));
            assert!(figure(Figure::EndToEndP50Us) > 0.0);
        }
    }

    #[test]
    fn a_pause_is_charged_to_all_that_was_due_in_it() {
        const PAUSE: Duration = Duration::from_millis(100);
        let endpoint = Endpoint::start(1).unwrap();
        let address = relay(endpoint.nodes[0], Trouble::Pause(WARM_UP + Duration::from_millis(100), PAUSE));
        let running = Running { bootstrap: address, route: Route::Listeners(vec![address]), prefix: "", proxy: None };
        let measured = paced(&PACE, &running, &endpoint, Duration::from_millis(400)).unwrap();
        // A quarter of the records that count was due in the pause; a closed loop would have seen four slow ones.
        let p99 = measured.figures[&Figure::P99Us];
        assert!(p99 > 0.8 * PAUSE.as_micros() as f64, "{p99} us");
    }

    #[test]
    fn a_request_that_comes_twice_is_noticed() {
        let endpoint = Endpoint::start(1).unwrap();
        let address = relay(endpoint.nodes[0], Trouble::Twice);
        let running = Running { bootstrap: address, route: Route::Listeners(vec![address]), prefix: "", proxy: None };
        let error = paced(&PACE, &running, &endpoint, SHORT).unwrap_err().to_string();
        assert!(error.contains("correlation id"), "{error}");
    }

    #[test]
    fn a_load_that_sends_late_says_so() {
        let of = |nanoseconds, outliers| {
            let mut times = Histogram::<u64>::new(3).unwrap();
            times.record_n(1_000, 985).unwrap();
            times.record_n(nanoseconds, outliers).unwrap();
            times
        };
        assert!(!is_late(&of(200_000, 5), &of(300_000, 15)), "one in two hundred");
        assert!(is_late(&of(200_000, 15), &of(300_000, 15)));
        assert!(!is_late(&of(200_000, 15), &of(500_000, 15)), "the target was slower by far");
    }

    #[derive(Clone, Copy)]
    enum Trouble {
        /// Nothing goes to the node from this time of a connection on, for so long.
        Pause(Duration, Duration),
        /// The tenth large request of each connection is sent on twice.
        Twice,
    }

    fn relay(node: SocketAddr, trouble: Trouble) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, node) = (client.unwrap(), TcpStream::connect(node).unwrap());
                for stream in [&client, &node] {
                    stream.set_nodelay(true).unwrap();
                }
                let (mut answers_from, mut answers_to) = (node.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut answers_from, &mut answers_to));
                thread::spawn(move || requests(client, node, trouble));
            }
        });
        address
    }

    /// Frame by frame, until one side closes.
    fn requests(mut from: TcpStream, mut to: TcpStream, trouble: Trouble) -> std::io::Result<()> {
        let started = std::time::Instant::now();
        let (mut has_paused, mut large) = (false, 0);
        loop {
            let mut frame = vec![0; 4];
            from.read_exact(&mut frame)?;
            let size = u32::from_be_bytes(frame[..].try_into().expect("four bytes")) as usize;
            frame.resize(4 + size, 0);
            from.read_exact(&mut frame[4..])?;
            large += usize::from(size > PACE.record_bytes);
            match trouble {
                Trouble::Pause(after, pause) if !has_paused && started.elapsed() > after => {
                    has_paused = true;
                    thread::sleep(pause);
                }
                Trouble::Twice if large == 10 => {
                    large += 1;
                    to.write_all(&frame)?;
                }
                _ => {}
            }
            to.write_all(&frame)?;
        }
    }
}
