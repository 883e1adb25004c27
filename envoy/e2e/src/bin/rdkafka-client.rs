//! The librdkafka client of the end-to-end tests: `rdkafka-client VERB name=value...`. Prints one JSON object;
//! a failure is one line on standard error and exit status 1. `config.NAME=VALUE` goes to librdkafka as it is.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().context("a verb is missing")?;
    let arguments = Arguments(words.filter_map(|word| word.split_once('=').map(own)).collect());
    let report = match verb.as_str() {
        "create-topic" => create_topic(&arguments)?,
        "produce" => produce(&arguments)?,
        "transact" => transact(&arguments)?,
        "consume" => consume(&arguments)?,
        "member" => member(&arguments)?,
        unknown => bail!("unknown verb {unknown}"),
    };
    println!("{report}");
    Ok(())
}

fn create_topic(arguments: &Arguments) -> Result<Value> {
    let admin: AdminClient<DefaultClientContext> = arguments.config().create()?;
    let partitions = arguments.number("partitions")?;
    let replication = TopicReplication::Fixed(arguments.optional("replication", -1)?);
    let topic = NewTopic::new(arguments.text("topic")?, partitions, replication);
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let created = block_on(admin.create_topics([&topic], &options))?;
    for result in created {
        result.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }
    Ok(json!({ "partitions": partitions }))
}

/// The tally holds what was acknowledged.
fn produce(arguments: &Arguments) -> Result<Value> {
    let mut config = arguments.config();
    let acks = arguments.text("acks").unwrap_or("all");
    config.set("acks", acks).set("enable.idempotence", if acks == "all" { "true" } else { "false" });
    let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
    let first = arguments.optional("first", 0)?;
    send(&producer, arguments, first, first + arguments.number("count")?)
}

/// Aborts one transaction, then commits another.
fn transact(arguments: &Arguments) -> Result<Value> {
    let mut config = arguments.config();
    config.set("transactional.id", arguments.text("transactional_id")?);
    let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
    let count = arguments.number("count")?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    send(&producer, arguments, count, 2 * count)?;
    producer.abort_transaction(PATIENCE)?;
    producer.begin_transaction()?;
    let committed = send(&producer, arguments, 0, count)?;
    producer.commit_transaction(PATIENCE)?;
    Ok(committed)
}

fn send(producer: &ThreadedProducer<Deliveries>, arguments: &Arguments, from: i32, to: i32) -> Result<Value> {
    let topic = arguments.text("topic")?;
    let size = usize::try_from(arguments.number("size")?)?;
    let pause = Duration::from_millis(u64::try_from(arguments.optional("pause_ms", 0)?)?);
    *producer.context().0.lock().expect("no panic under it") = Delivered::default();
    for index in from..to {
        std::thread::sleep(pause);
        let (key, value) = (format!("key-{index}"), value(index, size));
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    std::thread::sleep(Duration::from_millis(5));
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    producer.flush(PATIENCE)?;
    let delivered = producer.context().0.lock().expect("no panic under it");
    match &delivered.failure {
        Some(failure) => bail!("{failure}"),
        None => Ok(delivered.tally.report()),
    }
}

/// Ends with `count` records or after `timeout_ms`.
fn consume(arguments: &Arguments) -> Result<Value> {
    let consumer: BaseConsumer = arguments.group()?.create()?;
    consumer.subscribe(&[arguments.text("topic")?])?;
    let count = u64::try_from(arguments.number("count")?)?;
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(arguments.number("timeout_ms")?)?);
    let mut tally = Tally::default();
    while tally.count < count && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => tally.add(&message),
            // librdkafka tells of lost connections here, and heals by itself.
            Some(Err(error)) => eprintln!("{error}"),
            None => {}
        }
    }
    if tally.count > 0 {
        consumer.commit_consumer_state(CommitMode::Sync)?;
    }
    Ok(tally.report())
}

/// Prints each assignment, until standard input ends.
fn member(arguments: &Arguments) -> Result<Value> {
    let consumer: BaseConsumer<Assignments> = arguments.group()?.create_with_context(Assignments)?;
    consumer.subscribe(&[arguments.text("topic")?])?;
    let end = Arc::new(AtomicBool::new(false));
    let input_ended = Arc::clone(&end);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        input_ended.store(true, Ordering::Relaxed);
    });
    while !end.load(Ordering::Relaxed) {
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(100)) {
            eprintln!("{error}");
        }
    }
    drop(consumer);
    Ok(json!({ "left": true }))
}

/// What was sent or received, in a form that every client computes alike and that no order changes.
#[derive(Default)]
struct Tally {
    count: u64,
    checksum: u64,
    partitions: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, message: &impl Message) {
        let crc = |bytes: Option<&[u8]>| u64::from(crc32fast::hash(bytes.unwrap_or_default()));
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(crc(message.key()) << 32 | crc(message.payload()));
        *self.partitions.entry(message.partition().to_string()).or_default() += 1;
    }

    fn report(&self) -> Value {
        json!({ "count": self.count, "checksum": self.checksum.to_string(), "partitions": self.partitions })
    }
}

/// Ten digits, then `x` up to `size`.
fn value(index: i32, size: usize) -> String {
    format!("{index:010}{}", "x".repeat(size.saturating_sub(10)))
}

#[derive(Default)]
struct Deliveries(Mutex<Delivered>);

#[derive(Default)]
struct Delivered {
    tally: Tally,
    failure: Option<KafkaError>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut delivered = self.0.lock().expect("no panic under it");
        match result {
            Ok(message) => delivered.tally.add(message),
            Err((error, _)) => delivered.failure = Some(error.clone()),
        }
    }
}

struct Assignments;

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Rebalance::Assign(_), Ok(assignment)) = (rebalance, consumer.assignment()) {
            let mut partitions: Vec<i32> = assignment.elements().iter().map(|element| element.partition()).collect();
            partitions.sort_unstable();
            println!("{}", json!({ "assigned": partitions }));
        }
    }
}

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("{name} is missing"))
    }

    fn number(&self, name: &str) -> Result<i32> {
        self.text(name)?.parse().with_context(|| format!("{name} is not a number"))
    }

    fn optional(&self, name: &str, otherwise: i32) -> Result<i32> {
        if self.0.contains_key(name) { self.number(name) } else { Ok(otherwise) }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.text("bootstrap").unwrap_or_default()).set("client.id", "librdkafka");
        for (name, value) in &self.0 {
            if let Some(name) = name.strip_prefix("config.") {
                config.set(name, value);
            }
        }
        config
    }

    fn group(&self) -> Result<ClientConfig> {
        let mut config = self.config();
        config
            .set("group.id", self.text("group")?)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false");
        Ok(config)
    }
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Polls a future that librdkafka's own threads complete.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
            return value;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
