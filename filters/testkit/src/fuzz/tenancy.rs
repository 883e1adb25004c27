//! The session of a tenant, fed a list of operations.
//!
//! The broker holds topics of the tenant and of others and answers what has reached it, in order, with anything. Whatever the
//! client sends, the broker gets no name or id that is not the tenant's, and whatever the broker answers, the client reads
//! nothing of others. Half of the runs feed a second session the same frames whole that the first one gets in pieces, and both
//! have to do the same; in the other half the pieces of both directions come in any order.

mod content;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bifrost_broker_address::{BrokerAddress, Nodes};
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Chain, Direction, FilterConfig};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity, Field, Kind, api};
use bifrost_core::reader::Input;
use bifrost_core::session::{OWN_CORRELATION_ID, Session};
use bifrost_core::walker::Event;
use bifrost_tenancy::Tenancy;

use self::content::{Answers, CLIENT_PREFIX, FOREIGN, HIDDEN, PREFIX, READ_ONLY, READ_WRITE, Requests};
use super::operations::{Operation, first_frame, is_answered, request_head};
use crate::addresses::{self, REAL, Realistic};
use crate::choices::Choices;
use crate::driver::{Driver, pieces};
use crate::generate::generate_with;
use crate::notes::{self, Note};

/// So few that requests wait. Where sides are compared they must not, because one goes on when the answer to another begins, and
/// not when all of that answer has been learned from.
const IN_FLIGHT_MAX: usize = 3;
const IN_FLIGHT_COMPARED: usize = 1_000;
const HELD_BYTES_MAX: usize = 1 << 20;
/// So little that some frames are refused.
const HELD_BYTES_TIGHT: usize = 600;
/// Longest answer of the gateway's own for a request of one byte, and for each byte more.
const OWN_ANSWER_BYTES: usize = 256;
/// Bytes of the gateway's own Metadata request for no topics.
const OWN_METADATA_BYTES: usize = 25;

/// Runs the operations that `data` stands for.
pub fn tenancy(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let mut play = Play::new(&mut choices);
    for _ in 0..200 {
        if choices.is_empty() {
            break;
        }
        let done = play.operation(&mut choices);
        play.check();
        if let Err(fault) = done {
            return play.judge(&fault);
        }
        play.compare();
    }
    play.settle();
}

/// One session and what both sides of it have seen.
struct Side {
    driver: Driver<Session>,
    /// How much of `driver.to_broker` the broker has read.
    read: usize,
    /// How much of `driver.to_broker` has been checked, and of `driver.to_client`.
    checked: (usize, usize),
    /// The same of what has been compared.
    compared: (usize, usize),
}

/// One frame as each side gets it.
type Frame = Vec<Vec<u8>>;

