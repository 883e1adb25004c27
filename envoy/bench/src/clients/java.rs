//! A cross-check by Kafka's own perf tools: other clients, other clocks, their own arithmetic.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::accounts::Moment;
use super::records::RECORD_BYTES;
use super::{BULK, PARTITIONS};
use crate::figure::Figure;
use crate::kafka_cluster::KafkaCluster;
use crate::record::{Bottleneck, Measured};
use crate::target::Running;

/// What the tools call a MB.
const MIB: f64 = 1024.0 * 1024.0;

/// The last line of `ProducerPerformance`; latencies in milliseconds.
#[derive(Debug, PartialEq)]
struct Produced {
    records: u64,
    records_per_second: f64,
    mib_per_second: f64,
    mean_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

/// The table of `ConsumerPerformance`: one line of names, one of values. Time in the group's rebalance is left out.
#[derive(Debug, PartialEq)]
struct Consumed {
    records: u64,
    mib: f64,
    records_per_second: f64,
    mib_per_second: f64,
}

pub(super) fn produce(running: &Running, kafka: &KafkaCluster, records: u64) -> Result<Measured> {
    let topic = kafka.new_topic(PARTITIONS)?;
    let mut command = java(kafka, "org.apache.kafka.tools.ProducerPerformance", running.bootstrap);
    command.args(["--topic", topic.seen_through(running), "--throughput", "-1"]);
    command.args(["--num-records", &records.to_string(), "--record-size", &RECORD_BYTES.to_string()]);
    let (linger, batch) = (format!("linger.ms={}", BULK.linger_ms), format!("batch.size={}", BULK.batch_bytes));
    command.args([
        "--command-property",
        "acks=all",
        "enable.idempotence=true",
        "compression.type=none",
        &linger,
        &batch,
    ]);
    let (output, cpu) = measured(command, running, kafka, records)?;
    let produced = Produced::parse(&output)?;
    produced.verify(records)?;
    let logged = kafka.records_in(&topic)?;
    ensure!(logged == records, "{records} records were produced, the broker's log has {logged}");
    kafka.delete(&topic)?;
    Ok(figures(cpu, produced.records_per_second, produced.mib_per_second)
        .with(Figure::MeanUs, produced.mean_ms * 1e3)
        .with(Figure::P50Us, produced.p50_ms * 1e3)
        .with(Figure::P99Us, produced.p99_ms * 1e3)
        .with(Figure::P999Us, produced.p999_ms * 1e3))
}

pub(super) fn consume(running: &Running, kafka: &KafkaCluster, records: u64) -> Result<Measured> {
    let corpus = kafka.corpus(records)?;
    let mut command = java(kafka, "org.apache.kafka.tools.ConsumerPerformance", running.bootstrap);
    command.args(["--topic", corpus.topic.seen_through(running), "--num-records", &records.to_string()]);
    let (output, cpu) = measured(command, running, kafka, records)?;
    let consumed = Consumed::parse(&output)?;
    consumed.verify(records)?;
    Ok(figures(cpu, consumed.records_per_second, consumed.mib_per_second))
}

fn java(kafka: &KafkaCluster, class: &str, bootstrap: SocketAddr) -> Command {
    let mut command = Command::new("java");
    // Numbers are to have points, whatever the language of the machine; the client's log is to have what went wrong.
    command.args(["-Duser.language=en", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    // For a run of seconds; the optimising compiler would take its time from the broker, which shares its core.
    command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-cp").arg(kafka.jars().kafka_tools_libs.join("*")).arg(class);
    command.args(["--bootstrap-server", &bootstrap.to_string()]);
    command
}

/// Runs a tool to its end; gives what it printed and the proxy's CPU per gigabyte. The tool's own start is part of the time, so
/// shares of it would say little.
fn measured(
    mut command: Command,
    running: &Running,
    kafka: &KafkaCluster,
    records: u64,
) -> Result<(String, Option<f64>)> {
    let libs = &kafka.jars().kafka_tools_libs;
    ensure!(libs.exists(), "{} is missing: `make bench` installs it", libs.display());
    let before = Moment::now(running, kafka, 0)?;
    let output = command.output().context("java cannot be started")?;
    let after = Moment::now(running, kafka, records)?;
    let (printed, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("the tool ended with {}: {printed}{log}", output.status);
    }
    let all = after.figures_since(&before)?;
    let cpu = all.figures.get(&Figure::CpuSecondsPerGigabyte).copied();
    Ok((printed.into_owned(), cpu))
}

/// `cpu`: the proxy's seconds per gigabyte. Times the throughput, that is how busy it was while records flowed; of the tool
/// and the broker nobody knows.
fn figures(cpu: Option<f64>, records_per_second: f64, mib_per_second: f64) -> Measured {
    let megabytes_per_second = mib_per_second * MIB / 1e6;
    let proxy = cpu.unwrap_or_default() * megabytes_per_second / 1e3;
    let bottleneck = Some(Bottleneck::of(proxy, [0.0; 2], [0.0; 2]));
    Measured { bottleneck, ..Measured::default() }
        .with(Figure::RecordsPerSecond, records_per_second)
        .with(Figure::MegabytesPerSecond, megabytes_per_second)
        .with_some(Figure::CpuSecondsPerGigabyte, cpu)
        .with(Figure::ProxyBusy, proxy)
}

impl Produced {
    /// `N records sent, N records/sec (N MB/sec), N ms avg latency, N ms max latency, N ms 50th, N ms 95th, ...`
    fn parse(output: &str) -> Result<Self> {
        let last = output.lines().rfind(|line| line.contains(" ms 50th"));
        let line = last.with_context(|| format!("no summary of ProducerPerformance in: {output}"))?;
        let parts: Vec<_> = line.trim_end_matches('.').split([',', '(', ')']).map(str::trim).collect();
        let number = |unit: &str| -> Result<f64> {
            let number = parts.iter().find_map(|part| part.strip_suffix(unit)?.trim_end().parse::<f64>().ok());
            number.with_context(|| format!("no '{unit}' in: {line}"))
        };
        let records = parts.iter().find_map(|part| part.strip_suffix("records sent")?.trim_end().parse().ok());
        Ok(Self {
            records: records.with_context(|| format!("no 'records sent' in: {line}"))?,
            records_per_second: number("records/sec")?,
            mib_per_second: number("MB/sec")?,
            mean_ms: number("ms avg latency")?,
            p50_ms: number("ms 50th")?,
            p99_ms: number("ms 99th")?,
            p999_ms: number("ms 99.9th")?,
        })
    }

    fn verify(&self, records: u64) -> Result<()> {
        ensure!(self.records == records, "of {records} records ProducerPerformance says that it sent {}", self.records);
        Ok(())
    }
}

impl Consumed {
    fn parse(output: &str) -> Result<Self> {
        let mut lines = output.lines().skip_while(|line| !line.starts_with("start.time")).map(|line| line.split(", "));
        let (names, values) = lines.next().zip(lines.next()).context("ConsumerPerformance printed no table")?;
        let cells: Vec<_> = names.zip(values).collect();
        let cell = |name: &str| {
            let found = cells.iter().find(|(title, _)| title.trim() == name).map(|(_, value)| value.trim());
            found.with_context(|| format!("ConsumerPerformance printed no {name}: {output}"))
        };
        Ok(Self {
            records: cell("data.consumed.in.nMsg")?.parse()?,
            mib: cell("data.consumed.in.MB")?.parse()?,
            records_per_second: cell("fetch.nMsg.sec")?.parse()?,
            mib_per_second: cell("fetch.MB.sec")?.parse()?,
        })
    }

    fn verify(&self, records: u64) -> Result<()> {
        ensure!(self.records == records, "of {records} records ConsumerPerformance received {}", self.records);
        let mib = records as f64 * RECORD_BYTES as f64 / MIB;
        // It prints four digits behind the point.
        ensure!((self.mib - mib).abs() < 0.0001, "of {mib} MiB ConsumerPerformance received {}", self.mib);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 4.3.1 printed it.
    const PRODUCED: &str = "\
80527 records sent, 16099.0 records/sec (15.72 MB/sec), 440.0 ms avg latency, 1335.0 ms max latency.
200000 records sent, 25348.542459 records/sec (24.75 MB/sec), 663.75 ms avg latency, 1335.00 ms max latency, \
696 ms 50th, 1056 ms 95th, 1132 ms 99th, 1199 ms 99.9th.
";
    const CONSUMED: &str = "\
start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, \
fetch.MB.sec, fetch.nMsg.sec
2026-11-21 16:45:45:175, 2026-11-21 16:45:52:301, 390.6250, 54.8169, 400000, 56132.4726, 2033, 5093, 76.6984, 78539.1714
";

    #[test]
    fn summary_of_the_producer_is_understood() {
        let expected = Produced {
            records: 200_000,
            records_per_second: 25348.542459,
            mib_per_second: 24.75,
            mean_ms: 663.75,
            p50_ms: 696.0,
            p99_ms: 1132.0,
            p999_ms: 1199.0,
        };
        assert_eq!(Produced::parse(PRODUCED).unwrap(), expected);
    }

    #[test]
    fn a_producer_without_summary_is_an_error() {
        let cut = PRODUCED.lines().next().unwrap();
        assert!(Produced::parse(cut).is_err());
        assert!(Produced::parse("").is_err());
        assert!(Produced::parse(&PRODUCED.replace("MB/sec", "GB/sec")).is_err());
    }

    #[test]
    fn a_record_that_the_producer_did_not_send_is_noticed() {
        let produced = Produced::parse(PRODUCED).unwrap();
        produced.verify(200_000).unwrap();
        assert!(produced.verify(200_001).unwrap_err().to_string().contains("sent 200000"));
    }

    #[test]
    fn table_of_the_consumer_is_understood() {
        let expected =
            Consumed { records: 400_000, mib: 390.625, records_per_second: 78539.1714, mib_per_second: 76.6984 };
        assert_eq!(Consumed::parse(CONSUMED).unwrap(), expected);
    }

    #[test]
    fn a_consumer_without_table_is_an_error() {
        assert!(Consumed::parse(CONSUMED.lines().next().unwrap()).is_err());
        assert!(Consumed::parse(&CONSUMED.replace("fetch.nMsg.sec", "other")).is_err());
        assert!(Consumed::parse(&CONSUMED.replace("400000", "many")).is_err());
    }

    #[test]
    fn more_or_less_than_was_to_be_received_is_noticed() {
        Consumed::parse(CONSUMED).unwrap().verify(400_000).unwrap();
        assert!(Consumed::parse(CONSUMED).unwrap().verify(400_001).is_err());
        let short = Consumed::parse(&CONSUMED.replace("390.6250", "390.6240")).unwrap();
        assert!(short.verify(400_000).unwrap_err().to_string().contains("MiB"));
    }
}
