//! Real client libraries as child programs with one command line: `VERB name=value...`, JSON on standard output.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::process;
use crate::run_dir::RunDir;
use crate::tools::Tools;

/// No verb takes longer than this.
const PATIENCE: Duration = Duration::from_secs(150);

/// Independent implementations of Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Java,
    Librdkafka,
    FranzGo,
    KafkaPython,
}

impl Family {
    pub const ALL: [Family; 4] = [Family::Java, Family::Librdkafka, Family::FranzGo, Family::KafkaPython];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Java => "java",
            Family::Librdkafka => "librdkafka",
            Family::FranzGo => "franz-go",
            Family::KafkaPython => "kafka-python",
        })
    }
}

/// Starts client programs against one bootstrap address.
#[derive(Clone, Debug)]
pub struct Clients {
    tools: Tools,
    bootstrap: String,
    logs: PathBuf,
}

/// What a client sent and saw acknowledged, or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    /// Sum over the records of CRC-32 of key and value: the same in every order.
    pub checksum: String,
    /// Records per partition.
    pub partitions: Value,
}

impl Clients {
    pub fn new(tools: &Tools, run: &RunDir, bootstrap: impl Into<String>) -> Result<Clients> {
        Ok(Clients { tools: tools.clone(), bootstrap: bootstrap.into(), logs: run.folder("clients")? })
    }

    /// The same against another address.
    pub fn at(&self, bootstrap: impl Into<String>) -> Clients {
        Clients { bootstrap: bootstrap.into(), ..self.clone() }
    }

    /// Runs one verb to its end and gives the last object that it printed.
    pub fn run(&self, family: Family, verb: &str, arguments: &[(&str, &str)]) -> Result<Value> {
        let mut running = self.start(family, verb, arguments)?;
        running.finish(PATIENCE)
    }

    /// Runs a verb that reports what it sent or received.
    pub fn tally(&self, family: Family, verb: &str, arguments: &[(&str, &str)]) -> Result<Tally> {
        let report = self.run(family, verb, arguments)?;
        Tally::from_report(&report).with_context(|| format!("{family} {verb} printed {report}"))
    }

    /// Starts a verb and leaves it running.
    pub fn start(&self, family: Family, verb: &str, arguments: &[(&str, &str)]) -> Result<Running> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut command = self.program(family);
        command.arg(verb).arg(format!("bootstrap={}", self.bootstrap));
        command.args(arguments.iter().map(|(name, value)| format!("{name}={value}")));
        let log = self.logs.join(format!("{:03}-{family}-{verb}.log", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut command = process::dying_with_us(&command, Signal::SIGKILL);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut child = process::spawn(command).with_context(|| format!("{family} cannot be started"))?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Running { what: format!("{family} {verb}"), child, lines, log })
    }

    fn program(&self, family: Family) -> Command {
        match family {
            Family::Java => {
                let mut class_path = self.tools.java_client.clone().into_os_string();
                class_path.push(":");
                class_path.push(self.tools.kafka_libs.join("*"));
                let mut java = Command::new("java");
                java.env("LD_PRELOAD", &self.tools.resolver);
                java.args(["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
                java.arg("-cp").arg(class_path).arg("Client");
                java
            }
            Family::Librdkafka => {
                let mut librdkafka = Command::new(&self.tools.rdkafka_client);
                // What went wrong is to be the end of its log.
                librdkafka.env("RUST_BACKTRACE", "0").env("LD_PRELOAD", &self.tools.resolver);
                librdkafka
            }
            Family::FranzGo => Command::new(&self.tools.go_client),
            Family::KafkaPython => {
                let mut python = Command::new(&self.tools.python);
                python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python/client.py"));
                python
            }
        }
    }
}

/// A client program at work. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    what: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Running {
    /// The next object that it prints.
    pub fn next(&mut self, patience: Duration) -> Result<Value> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => serde_json::from_str(&line).with_context(|| format!("{} printed {line}", self.what)),
            Err(RecvTimeoutError::Timeout) => bail!("{} printed nothing for {patience:?}{}", self.what, self.errors()),
            Err(RecvTimeoutError::Disconnected) => bail!("{} has ended{}", self.what, self.errors()),
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends its standard input, which asks a `member` to leave its group.
    pub fn close_input(&mut self) {
        self.child.stdin.take();
    }

    /// Waits for its end; gives the last object that it printed.
    pub fn finish(&mut self, patience: Duration) -> Result<Value> {
        let status = process::wait(&mut self.child, patience)?
            .with_context(|| format!("{} did not end within {patience:?}{}", self.what, self.errors()))?;
        ensure!(status.success(), "{} failed ({status}){}", self.what, self.errors());
        let last = self.lines.iter().last().with_context(|| format!("{} printed nothing", self.what))?;
        serde_json::from_str(&last).with_context(|| format!("{} printed {last}", self.what))
    }

    fn errors(&self) -> String {
        format!("; its log {} ends with\n{}", self.log.display(), process::tail(&self.log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

impl Tally {
    fn from_report(report: &Value) -> Option<Tally> {
        Some(Tally {
            count: report["count"].as_u64()?,
            checksum: report["checksum"].as_str()?.to_owned(),
            partitions: report["partitions"].clone(),
        })
    }
}