struct Play {
    full: bool,
    /// The least of heldBytesMax.
    held_bytes_max: usize,
    in_flight_max: usize,
    /// Requests are held, because this was said and not because a filter wants it.
    held: bool,
    chain: Rc<Chain>,
    sides: Vec<Side>,
    /// Frames of the client that have not been sent, and of the broker.
    client: VecDeque<Frame>,
    broker: VecDeque<Frame>,
    next_id: i32,
    /// What the client has asked for, by correlation id.
    asked: HashMap<i32, (&'static Api, i16)>,
    /// What it waits for.
    waits: VecDeque<i32>,
    /// Somebody sent something wrong.
    client_spoiled: bool,
    broker_spoiled: bool,
    /// A version was asked for that is not offered.
    unsupported: bool,
    /// The broker told of others where that cannot be.
    misplaced: bool,
    sent: usize,
    /// Bytes of the client that have arrived, and those of requests that have reached the broker.
    client_sent: usize,
    client_done: usize,
    /// Bytes of each request.
    request_bytes: VecDeque<usize>,
    /// The most that has arrived at once.
    piece_max: usize,
}

impl Side {
    fn new(chain: &Rc<Chain>) -> Self {
        Side { driver: Driver::new(Session::new(Rc::clone(chain))), read: 0, checked: (0, 0), compared: (0, 0) }
    }
}

fn chain(full: bool, held_bytes_max: usize, in_flight_max: usize) -> Rc<Chain> {
    let nodes = Rc::new(RefCell::new(Nodes::default()));
    let filters: Vec<Box<dyn FilterConfig>> = vec![
        Box::new(Tenancy::new(content::config(full))),
        Box::new(BrokerAddress::new(Rc::new(addresses::config("gateway")), nodes)),
    ];
    let limits = Limits {
        frame_bytes_max: 1 << 20,
        held_bytes_max: held_bytes_max as u32,
        in_flight_max: in_flight_max as u32,
        ..Limits::default()
    };
    Rc::new(Chain::new(filters, limits))
}

impl Play {
    fn new(choices: &mut Choices<'_>) -> Self {
        let kind = choices.byte();
        let full = kind & 1 == 1;
        let compared = kind & 2 == 0;
        let held_bytes_max = if kind & 12 == 12 && !compared { HELD_BYTES_TIGHT } else { HELD_BYTES_MAX };
        let in_flight_max = if compared { IN_FLIGHT_COMPARED } else { IN_FLIGHT_MAX };
        let chain = chain(full, held_bytes_max, in_flight_max);
        let mut sides = vec![Side::new(&chain)];
        if compared {
            // What one has learned the other must learn by itself.
            sides.push(Side::new(&self::chain(full, held_bytes_max, in_flight_max)));
        }
        Play {
            full,
            held_bytes_max,
            in_flight_max,
            chain,
            sides,
            held: false,
            client: VecDeque::new(),
            broker: VecDeque::new(),
            next_id: 1,
            asked: HashMap::new(),
            waits: VecDeque::new(),
            client_spoiled: false,
            broker_spoiled: false,
            unsupported: false,
            misplaced: false,
            sent: 0,
            client_sent: 0,
            client_done: 0,
            request_bytes: VecDeque::new(),
            piece_max: 0,
        }
    }

    fn compared(&self) -> bool {
        self.sides.len() > 1
    }

    fn operation(&mut self, choices: &mut Choices<'_>) -> Result<(), Fault> {
        match Operation::of(choices) {
            Operation::Request => self.request(choices),
            Operation::ClientSends(count) => return self.send(Direction::Request, count, choices),
            Operation::Answer => drop(self.answer(choices)),
            Operation::BrokerSends(count) => return self.send(Direction::Response, count, choices),
            // What a filter holds, only it lets go.
            Operation::Hold(held) if self.compared() || self.held == held => {}
            Operation::Hold(held) => {
                self.held = held;
                return self.on_all(|driver| {
                    driver.driven.hold(held);
                    driver.poll()
                });
            }
            Operation::Own => {
                self.sent += OWN_METADATA_BYTES;
                // No topics: only the brokers are asked for.
                return self.on_all(|driver| {
                    driver.driven.send(ApiKey::METADATA, 1, &[0; 4])?;
                    driver.poll()
                });
            }
            Operation::Spoil => self.spoil(choices),
        }
        Ok(())
    }

    /// Does the same on all sides, which has to end in the same way.
    fn on_all(&mut self, mut act: impl FnMut(&mut Driver<Session>) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut done = self.sides.iter_mut().map(|side| act(&mut side.driver));
        let first = done.next().expect("a side");
        for other in done {
            let (first, other) = (&first.as_ref().map_err(Fault::reason), &other.as_ref().map_err(Fault::reason));
            assert_eq!(first, other, "in pieces and whole");
        }
        first
    }

