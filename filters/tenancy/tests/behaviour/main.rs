//! What a tenant sees of a cluster, and what a cluster sees of a tenant.
//!
//! Everything goes through a session with the chain that `filters/chain` builds: tenancy, then broker addresses.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails, and that is all"
)]

mod acls;
mod completeness;
mod configs;
mod coordinators;
mod creation;
mod empty_ids;
mod every_answer;
mod every_request;
mod fetch_sessions;
mod group_types;
mod groups;
mod host_calls;
mod identity;
mod limits;
mod lists;
mod model;
mod own_questions;
mod prefixes;
mod shared_topics;
mod streaming;
mod texts;
mod topic_ids;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bifrost_broker_address::{BrokerAddress, Nodes};
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, Direction, FilterConfig};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::{OWN_CORRELATION_ID, Session};
use bifrost_tenancy::{Config, Tenancy};
use bifrost_testkit::driver::Driver;
use bifrost_testkit::{addresses, frames, json};
use serde_json::{Value, json};

/// The tenant of most tests.
const PREFIX: &str = "acme.";

/// What names of another tenant begin with.
const OTHER: &str = "globex.";

fn acme() -> Config {
    prefixed(PREFIX)
}

fn prefixed(prefix: &str) -> Config {
    Config {
        topic_prefix: prefix.to_owned(),
        group_prefix: prefix.to_owned(),
        transaction_id_prefix: prefix.to_owned(),
        ..Config::default()
    }
}

/// One virtual cluster in one worker.
fn cluster(config: Config) -> Rc<Chain> {
    cluster_within(config, Limits::default())
}

fn cluster_within(config: Config, limits: Limits) -> Rc<Chain> {
    let nodes = Rc::new(RefCell::new(Nodes::default()));
    let filters: Vec<Box<dyn FilterConfig>> = vec![
        Box::new(Tenancy::new(config)),
        Box::new(BrokerAddress::new(Rc::new(addresses::config("gateway")), nodes)),
    ];
    Rc::new(Chain::new(filters, limits))
}

fn gateway(config: Config) -> Driver<Session> {
    Driver::new(Session::new(cluster(config)))
}

/// Both are the same, or where they first differ.
fn same<T: core::fmt::Debug + PartialEq>(name: &str, met: &[T], expected: &[T]) {
    let at = (0..met.len().max(expected.len())).find(|at| met.get(*at) != expected.get(*at));
    if let Some(at) = at {
        let show = |list: &[T]| format!("{:?}", list.get(at)).chars().take(160).collect::<String>();
        panic!(
            "{name}: at {at} of {} and {}: met {}, expected {}",
            met.len(),
            expected.len(),
            show(met),
            show(expected)
        );
    }
}

