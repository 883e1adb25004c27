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
use crate::filters::{AsksFirst, Observer};
use crate::generate::generate_with;

use super::operations::{Operation, first_frame, is_answered, request_head};

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
        let filters = match choices.below(5) {
            0 => vec![addresses()],
            1 => vec![],
            4 => vec![Box::new(AsksFirst(2)) as Box<dyn FilterConfig>, addresses()],
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
        match Operation::of(choices) {
            Operation::Request => self.request(choices),
            Operation::ClientSends(count) => {
                let bytes: Vec<u8> = self.client.drain(..self.client.len().min(count)).collect();
                self.sent += bytes.len();
                self.driver.client(&bytes)?;
            }
            Operation::Answer => self.answer(choices),
            Operation::BrokerSends(count) => {
                let bytes: Vec<u8> = self.broker.drain(..self.broker.len().min(count)).collect();
                self.sent += bytes.len();
                self.driver.broker(&bytes)?;
            }
            Operation::Hold(held) => {
                self.driver.driven.hold(held);
                self.driver.poll()?;
            }
            Operation::Own => {
                // No topics: only the brokers are asked for.
                self.driver.driven.send(ApiKey::METADATA, 1, &[0; 4])?;
                self.sent += OWN_METADATA_BYTES;
                self.driver.poll()?;
            }
            Operation::Spoil => self.spoil(choices),
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
        let Some(frame) = first_frame(&self.driver.to_broker[self.read..]) else { return };
        self.read += frame.len();
        let Some((key, version, id)) = request_head(frame) else { return };
        let Some(api) = api(key).filter(|api| api.versions.contains(version)) else {
            assert!(self.spoiled, "{key} v{version} must not reach the broker");
            return;
        };
        match is_answered(key, version, frame) {
            Some(true) => {}
            Some(false) => return,
            None => {
                assert!(self.spoiled, "the broker got a faulty frame");
                return;
            }
        }
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