    /// The next `count` bytes arrive. Where sides are compared these are some whole frames, and only the first side gets them in
    /// pieces.
    fn send(&mut self, direction: Direction, count: usize, choices: &mut Choices<'_>) -> Result<(), Fault> {
        let compared = self.compared();
        let frames = if direction == Direction::Request { &mut self.client } else { &mut self.broker };
        let mut parts: Frame = vec![Vec::new(); self.sides.len()];
        if compared {
            // An answer may let requests go, which then meet what has been learned by then and not by the next answer.
            let most = if direction == Direction::Request { 1 + count % 3 } else { 1 };
            for frame in frames.drain(..frames.len().min(most)) {
                parts.iter_mut().zip(frame).for_each(|(part, bytes)| part.extend(bytes));
            }
        } else {
            while let Some(frame) = frames.front_mut().filter(|_| parts[0].len() < count) {
                let bytes = frame[0].len().min(count - parts[0].len());
                parts[0].extend(frame[0].drain(..bytes));
                if frame[0].is_empty() {
                    frames.pop_front();
                }
            }
        }
        self.sent += parts[0].len();
        if direction == Direction::Request {
            self.client_sent += parts[0].len();
        }
        self.piece_max = self.piece_max.max(parts[0].len());
        let sizes: Vec<usize> = if compared { (0..3).map(|_| 1 + choices.below(40)).collect() } else { Vec::new() };
        let (mut at, is_request) = (0, direction == Direction::Request);
        self.on_all(|driver| {
            let sizes = if at == 0 { &sizes[..] } else { &[] };
            let part = &parts[at];
            at += 1;
            pieces(sizes, part)
                .try_for_each(|piece| if is_request { driver.client(piece).map(drop) } else { driver.broker(piece) })
        })
    }

    /// The client writes a request.
    fn request(&mut self, choices: &mut Choices<'_>) {
        const FAVOURITES: &[ApiKey] = &[
            ApiKey::FETCH,
            ApiKey::PRODUCE,
            ApiKey::METADATA,
            ApiKey::API_VERSIONS,
            ApiKey::OFFSET_FETCH,
            ApiKey::JOIN_GROUP,
            ApiKey::DESCRIBE_TOPIC_PARTITIONS,
        ];
        let api = match choices.below(14) {
            n @ 0..7 => api(FAVOURITES[n]).expect("known"),
            _ => &APIS[choices.below(APIS.len())],
        };
        let offered = self.chain.versions(api.key);
        let foolish = choices.one_in(40);
        let versions = if foolish { Some(api.versions) } else { offered };
        let Some(versions) = versions else { return };
        let version = versions.max - choices.below((versions.max - versions.min + 1) as usize) as i16;
        let is_offered = offered.is_some_and(|offered| offered.contains(version));
        self.unsupported |= !is_offered && api.key != ApiKey::API_VERSIONS;
        let id = self.next_id;
        self.next_id += 1;
        let content = &mut Requests(Realistic::new(false));
        let frame = generate_with(api, version, Direction::Request, id, choices, content).bytes;
        let name_is_too_long = frame.len() > 30_000;
        self.client_spoiled |= name_is_too_long;
        self.asked.insert(id, (api, version));
        if is_answered(api.key, version, &frame) == Some(true) {
            self.waits.push_back(id);
        }
        self.request_bytes.push_back(frame.len());
        self.client.push_back(vec![frame; self.sides.len()]);
    }

    /// The broker answers the next request that has reached it. False when there is none.
    fn answer(&mut self, choices: &mut Choices<'_>) -> bool {
        let mut hidden: Vec<Vec<[u8; 16]>> = Vec::new();
        let mut request = Vec::new();
        for side in &mut self.sides {
            let Some(frame) = first_frame(&side.driver.to_broker[side.read..]) else { return false };
            side.read += frame.len();
            hidden.push(topic_ids(frame).into_iter().map(|(_, id)| id).filter(|id| is_unknown(id)).collect());
            request = frame.to_vec();
        }
        let Some((key, version, id)) = request_head(&request) else { return true };
        let Some(api) = api(key).filter(|api| api.versions.contains(version)) else {
            assert!(self.client_spoiled, "{key} v{version} must not reach the broker");
            return true;
        };
        match is_answered(key, version, &request) {
            Some(true) => {}
            Some(false) => return true,
            None => {
                assert!(self.client_spoiled, "the broker got a faulty frame");
                return true;
            }
        }
        let foreign = choices.one_in(if lists(key) { 2 } else { 24 }) && !is_void(&request);
        self.misplaced |= foreign && !lists(key);
        let mut content = Answers::new(api, version, self.full, foreign, choices);
        let answer = generate_with(api, version, Direction::Response, id, choices, &mut content).bytes;
        let places = topic_ids_of(api, version, Direction::Response, &answer);
        self.broker.push_back(hidden.iter().map(|hidden| with_hidden(&answer, &places, hidden)).collect());
        true
    }

