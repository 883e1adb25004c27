//! Bounds what a virtual cluster, its clients and its topics may use, by making clients wait.
//!
//! Every limit is a token bucket that may be overdrawn (`bucket.rs`), one for all workers (`account.rs`). Nothing that a client
//! sends is held up or refused because of it. The time until a debt is paid is told in the answer's `throttle_time_ms`, if the
//! broker does not tell a longer one, and for that time the client is not read (KIP-219): one that does not heed the field
//! waits as long.
//!
//! Two things are refused instead, as brokers do: creating topics while there is a debt, with THROTTLING_QUOTA_EXCEEDED
//! (KIP-599, `creation.rs`), and a connection beyond the limit, by closing it (`connections.rs`).
//!
//! What a request costs is known from the size of its frame. More of it is looked at only for limits of topics and of
//! creations; an answer only to write the time into it. Observes: what it does not know is forwarded. But limits of topics need
//! names: with them, versions that name topics by id are not offered.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test that panics fails, and that is all"
    )
)]

mod account;
mod bucket;
mod config;
mod connections;
mod creation;
mod in_force;
mod names;
mod pattern;

use std::rc::Rc;

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Direction, Filter, FilterConfig, Head, Heed, Message, PAUSE_MS_MAX, Plan};
use bifrost_core::host::Host;
use bifrost_core::principal::Principal;
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind, VersionRange, api};
use bifrost_core::walker::{Event, Value, holds};

use account::Account;
use creation::Creation;

pub use account::Used;
pub use config::{ClientLimits, Config, Limits, PrincipalLimits, Resource, TopicLimits};
pub use in_force::{ConnectionReading, InForce, Reading};
pub use names::TopicNames;

/// The last versions of Produce and Fetch that name topics.
const NAMES_UP_TO: i16 = 12;

/// The first Metadata version whose request does not create topics unless it says so.
const METADATA_WITHOUT_CREATION: i16 = 4;

/// The configured filter.
pub struct Quota {
    /// What has to be looked at. The numbers are those in force.
    config: Config,
    in_force: Rc<InForce>,
    names: Rc<TopicNames>,
    /// Whether Metadata requests are to be kept from creating topics.
    stops_auto_creation: bool,
}

impl Quota {
    /// The filter for one virtual cluster. `in_force`: the limits in force in this worker. `auto_creation`: Metadata requests may
    /// create topics, as far as other filters go.
    #[must_use]
    pub fn new(config: Config, in_force: Rc<InForce>, names: TopicNames, auto_creation: bool) -> Self {
        let stops_auto_creation = auto_creation && config.limits_creations();
        Quota { config, in_force, names: Rc::new(names), stops_auto_creation }
    }

    /// Whether bytes of such messages count for topics.
    fn measures_topics(&self, key: ApiKey, direction: Direction) -> bool {
        match (key, direction) {
            (ApiKey::PRODUCE, Direction::Request) => self.config.limits_topics(Resource::ProduceBytes),
            (ApiKey::FETCH, Direction::Response) => self.config.limits_topics(Resource::FetchBytes),
            _ => false,
        }
    }
}

impl FilterConfig for Quota {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        let names_only = |resource| {
            let max = if self.config.limits_topics(resource) { NAMES_UP_TO } else { i16::MAX };
            Some(VersionRange::new(0, max))
        };
        let versions = match key {
            ApiKey::PRODUCE => names_only(Resource::ProduceBytes),
            ApiKey::FETCH => names_only(Resource::FetchBytes),
            // Known by ids alone.
            ApiKey::SHARE_FETCH if self.config.limits_topics(Resource::FetchBytes) => None,
            ApiKey::METADATA if self.stops_auto_creation => {
                Some(VersionRange::new(METADATA_WITHOUT_CREATION, i16::MAX))
            }
            _ => Some(VersionRange::new(0, i16::MAX)),
        };
        api(key)?.versions.intersect(versions?)
    }

    fn plan(&self, api: &'static Api, _: i16, direction: Direction) -> Plan {
        match (api.key, direction) {
            _ if self.measures_topics(api.key, direction) => Plan::Head,
            (ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS, Direction::Request)
                if self.config.limits_creations() =>
            {
                Plan::Whole
            }
            (ApiKey::METADATA, Direction::Request) if self.stops_auto_creation => Plan::Whole,
            _ => Plan::Pass,
        }
    }

    fn wants(&self, api: &'static Api, direction: Direction, _: &'static [Field], field: &'static Field) -> bool {
        match (api.key, direction) {
            _ if field.entity == Entity::ThrottleTimeMs => direction == Direction::Response,
            _ if self.measures_topics(api.key, direction) => {
                matches!(field.entity, Entity::TopicName | Entity::Records)
            }
            (ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS, Direction::Request)
                if self.config.limits_creations() =>
            {
                field.entity == Entity::TopicName || Creation::reads(field.name)
            }
            (ApiKey::METADATA, Direction::Request) => {
                self.stops_auto_creation && field.name == "AllowAutoTopicCreation"
            }
            _ => false,
        }
    }

    fn heeds_heads(&self) -> bool {
        true
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Connection {
            in_force: Rc::clone(&self.in_force),
            names: Rc::clone(&self.names),
            stops_auto_creation: self.stops_auto_creation,
            generation: self.in_force.generation(),
            whole: None,
            principal: None,
            client_id: None,
            client: None,
            produced_to: None,
            fetched_from: None,
            creation: Creation::default(),
            until_ms: 0,
            told_ms: 0,
        })
    }
}

