//! What clients and brokers see of quotas.
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

mod creation;
mod every_answer;
mod host_calls;
mod pauses;
mod principals;
mod topics;

use std::rc::Rc;

use bifrost_core::filter::{Chain, Direction, FilterConfig};
use bifrost_core::limits::Limits as Bounds;
use bifrost_core::principal::Principal;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::Session;
use bifrost_quota::{Config, InForce, Limits, Quota, TopicNames};
use bifrost_tenancy::Tenancy;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::{frames, json};
use serde_json::{Value, json};

/// The tenant's prefix in tests that have one.
const PREFIX: &str = "acme.";

/// A virtual cluster in one worker, and the quotas in force there.
struct Cluster {
    chain: Rc<Chain>,
    in_force: Rc<InForce>,
}

impl Cluster {
    fn new(config: Config) -> Self {
        Self::within(config, Bounds::default(), false)
    }

    /// With names of its own.
    fn of_tenant(config: Config) -> Self {
        Self::within(config, Bounds::default(), true)
    }

    fn within(config: Config, bounds: Bounds, is_tenant: bool) -> Self {
        let in_force = Rc::new(InForce::default());
        in_force.set(&config);
        let prefix = if is_tenant { PREFIX } else { "" };
        let names = TopicNames { prefix: prefix.to_owned(), shared: vec![("public".to_owned(), "shown".to_owned())] };
        let quota = Quota::new(config, Rc::clone(&in_force), names, !is_tenant);
        let mut filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(quota)];
        if is_tenant {
            let config = bifrost_tenancy::Config { topic_prefix: PREFIX.to_owned(), ..Default::default() };
            filters.push(Box::new(Tenancy::new(config)));
        }
        Cluster { chain: Rc::new(Chain::new(filters, bounds)), in_force }
    }

    fn connect(&self) -> Talk {
        self.connect_as("client", Principal::default())
    }

    fn connect_as(&self, client_id: &'static str, principal: Principal) -> Talk {
        let mut driver = Driver::new(Session::new(Rc::clone(&self.chain)));
        driver.driven.handle_connection(&mut driver.host).unwrap();
        driver.driven.identify(principal);
        Talk { driver, client_id }
    }
}

fn limits(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

fn produce_limit(bytes: u64) -> Config {
    limits(Limits { produce_bytes_per_second: Some(bytes), ..Limits::default() })
}

fn fetch_limit(bytes: u64) -> Config {
    limits(Limits { fetch_bytes_per_second: Some(bytes), ..Limits::default() })
}

/// A client and a broker that talk through the gateway.
struct Talk {
    driver: Driver<Session>,
    client_id: &'static str,
}

impl Talk {
    /// The client sends this; gives how many frames have reached the broker since.
    fn send(&mut self, frame: &[u8]) -> usize {
        self.driver.to_broker.clear();
        self.driver.client(frame).unwrap();
        frames::split(&self.driver.to_broker).len()
    }

    /// Time passes, and what is paused goes on if it may; gives how many frames have reached the broker.
    fn at(&mut self, now_ms: u64) -> usize {
        self.driver.host.now_ms = now_ms;
        self.send(&[])
    }

    /// The broker answers; gives what the client gets.
    fn answer(&mut self, key: ApiKey, version: i16, id: i32, body: Value) -> Value {
        self.driver.to_client.clear();
        self.driver.broker(&json::response(key, version, id, &body)).unwrap();
        let frames = frames::split(&self.driver.to_client);
        assert_eq!(frames.len(), 1);
        json::read(key, version, Direction::Response, &frames[0][4..]).unwrap().body
    }

    fn until(&self) -> Option<u64> {
        self.driver.driven.paused_until_ms()
    }

    fn request(&self, key: ApiKey, version: i16, id: i32, body: &Value) -> Vec<u8> {
        json::request(key, version, id, self.client_id, body)
    }

    fn produce(&self, id: i32, topic: &str, record_bytes: usize) -> Vec<u8> {
        let records = json::hex(&vec![7; record_bytes]);
        let partition = json!({"Index": 0, "Records": records});
        let body = json!({"Acks": -1, "TopicData": [{"Name": topic, "PartitionData": [partition]}]});
        self.request(ApiKey::PRODUCE, 9, id, &body)
    }

    fn heartbeat(&self, id: i32) -> Vec<u8> {
        self.request(ApiKey::HEARTBEAT, 4, id, &json!({}))
    }
}