    /// Something that must not be: changed bytes, bytes out of nowhere.
    fn spoil(&mut self, choices: &mut Choices<'_>) {
        let compared = self.compared();
        let is_client = choices.byte() & 1 == 0;
        let (frames, spoiled) = if is_client {
            (&mut self.client, &mut self.client_spoiled)
        } else {
            (&mut self.broker, &mut self.broker_spoiled)
        };
        // Where sides are compared, frames stay frames.
        let least = if compared { 4 } else { 0 };
        let at = choices.below(frames.len().max(1));
        let Some(frame) = frames.get_mut(at).filter(|frame| frame[0].len() > least) else {
            if !compared {
                *spoiled = true;
                frames.push_back(vec![choices.rest(12)]);
            }
            return;
        };
        // Hidden ids are chance: nothing else may be read out of them.
        if frame.iter().any(|bytes| *bytes != frame[0]) {
            return;
        }
        *spoiled = true;
        let at = least + choices.below(frame[0].len() - least);
        let (change, byte, count) = (choices.below(3), choices.byte(), 1 + choices.below(8));
        for bytes in frame {
            match change {
                0 => bytes[at] = byte,
                1 => drop(bytes.splice(at..at, vec![byte; count])),
                _ => drop(bytes.drain(at..bytes.len().min(at + count))),
            }
            if compared {
                let size = (bytes.len() - 4) as i32;
                bytes[..4].copy_from_slice(&size.to_be_bytes());
            }
        }
    }

    /// Everything that is under way arrives, and everything is answered.
    fn settle(mut self) {
        let choices = &mut Choices::from_bytes(&[]);
        for _ in 0..1_000 {
            let before = self.sent;
            let mut done = Ok(());
            if core::mem::take(&mut self.held) {
                done = self.on_all(|driver| {
                    driver.driven.hold(false);
                    driver.poll()
                });
            }
            while done.is_ok() && !self.client.is_empty() {
                done = self.send(Direction::Request, usize::MAX, choices);
            }
            let answered = self.answer(choices);
            while done.is_ok() && !self.broker.is_empty() {
                done = self.send(Direction::Response, usize::MAX, choices);
            }
            self.check();
            if let Err(fault) = done {
                return self.judge(&fault);
            }
            self.compare();
            if !answered && self.sent == before {
                break;
            }
        }
        if self.client_spoiled || self.broker_spoiled {
            return;
        }
        let waits: Vec<_> = self.waits.iter().map(|id| (id, self.asked[id].0.key, self.asked[id].1)).collect();
        assert!(waits.is_empty(), "not answered: {waits:?}");
        for side in &self.sides {
            assert!(side.driver.unread.bytes.is_empty(), "some requests have not been sent");
            assert_eq!(side.driver.driven.held_bytes(), 0, "something is kept although nothing is under way");
            side.driver.driven.handle_downstream_end().expect("between two frames");
        }
    }

    /// Whether somebody did what this fault says.
    fn judge(&self, fault: &Fault) {
        let spoiled = self.client_spoiled || self.broker_spoiled;
        let explained = match fault {
            Fault::Internal(_) => false,
            Fault::Foreign { .. } if self.misplaced => true,
            Fault::Unsupported { .. } if self.unsupported => true,
            Fault::Limit { limit: "heldBytesMax", .. } if self.held_bytes_max == HELD_BYTES_TIGHT => true,
            _ => spoiled,
        };
        let last = self.sides[0].driver.driven.last_message();
        assert!(explained, "nobody did anything wrong: {fault} ({last:?})");
    }

    fn check(&mut self) {
        for side in 0..self.sides.len() {
            self.check_to_broker(side);
            self.check_bounds(&self.sides[side]);
            self.check_to_client(side);
        }
    }