/// State of one connection.
struct Connection {
    in_force: Rc<InForce>,
    names: Rc<TopicNames>,
    stops_auto_creation: bool,
    /// Of the limits that the accounts are from.
    generation: u64,
    whole: Option<Rc<Account>>,
    principal: Option<Rc<Account>>,
    /// Of the last request.
    client_id: Option<Vec<u8>>,
    client: Option<Rc<Account>>,
    /// Whose record bytes come next in a Produce request ...
    produced_to: Option<Rc<Account>>,
    /// ... and in a Fetch answer.
    fetched_from: Option<Rc<Account>>,
    creation: Creation,
    /// Until when the client has to wait; 0 when it need not.
    until_ms: u64,
    /// How long it is told to wait in the answer that is being walked; 0 when it is told nothing.
    told_ms: i32,
}

impl Filter for Connection {
    fn on_connection(&mut self, host: &mut dyn Host) -> Result<(), Fault> {
        let Some(whole) = self.in_force.whole() else { return Ok(()) };
        enter(&whole, "of the virtual cluster", host)?;
        self.whole = Some(whole);
        Ok(())
    }

    fn on_head(&mut self, head: &Head<'_>, host: &mut dyn Host) -> Result<Heed, Fault> {
        let mut plan = Plan::Pass;
        let mut until_ms = 0;
        match head.direction {
            Direction::Request => {
                self.produced_to = None;
                self.bind(head.principal, head.client_id.unwrap_or_default(), host)?;
                until_ms = self.charge(Resource::Requests, 1, host);
                if head.api.key == ApiKey::PRODUCE {
                    until_ms = until_ms.max(self.charge(Resource::ProduceBytes, bytes(head.frame_bytes), host));
                }
            }
            Direction::Response => {
                self.fetched_from = None;
                if matches!(head.api.key, ApiKey::FETCH | ApiKey::SHARE_FETCH) {
                    until_ms = self.charge(Resource::FetchBytes, bytes(head.frame_bytes), host);
                }
                self.until_ms = self.until_ms.max(until_ms);
                self.told_ms = self.left_ms(host);
                if self.told_ms > 0 {
                    plan = telling(head.api, head.version);
                }
            }
        }
        self.until_ms = self.until_ms.max(until_ms);
        Ok(Heed { plan, pause_until_ms: until_ms })
    }

    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        match (message.direction, event) {
            _ if message.own => {}
            (Direction::Response, Event::Value(value)) if value.field.entity == Entity::ThrottleTimeMs => {
                self.tell(value, context);
            }
            (Direction::Request, Event::Value(value)) if names_topic(ApiKey::PRODUCE, message, value) => {
                self.produced_to = self.in_force.topic(value.text().unwrap_or_default());
            }
            (Direction::Response, Event::Value(value)) if names_topic(ApiKey::FETCH, message, value) => {
                self.fetched_from = self.in_force.topic(self.names.virtual_name(value.text().unwrap_or_default()));
            }
            (direction, Event::Records(_, range)) => {
                let (topic, resource) = match direction {
                    Direction::Request => (&self.produced_to, Resource::ProduceBytes),
                    Direction::Response => (&self.fetched_from, Resource::FetchBytes),
                };
                let charged = |topic: &Rc<Account>| topic.charge(resource, bytes(range.len()), context.host);
                let until_ms = topic.as_ref().map_or(0, charged);
                self.pause(until_ms, context);
            }
            (Direction::Request, event) => return self.request(message, event, context),
            (Direction::Response, _) => {}
        }
        Ok(())
    }
}

