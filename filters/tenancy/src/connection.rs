//! One connection: what its requests and answers know of each other.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Direction, Filter, Message};
use bifrost_core::protocol::{ApiKey, VersionRange};
use bifrost_core::reader::put_unsigned_varint;
use bifrost_core::walker::Event;

use crate::Tenant;
use crate::answer::Answer;
use crate::request::Request;
use crate::topic_ids::TopicId;

/// Metadata asks for topics by id from this version on (KIP-516).
pub(crate) const METADATA_BY_ID: i16 = 12;

/// Fetch sessions of one connection; a client uses one at a time.
const SESSIONS_MAX: usize = 8;

/// Ids that the broker is asked for with one request; the others count as not the tenant's, and clients try them again.
const ASKED_MAX: usize = 2_000;

/// Questions of one connection that wait for their answer.
const QUESTIONS_MAX: usize = 8;

/// Classic groups of one connection whose protocol type is remembered between JoinGroup and SyncGroup.
const GROUPS_MAX: usize = 64;

/// State of one connection.
pub(crate) struct Connection {
    tenant: Rc<Tenant>,
    known: Known,
    request: Request,
    answer: Answer,
}

/// What is known of a connection between two messages.
#[derive(Default)]
pub(crate) struct Known {
    /// Fetch sessions that the broker has given to this connection (KIP-227). Brokers bind them to nothing, so that anybody who
    /// guesses one could read in it.
    pub(crate) sessions: VecDeque<i32>,
    /// Ids that the broker has just said are not the tenant's; until the next request has gone.
    pub(crate) judged: HashSet<TopicId>,
    /// What the broker is being asked for, request by request.
    pub(crate) asked: VecDeque<Asked>,
    /// All ids of the tenant have just been learned; until the next request has gone.
    pub(crate) knows_all: bool,
    /// Whether the broker can be asked for topics by id.
    pub(crate) answers_by_id: bool,
    /// Classic groups, by hash, that members have joined here, and whether they speak the consumer protocol.
    groups: VecDeque<(u64, bool)>,
}

/// A question of the gateway's about topics.
pub(crate) enum Asked {
    /// Whose are these?
    Ids(HashSet<TopicId>),
    /// Which are there?
    All,
}

impl Connection {
    pub(crate) fn new(tenant: Rc<Tenant>) -> Self {
        Connection { tenant, known: Known::default(), request: Request::default(), answer: Answer::default() }
    }
}

impl Filter for Connection {
    fn on_broker_versions(&mut self, offered: &[(ApiKey, VersionRange)]) {
        self.known.answers_by_id =
            offered.iter().any(|(key, versions)| *key == ApiKey::METADATA && versions.contains(METADATA_BY_ID));
    }

    fn forget(&mut self) {
        self.request = Request::default();
    }

    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        match message.direction {
            Direction::Request => self.request.on_event(&self.tenant, &mut self.known, message, event, context),
            Direction::Response => self.answer.on_event(&self.tenant, &mut self.known, message, event, context),
        }
    }
}

impl Known {
    /// Whether the broker can be asked for this id, besides `others` of the same request.
    pub(crate) fn can_ask(&self, id: &TopicId, others: usize) -> bool {
        self.answers_by_id
            && self.asked.len() < QUESTIONS_MAX
            && others.saturating_add(self.judged.len()) < ASKED_MAX
            && !self.judged.contains(id)
    }

    /// Asks the broker whose topics these are.
    pub(crate) fn ask(&mut self, ids: HashSet<TopicId>, context: &mut Context<'_>) {
        let mut topics = Vec::with_capacity(ids.len().saturating_mul(18).saturating_add(8));
        put_unsigned_varint(&mut topics, u32::try_from(ids.len()).unwrap_or(u32::MAX).saturating_add(1));
        for id in &ids {
            topics.extend_from_slice(id);
            // No name, no tags.
            topics.extend_from_slice(&[0, 0]);
        }
        self.send(topics, Asked::Ids(ids), context);
    }

    /// Asks the broker for all topics, to learn the ids of those that are the tenant's.
    pub(crate) fn ask_for_all(&mut self, context: &mut Context<'_>) {
        self.send(vec![0], Asked::All, context);
    }

    fn send(&mut self, mut topics: Vec<u8>, asked: Asked, context: &mut Context<'_>) {
        // No creation, no authorized operations, no tags.
        topics.extend_from_slice(&[0, 0, 0]);
        context.send(ApiKey::METADATA, METADATA_BY_ID, topics);
        self.asked.push_back(asked);
    }

    /// Takes note that the oldest question has been answered; `is_known` tells which ids turned out to be the tenant's.
    pub(crate) fn answered(&mut self, mut is_known: impl FnMut(&TopicId) -> bool) {
        match self.asked.pop_front() {
            Some(Asked::Ids(ids)) => self.judged.extend(ids.into_iter().filter(|id| !is_known(id))),
            Some(Asked::All) => self.knows_all = true,
            None => {}
        }
    }

    pub(crate) fn session_begins(&mut self, id: i32) {
        if id != 0 && !self.sessions.contains(&id) {
            push_bounded(&mut self.sessions, id, SESSIONS_MAX);
        }
    }

    /// The group's members speak the consumer protocol, or do not.
    pub(crate) fn group_speaks(&mut self, group: &[u8], consumer: bool) {
        let group = hash(group);
        self.groups.retain(|(known, _)| *known != group);
        push_bounded(&mut self.groups, (group, consumer), GROUPS_MAX);
    }

    pub(crate) fn speaks_consumer(&self, group: &[u8]) -> Option<bool> {
        let group = hash(group);
        self.groups.iter().find(|(known, _)| *known == group).map(|(_, consumer)| *consumer)
    }
}

/// Only names of one client meet here, so it need not be secret.
fn hash(group: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(group)
}

fn push_bounded<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() >= max {
        list.pop_front();
    }
    list.push_back(item);
}