    /// Both sides have seen the same since the last time.
    fn compare(&mut self) {
        let [pieces, whole] = &mut self.sides[..] else { return };
        let (requests, answers) = (pieces.driver.to_broker.len(), pieces.driver.to_client.len());
        let unseen = |side: &Side| comparable(&side.driver.to_broker[side.compared.0..]);
        same(&unseen(pieces), &unseen(whole), "broker");
        let unseen = |side: &Side| side.driver.to_client[side.compared.1..].to_vec();
        same(&unseen(pieces), &unseen(whole), "client");
        (pieces.compared, whole.compared) = ((requests, answers), (requests, answers));
    }

    fn check_bounds(&self, side: &Side) {
        let driver = &side.driver;
        let out = driver.to_broker.len() + driver.to_client.len();
        assert!(out <= 1_000 + 256 * self.sent, "{out} bytes out of {}", self.sent);
        // A frame that is not complete on each side, what came with its last piece, and answers that wait for their turn.
        let frames = 2 * (self.held_bytes_max + self.piece_max);
        let in_flight = self.in_flight_max.min(self.next_id as usize);
        let answers = in_flight * (OWN_ANSWER_BYTES + self.held_bytes_max);
        // Requests that wait for their turn are kept without a bound so far, see `tests/held_bytes.rs`.
        let waiting = self.client_sent - if self.client_spoiled { 0 } else { self.client_done };
        let held = driver.driven.held_bytes();
        assert!(held <= frames + answers + waiting, "{held} bytes held, {waiting} waiting");
        assert!(driver.held_bytes_max <= 2 * self.sent + in_flight * OWN_ANSWER_BYTES, "more held than came");
    }

    /// Complete requests that have reached the broker: every name is the tenant's.
    fn check_to_broker(&mut self, side_at: usize) {
        let side = &mut self.sides[side_at];
        while let Some(frame) = first_frame(&side.driver.to_broker[side.checked.0..]) {
            side.checked.0 += frame.len();
            let Some((key, version, id)) = request_head(frame) else { return };
            let Some(api) = api(key).filter(|api| api.versions.contains(version)) else { continue };
            let Ok(notes) = notes::notes(api, version, Direction::Request, frame) else {
                assert!(self.client_spoiled, "the broker got a faulty {} v{version}", api.name);
                continue;
            };
            assert_eq!(notes.last(), Some(&Note::End), "{} v{version} is complete", api.name);
            if id == OWN_CORRELATION_ID && key == ApiKey::METADATA && is_own(&notes) {
                continue;
            }
            if side_at == 0 && id != OWN_CORRELATION_ID {
                self.client_done += self.request_bytes.pop_front().unwrap_or(0);
            }
            for note in &notes {
                if let Note::Value(field, entity, Some(bytes)) = note {
                    let fine = self.full && is_shared(key, *entity, bytes) || is_tenants(key, field, *entity, bytes);
                    let fine = fine || *entity == Entity::TopicId && self.broker_spoiled;
                    let shown = String::from_utf8_lossy(bytes);
                    assert!(fine, "{} v{version}: the broker got {shown:?} as {field}", api.name);
                    if *field == "ClientId" && self.full {
                        assert!(bytes.starts_with(CLIENT_PREFIX.as_bytes()), "{shown:?} is no client of the tenant");
                    }
                }
            }
        }
    }

