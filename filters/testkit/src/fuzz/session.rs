//! A session fed a list of operations.
//!
//! The broker is played faithfully: it answers what reached it, in order. As long as nobody sends anything wrong,
//! no fault may come up; whatever is sent, memory and output stay bounded.

use std::cell::RefCell;
use std::rc::Rc;

use bifrost_broker_address::{BrokerAddress, Nodes};
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, Direction, FilterConfig, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{APIS, ApiKey, api};
use bifrost_core::session::Session;

use crate::addresses::{self, Realistic};
use crate::choices::Choices;
use crate::driver::Driver;
use crate::filters::Observer;
use crate::generate::generate_with;
use crate::notes::{self, Note};

const IN_FLIGHT_MAX: u32 = 3;
const HELD_BYTES_MAX: usize = 1 << 20;
/// Bytes of the gateway's own Metadata request for no topics.
const OWN_METADATA_BYTES: usize = 25;

/// Runs the operations that `data` stands for.
pub fn session(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let mut play = Play::new(&mut choices);
    for _ in 0..200 {
        if choices.is_empty() {
            break;
        }
        if let Err(fault) = play.operation(&mut choices) {
            assert!(play.spoiled, "nobody did anything wrong: {fault}");
            assert!(!matches!(fault, Fault::Internal(_)), "{fault}");
            break;
        }
        play.check();
    }
}

struct Play {
    driver: Driver<Session>,
    /// Bytes of the client that have not been sent.
    client: Vec<u8>,
    /// Bytes of the broker that have not been sent.
    broker: Vec<u8>,
    /// How much of `driver.to_broker` the broker has read.
    read: usize,
    next_id: i32,
    /// Somebody sent something wrong.
    spoiled: bool,
    sent: usize,
}

impl Play {
    fn new(choices: &mut Choices<'_>) -> Self {
        let host =
            choices.of(&["gateway.corp.net", "g", "a-gateway-with-a-name-that-is-longer-than-any-real-one.corp.net"]);
        let addresses = || -> Box<dyn FilterConfig> {
            let nodes = Rc::new(RefCell::new(Nodes::default()));
            Box::new(BrokerAddress::new(Rc::new(addresses::config(host)), nodes))
        };
        let filters = match choices.below(4) {
            0 => vec![addresses()],
            1 => vec![],
            2 => vec![Box::new(Observer(Plan::Head)) as Box<dyn FilterConfig>, addresses()],
            _ => vec![Box::new(Observer(Plan::Whole)) as Box<dyn FilterConfig>, addresses()],
        };
        let limits = Limits {
            frame_bytes_max: 1 << 20,
            held_bytes_max: HELD_BYTES_MAX as u32,
            in_flight_max: IN_FLIGHT_MAX,
            ..Limits::default()
        };
        Play {
            driver: Driver::new(Session::new(Rc::new(Chain::new(filters, limits)))),
            client: Vec::new(),
            broker: Vec::new(),
            read: 0,
            next_id: 1,
            spoiled: false,
            sent: 0,
        }
    }

    fn operation(&mut self, choices: &mut Choices<'_>) -> Result<(), Fault> {
        match choices.below(16) {
            0..5 => self.request(choices),
            5..8 => {
                let count = self.client.len().min(piece(choices));
                let bytes: Vec<u8> = self.client.drain(..count).collect();
                self.sent += bytes.len();
                self.driver.client(&bytes)?;
            }
            8..10 => self.answer(choices),
            10..13 => {
                let count = self.broker.len().min(piece(choices));
                let bytes: Vec<u8> = self.broker.drain(..count).collect();
                self.sent += bytes.len();
                self.driver.broker(&bytes)?;
            }
            13 => {
                self.driver.driven.hold(choices.byte() & 1 == 1);
                self.driver.poll()?;
            }
            14 => {
                // No topics: only the brokers are asked for.
                self.driver.driven.send(ApiKey::METADATA, 1, &[0; 4])?;
                self.sent += OWN_METADATA_BYTES;
                self.driver.poll()?;
            }
            _ => self.spoil(choices),
        }
        Ok(())
    }

    fn request(&mut self, choices: &mut Choices<'_>) {
        let favourites = [ApiKey::FETCH, ApiKey::PRODUCE, ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::SHARE_FETCH];
        let api = match choices.below(10) {
            n @ 0..5 => api(favourites[n]).expect("known"),
            _ => &APIS[choices.below(APIS.len())],
        };
        let least = if api.key == ApiKey::SASL_HANDSHAKE { 1 } else { api.versions.min };
        let version = api.versions.max - choices.below((api.versions.max - least + 1) as usize) as i16;
        let frame =
            generate_with(api, version, Direction::Request, self.next_id, choices, &mut Realistic::new(true)).bytes;
        self.next_id += 1;
        self.client.extend(frame);
    }

    /// The broker answers the next request that has reached it.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        let unread = &self.driver.to_broker[self.read..];
        let Some(size) = unread.first_chunk::<4>() else { return };
        let length = 4 + i32::from_be_bytes(*size).clamp(0, 1 << 20) as usize;
        let Some(frame) = unread.get(..length) else { return };
        self.read += length;
        let &[_, _, _, _, k0, k1, v0, v1, c0, c1, c2, c3, ..] = frame else { return };
        let (key, version) = (ApiKey(i16::from_be_bytes([k0, k1])), i16::from_be_bytes([v0, v1]));
        let Some(api) = api(key).filter(|api| api.versions.contains(version)) else {
            assert!(self.spoiled, "{key} v{version} must not reach the broker");
            return;
        };
        if key == ApiKey::PRODUCE {
            let Ok(notes) = notes::notes(api, version, Direction::Request, frame) else {
                assert!(self.spoiled, "the broker got a faulty frame");
                return;
            };
            let no_acks = |note: &Note| matches!(note, Note::Value("Acks", _, Some(acks)) if *acks == [0, 0]);
            if notes.iter().any(no_acks) {
                return;
            }
        }
        let id = i32::from_be_bytes([c0, c1, c2, c3]);
        let answer = generate_with(api, version, Direction::Response, id, choices, &mut Realistic::new(true));
        self.broker.extend(answer.bytes);
    }

    /// Something that must not be: changed bytes, bytes out of nowhere.
    fn spoil(&mut self, choices: &mut Choices<'_>) {
        self.spoiled = true;
        let lane = if choices.byte() & 1 == 0 { &mut self.client } else { &mut self.broker };
        if lane.is_empty() || choices.one_in(4) {
            lane.extend(choices.rest(12));
        } else {
            let at = choices.below(lane.len());
            lane[at] = choices.byte();
        }
    }

    fn check(&self) {
        let out = self.driver.to_broker.len() + self.driver.to_client.len();
        // Addresses grow by less than 100 bytes each, and an address takes at least 9 bytes.
        assert!(out <= 1_000 + 12 * self.sent, "{out} bytes out of {}", self.sent);
        assert!(self.driver.held_bytes_max <= self.sent && self.driver.held_bytes_max <= 4 * HELD_BYTES_MAX);
    }
}

fn piece(choices: &mut Choices<'_>) -> usize {
    match choices.byte() {
        0 => usize::MAX,
        n => usize::from(n) * usize::from(n) / 8 + 1,
    }
}