/// Both are the same, or the first member that differs.
fn same_body(name: &str, met: &Value, expected: &Value) {
    match (met, expected) {
        (Value::Object(met), Value::Object(expected)) => {
            // The order of members depends on serde_json's features, which are those of the whole build.
            let [met_names, expected_names] = [met, expected].map(|members| members.keys().collect::<BTreeSet<_>>());
            assert_eq!(met_names, expected_names, "{name}");
            met.iter().for_each(|(key, value)| same_body(&format!("{name}.{key}"), value, &expected[key]));
        }
        (Value::Array(met), Value::Array(expected)) => {
            assert_eq!(met.len(), expected.len(), "{name}");
            let pairs = met.iter().zip(expected).enumerate();
            pairs.for_each(|(at, (met, expected))| same_body(&format!("{name}[{at}]"), met, expected));
        }
        _ => same(name, &[met], &[expected]),
    }
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// `kafka-protocol` reads the frame, unless it knows the version of the other direction only.
fn agreed(name: &str, read: Result<frames::Body, String>) {
    if let Err(error) = read {
        assert!(error.contains("specified version not supported by this message type"), "{name}: {error}");
    }
}

/// Bytes as [`json`] writes them.
fn id(number: u128) -> String {
    json::hex(&number.to_be_bytes())
}

/// A client and a broker that talk through the gateway, one request at a time.
struct Talk {
    driver: Driver<Session>,
    client_id: &'static str,
    correlation_id: i32,
}

impl Talk {
    fn new(config: Config) -> Self {
        Self::on(&cluster(config))
    }

    fn on(cluster: &Rc<Chain>) -> Self {
        Talk { driver: Driver::new(Session::new(Rc::clone(cluster))), client_id: "client", correlation_id: 0 }
    }

    /// What the broker gets when the client sends this.
    fn sent(&mut self, key: ApiKey, version: i16, body: Value) -> Value {
        self.send(key, version, body).unwrap();
        self.got(key, version)
    }

    fn send(&mut self, key: ApiKey, version: i16, body: Value) -> Result<(), Fault> {
        self.correlation_id += 1;
        self.driver.to_broker.clear();
        let frame = json::request(key, version, self.correlation_id, self.client_id, &body);
        self.driver.client(&frame).map(drop)
    }

    /// The one request that the broker has got.
    fn got(&self, key: ApiKey, version: i16) -> Value {
        self.got_message(key, version).body
    }

    fn got_message(&self, key: ApiKey, version: i16) -> json::Message {
        let frames = frames::split(&self.driver.to_broker);
        assert_eq!(frames.len(), 1, "one request reaches the broker");
        let head = [&key.0.to_be_bytes()[..], &version.to_be_bytes()].concat();
        assert_eq!(frames[0][4..8], head, "of {key} v{version}");
        json::read(key, version, Direction::Request, &frames[0][4..]).unwrap()
    }

    /// What the client gets when the broker answers this.
    fn heard(&mut self, key: ApiKey, version: i16, body: Value) -> Value {
        self.answer(key, version, body).unwrap();
        self.got_back(key, version)
    }

    fn answer(&mut self, key: ApiKey, version: i16, body: Value) -> Result<(), Fault> {
        self.driver.to_client.clear();
        let frame = json::response(key, version, self.correlation_id, &body);
        self.driver.broker(&frame)
    }

    fn got_back(&self, key: ApiKey, version: i16) -> Value {
        let frames = frames::split(&self.driver.to_client);
        assert_eq!(frames.len(), 1, "one answer reaches the client");
        let message = json::read(key, version, Direction::Response, &frames[0][4..]).unwrap();
        assert_eq!(message.correlation_id, self.correlation_id);
        message.body
    }

    /// What the client gets for a request that does not reach the broker.
    fn refused(&mut self, key: ApiKey, version: i16, body: Value) -> Value {
        self.send(key, version, body).unwrap();
        // A harmless request in its place.
        self.got(ApiKey::API_VERSIONS, 0);
        self.answer(ApiKey::API_VERSIONS, 0, json!({})).unwrap();
        self.got_back(key, version)
    }

    /// The broker states that it knows Metadata up to this version.
    fn broker_knows_metadata(&mut self, max_version: i16) {
        self.sent(ApiKey::API_VERSIONS, 3, json!({}));
        let keys = json!([{"ApiKey": 3, "MinVersion": 0, "MaxVersion": max_version}]);
        self.heard(ApiKey::API_VERSIONS, 3, json!({"ApiKeys": keys}));
    }

    /// The tenant's own topic with this id becomes known.
    fn learn(&mut self, name: &str, id: &str) {
        self.sent(ApiKey::METADATA, 12, json!({"Topics": null}));
        self.heard(ApiKey::METADATA, 12, json!({"Topics": [{"Name": name, "TopicId": id}]}));
    }

    /// Ids of the question that the gateway asks the broker.
    fn asked(&self) -> Vec<String> {
        let body = self.got(ApiKey::METADATA, 12);
        body["Topics"].as_array().unwrap().iter().map(|t| t["TopicId"].as_str().unwrap().to_owned()).collect()
    }

    /// The broker answers the gateway's question: these ids are topics with these names, others are not there.
    fn tell(&mut self, topics: &[(&str, &str)]) {
        let asked = self.asked();
        let topic = |id: &String| match topics.iter().find(|(known, _)| known == id) {
            Some((_, name)) => json!({"TopicId": id, "Name": name}),
            None => json!({"TopicId": id, "Name": null, "ErrorCode": 100}),
        };
        let body = json!({"Topics": asked.iter().map(topic).collect::<Vec<_>>()});
        self.driver.to_broker.clear();
        self.driver.to_client.clear();
        self.driver.broker(&json::response(ApiKey::METADATA, 12, OWN_CORRELATION_ID, &body)).unwrap();
        assert!(self.driver.to_client.is_empty(), "the client hears nothing of it");
    }
}