    /// Complete answers that have reached the client: nothing in them is of others.
    fn check_to_client(&mut self, side_at: usize) {
        let side = &mut self.sides[side_at];
        while let Some(frame) = first_frame(&side.driver.to_client[side.checked.1..]) {
            side.checked.1 += frame.len();
            if self.broker_spoiled {
                continue;
            }
            let id = frame.get(4..8).map(|id| i32::from_be_bytes(id.try_into().expect("int32"))).expect("an id");
            if !self.client_spoiled && side_at == 0 {
                assert_eq!(self.waits.pop_front(), Some(id), "answers come in the order of the requests");
            }
            // A changed request may ask for something else under this id.
            let Some((api, version)) = self.asked.get(&id).filter(|_| !self.client_spoiled) else { continue };
            let is_fallback = api.key == ApiKey::API_VERSIONS && frame.get(8..10) == Some(&[0, 35]);
            let version = if is_fallback { 0 } else { *version };
            let name = api.name;
            let values = values(api, version, Direction::Response, frame);
            let values = values.unwrap_or_else(|fault| panic!("the client got a faulty {name} v{version}: {fault}"));
            for (field, bytes) in &values {
                let is_text = field.kind == Kind::String && field.entity != Entity::MemberMetadata;
                // Without a cluster id of its own a tenant is shown the real one.
                let is_told = !is_text || field.entity == Entity::ClusterId && !self.full;
                let (shown, field_name) = (String::from_utf8_lossy(bytes), field.name);
                for secret in [FOREIGN, REAL] {
                    let is_kept = is_told || !shown.contains(secret);
                    assert!(is_kept, "{name} v{version}: the client reads {shown:?} as {field_name}");
                }
                if field.entity == Entity::AuthorizedOps {
                    assert_eq!(**bytes, i32::MIN.to_be_bytes(), "{name} v{version}: rights of the gateway");
                }
            }
        }
    }
}

fn same(pieces: &[u8], whole: &[u8], who: &str) {
    let at = (0..pieces.len().max(whole.len())).find(|at| pieces.get(*at) != whole.get(*at));
    if let Some(at) = at {
        let show =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.min(bytes.len())..]).chars().take(60).collect::<String>();
        panic!("the {who} got other bytes in pieces than whole: at {at} {:?} and {:?}", show(pieces), show(whole));
    }
}

/// Answers that may hold what the request did not name.
fn lists(key: ApiKey) -> bool {
    const LISTS: &[ApiKey] = &[
        ApiKey::METADATA,
        ApiKey::DESCRIBE_TOPIC_PARTITIONS,
        ApiKey::LIST_GROUPS,
        ApiKey::LIST_TRANSACTIONS,
        ApiKey::OFFSET_FETCH,
        ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
        ApiKey::CONSUMER_GROUP_DESCRIBE,
        ApiKey::SHARE_GROUP_DESCRIBE,
        ApiKey::STREAMS_GROUP_DESCRIBE,
        ApiKey::LIST_CONFIG_RESOURCES,
    ];
    LISTS.contains(&key)
}

/// Whether this request to the broker names a group or a transaction that cannot be: then the broker names no topics of others.
fn is_void(request: &[u8]) -> bool {
    request_notes(request).is_some_and(|notes| {
        notes.iter().any(|note| {
            let Note::Value(_, Entity::GroupId | Entity::TransactionalId, Some(id)) = note else { return false };
            id.starts_with(b":")
        })
    })
}

/// What the fields of a complete frame hold.
fn values(
    api: &'static Api,
    version: i16,
    direction: Direction,
    frame: &[u8],
) -> Result<Vec<(&'static Field, Vec<u8>)>, Fault> {
    let mut walker = notes::walker(api, version, direction, frame.len());
    let mut values = Vec::new();
    while let Some((_, event)) = walker.next(Input { bytes: frame, base: 0 })? {
        match event {
            Event::End => return Ok(values),
            Event::Value(value) => values.extend(value.bytes.map(|bytes| (value.field, bytes.to_vec()))),
            _ => {}
        }
    }
    Err(Fault::Truncated)
}

fn request_notes(frame: &[u8]) -> Option<Vec<Note>> {
    let (key, version, _) = request_head(frame)?;
    let api = api(key).filter(|api| api.versions.contains(version))?;
    notes::notes(api, version, Direction::Request, frame).ok()
}

/// The gateway's own question, which may be about any id.
fn is_own(notes: &[Note]) -> bool {
    notes.first() == Some(&Note::Value("ClientId", Entity::None, Some(b"bifrost".to_vec())))
}

/// Whether this is a shared topic, where it may be used.
fn is_shared(key: ApiKey, entity: Entity, bytes: &[u8]) -> bool {
    const WRITES: &[ApiKey] = &[ApiKey::PRODUCE, ApiKey::ADD_PARTITIONS_TO_TXN];
    const MANAGES: &[ApiKey] = &[
        ApiKey::CREATE_TOPICS,
        ApiKey::DELETE_TOPICS,
        ApiKey::CREATE_PARTITIONS,
        ApiKey::DELETE_RECORDS,
        ApiKey::ALTER_CONFIGS,
        ApiKey::INCREMENTAL_ALTER_CONFIGS,
    ];
    let name = match entity {
        Entity::TopicName | Entity::ResourceName => bytes,
        Entity::TopicId => {
            content::topic_number(bytes).map_or(&[][..], |number| content::topic_name(number).as_bytes())
        }
        _ => return false,
    };
    let is = |topic: &str| name == topic.as_bytes();
    !MANAGES.contains(&key) && (is(READ_WRITE) || is(READ_ONLY) && !WRITES.contains(&key))
}