impl Connection {
    /// Takes over the limits in force and the accounts of whoever sends this request.
    fn bind(&mut self, principal: &Principal, client_id: &[u8], host: &mut dyn Host) -> Result<(), Fault> {
        let is_new = self.generation != self.in_force.generation();
        if is_new {
            self.generation = self.in_force.generation();
            // Connections from before a limit stay.
            replace(&mut self.whole, self.in_force.whole(), |account| {
                account.connections.add();
                Ok(())
            })?;
        }
        let is_first = self.client_id.is_none();
        if is_new || is_first {
            replace(&mut self.principal, self.in_force.principal(principal.name()), |account| match is_first {
                true => enter(account, "of the principal", host),
                false => {
                    account.connections.add();
                    Ok(())
                }
            })?;
        }
        let is_other = self.client_id.as_deref() != Some(client_id);
        if is_new || is_other {
            let client = self.in_force.client(&String::from_utf8_lossy(client_id));
            self.client_id = Some(client_id.to_vec());
            replace(&mut self.client, client, |account| match is_other {
                true => enter(account, "of the client id", host),
                false => {
                    account.connections.add();
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    fn charge(&self, resource: Resource, tokens: u64, host: &mut dyn Host) -> u64 {
        self.accounts().map(|account| account.charge(resource, tokens, host)).max().unwrap_or(0)
    }

    /// Those of the virtual cluster, the principal and the client id.
    fn accounts(&self) -> impl Iterator<Item = &Rc<Account>> {
        self.whole.iter().chain(&self.principal).chain(&self.client)
    }

    fn pause(&mut self, until_ms: u64, context: &mut Context<'_>) {
        self.until_ms = self.until_ms.max(until_ms);
        context.pause_until(until_ms);
    }

    /// How long the client has to wait from now on. Milliseconds.
    fn left_ms(&mut self, host: &mut dyn Host) -> i32 {
        if self.until_ms == 0 {
            return 0;
        }
        let left_ms = self.until_ms.saturating_sub(host.now_ms());
        // Longer than any: the clock was set back.
        if left_ms == 0 || left_ms > PAUSE_MS_MAX {
            self.until_ms = 0;
            return 0;
        }
        i32::try_from(left_ms).unwrap_or(i32::MAX)
    }

    /// The longer one of our time and the broker's.
    fn tell(&self, value: &Value<'_>, context: &mut Context<'_>) {
        if value.number().is_some_and(|brokers| brokers < i64::from(self.told_ms)) {
            context.edits.replace(value.range.clone(), &self.told_ms.to_be_bytes()[..]);
        }
    }

    fn request(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
        match (message.api.key, event) {
            (ApiKey::METADATA, Event::Value(value)) => {
                let creates = value.field.name == "AllowAutoTopicCreation" && value.number() != Some(0);
                if creates && self.stops_auto_creation {
                    context.edits.replace(value.range.clone(), &[0][..]);
                }
            }
            (ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS, Event::End) => {
                let creation = core::mem::take(&mut self.creation);
                let accounts: Vec<Rc<Account>> = self.accounts().cloned().collect();
                let until_ms = creation.end(&self.in_force, &accounts, message, context)?;
                self.pause(until_ms, context);
            }
            (ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS, event) => self.creation.on_event(event),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.accounts().for_each(|account| account.connections.leave());
    }
}

/// Whether this names the topic whose record bytes come next in messages of `key`.
fn names_topic(key: ApiKey, message: &Message, value: &Value<'_>) -> bool {
    message.api.key == key && value.field.entity == Entity::TopicName
}

/// What has to be seen of an answer to write `throttle_time_ms`: nothing when it has none.
fn telling(api: &'static Api, version: i16) -> Plan {
    let body_holds = |wanted: &dyn Fn(&Field) -> bool| api.response.iter().any(|field| holds(field, version, wanted));
    if !body_holds(&|field| field.entity == Entity::ThrottleTimeMs) {
        Plan::Pass
    } else if body_holds(&|field| field.kind == Kind::Records) {
        Plan::Head
    } else {
        Plan::Whole
    }
}

/// Moves a connection from one account to another, when they are not the same.
fn replace(
    old: &mut Option<Rc<Account>>,
    new: Option<Rc<Account>>,
    enter: impl FnOnce(&Account) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let is_same = match (&*old, &new) {
        (Some(old), Some(new)) => Rc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    };
    if is_same {
        return Ok(());
    }
    if let Some(old) = old.take() {
        old.connections.leave();
    }
    if let Some(new) = new {
        enter(&new)?;
        *old = Some(new);
    }
    Ok(())
}

/// Counts a connection, unless there are too many.
fn enter(account: &Account, whose: &'static str, host: &mut dyn Host) -> Result<(), Fault> {
    account.connections.enter(host).map_err(|max| Fault::Connections { whose, max })
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