/// Whether the broker may get this value from the tenant.
fn is_tenants(key: ApiKey, field: &str, entity: Entity, bytes: &[u8]) -> bool {
    match (entity, field) {
        (Entity::ResourceName, "ResourceType") => matches!(bytes, [2 | 32]),
        (Entity::ResourceName, "PatternType" | "PatternTypeFilter" | "ResourceTypeFilter") => true,
        (Entity::ResourceName, "SubscribedTopicRegex" | "TransactionalIdPattern") => {
            bytes.is_empty() || bytes.starts_with(b"t1-(?:") && bytes.ends_with(b")")
        }
        (Entity::TopicName | Entity::GroupId | Entity::TransactionalId | Entity::ResourceName, _) => {
            bytes.starts_with(PREFIX.as_bytes()) || bytes.starts_with(b":")
        }
        (Entity::TopicId, _) => {
            content::topic_number(bytes).is_none_or(|number| content::topic_name(number).starts_with(PREFIX))
        }
        (Entity::BrokerId, "ReplicaId") => *bytes == [0xff; 4],
        (Entity::ClusterId, _) => key != ApiKey::FETCH,
        _ => true,
    }
}

/// True for an id that is neither a topic's nor none.
fn is_unknown(id: &[u8]) -> bool {
    content::topic_number(id).is_none() && *id != [0; 16]
}

/// Topic ids of a request and where they lie. A Produce request may turn faulty behind them.
fn topic_ids(frame: &[u8]) -> Vec<(usize, [u8; 16])> {
    let Some((key, version, _)) = request_head(frame) else { return Vec::new() };
    let Some(api) = api(key).filter(|api| api.versions.contains(version)) else { return Vec::new() };
    topic_ids_of(api, version, Direction::Request, frame)
}

fn topic_ids_of(api: &'static Api, version: i16, direction: Direction, frame: &[u8]) -> Vec<(usize, [u8; 16])> {
    let mut ids = Vec::new();
    let mut walker = notes::walker(api, version, direction, frame.len());
    while let Ok(Some((_, event))) = walker.next(Input { bytes: frame, base: 0 }) {
        match event {
            Event::End => break,
            Event::Value(value) if value.field.entity == Entity::TopicId => {
                ids.push((value.range.start, value.bytes.and_then(|id| id.try_into().ok()).expect("an id")));
            }
            _ => {}
        }
    }
    ids
}

/// Requests without what depends on chance: hidden ids, and the order in which the gateway asks for ids.
fn comparable(mut requests: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(requests.len());
    while let Some(frame) = first_frame(requests).filter(|frame| frame.len() >= 4) {
        requests = &requests[frame.len()..];
        let ids = topic_ids(frame);
        let mut frame = frame.to_vec();
        let own = request_notes(&frame).is_some_and(|notes| is_own(&notes));
        let mut sorted: Vec<[u8; 16]> = ids.iter().map(|(_, id)| *id).collect();
        if own {
            sorted.sort_unstable();
        }
        for ((at, _), id) in ids.iter().zip(sorted) {
            let id = if !own && is_unknown(&id) { [0xee; 16] } else { id };
            frame[*at..at + 16].copy_from_slice(&id);
        }
        out.extend(frame);
    }
    out.extend(requests);
    out
}

/// Puts the ids that were hidden in the request into its answer, at these places, where it stands for them.
fn with_hidden(answer: &[u8], places: &[(usize, [u8; 16])], hidden: &[[u8; 16]]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    for (at, id) in places {
        if id.starts_with(&HIDDEN)
            && let Some(id) = hidden.get(usize::from(id[15]))
        {
            answer[*at..at + 16].copy_from_slice(id);
        }
    }
    answer
}
