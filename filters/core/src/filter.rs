//! What a filter is, and the chain that a virtual cluster's configuration makes of filters.

use core::cell::Cell;

use crate::api_versions;
use crate::edits::Edits;
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::Limits;
use crate::protocol::{APIS, Api, ApiKey, Field, VersionRange, api};
use crate::walker::{Event, Silence};

/// Way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the broker.
    Request,
    /// From the broker to the client.
    Response,
}

/// How much of a frame somebody must see. The strongest need of a chain decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// Nothing: the bytes are counted.
    Pass,
    /// The fields around the record bytes, as they stream past. Edits before the array that holds the records are free; each
    /// element's edits must add up to what was promised ([`Edits::promise`]); behind the last records they may be shorter.
    Head,
    /// All of it at once: the frame is collected, bounded by `limits.heldBytesMax`.
    Whole,
}

/// A message as filters see it.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Its API.
    pub api: &'static Api,
    /// Its version.
    pub version: i16,
    /// Its way.
    pub direction: Direction,
    /// False when the frame's size has been passed on already, so that edits must not make it longer.
    pub resizable: bool,
    /// The answer to a request that a filter sent ([`Context::send`]); the client does not see it.
    pub own: bool,
}

/// What a filter may use and ask for while it looks at a message.
pub struct Context<'a> {
    /// Changes to the message.
    pub edits: &'a mut Edits,
    /// Shared state and counters.
    pub host: &'a mut dyn Host,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) memo: &'a mut u64,
}

/// What filters have asked for during one message.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) hold: bool,
    pub(crate) release: bool,
    pub(crate) own: Vec<(ApiKey, i16, Vec<u8>)>,
}

impl Context<'_> {
    /// Answers the request in the broker's place with this response body. Only for requests that are seen whole; other
    /// edits of the request are dropped.
    pub fn answer(&mut self, body: Vec<u8>) {
        self.wishes.answer = Some(body);
    }

    /// Holds the request, and all that the client sends behind it, until [`Context::release`]; then the filters see it again.
    /// Only for requests that are seen whole.
    pub fn hold(&mut self) {
        self.wishes.hold = true;
    }

    /// Lets held requests go.
    pub fn release(&mut self) {
        self.wishes.release = true;
    }

    /// Sends a request of the gateway's own with this body on the client's upstream connection, between two requests of the
    /// client. All filters see the answer, with [`Message::own`] set.
    pub fn send(&mut self, key: ApiKey, version: i16, body: Vec<u8>) {
        self.wishes.own.push((key, version, body));
    }

    /// Keeps a number of this filter's own with the request until its answer has passed.
    pub fn remember(&mut self, memo: u64) {
        *self.memo = memo;
    }

    /// What was remembered of the request that this message is, or answers; 0 when nothing was.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        *self.memo
    }
}

/// A configured filter of a virtual cluster: what is decided once, for all connections.
pub trait FilterConfig {
    /// The versions of `key` that this filter understands. What a filter does not understand is not offered to clients.
    fn supported(&self, key: ApiKey) -> Option<VersionRange>;

    /// What this filter must see of such a message.
    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan;

    /// Whether this filter wants to hear of `field`, one of `siblings`, in such messages. What no filter wants is checked in
    /// silence, which is several times as fast; arrays are told when anything in them is.
    fn wants(
        &self,
        _api: &'static Api,
        _direction: Direction,
        _siblings: &'static [Field],
        _field: &'static Field,
    ) -> bool {
        true
    }

    /// The filter's state for a new connection.
    fn connect(&self) -> Box<dyn Filter>;
}

/// A filter's state for one connection. A client has many connections, so this never sees all its traffic.
pub trait Filter {
    /// The versions that the broker offers, each time an ApiVersions answer tells them. A range may be empty.
    fn on_broker_versions(&mut self, _offered: &[(ApiKey, VersionRange)]) {}

    /// Called for everything that is met in a message whose plan, of any filter, is not [`Plan::Pass`].
    ///
    /// # Errors
    /// A fault closes the connection.
    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault>;
}

/// What the chain does with messages of one API.
#[derive(Debug)]
struct Offered {
    versions: VersionRange,
    /// Plans of request and response, from `versions.min` upwards.
    plans: Vec<(Plan, Plan)>,
    /// What no filter wants to hear of in requests and responses.
    silence: (Silence, Silence),
}

/// The filters of a virtual cluster in order, with everything about them that does not depend on a connection.
pub struct Chain {
    filters: Vec<Box<dyn FilterConfig>>,
    limits: Limits,
    /// Parallel to [`APIS`].
    offered: Vec<Option<Offered>>,
    /// Bytes that all connections of this worker keep in memory.
    held_bytes: Cell<usize>,
}

impl Chain {
    /// Puts a chain together. Client side first.
    #[must_use]
    pub fn new(filters: Vec<Box<dyn FilterConfig>>, limits: Limits) -> Self {
        let offered = APIS.iter().map(|api| offered(&filters, api)).collect();
        Chain { filters, limits, offered, held_bytes: Cell::new(0) }
    }

    /// The bounds of the data path.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The versions of `key` that clients may use, or `None` when the API is hidden.
    #[must_use]
    pub fn versions(&self, key: ApiKey) -> Option<VersionRange> {
        Some(self.find(key)?.versions)
    }

    /// The API and the plans of request and response, or `None` when that version is not offered.
    pub(crate) fn plans(&self, key: ApiKey, version: i16) -> Option<(&'static Api, Plan, Plan)> {
        let offered = self.find(key)?;
        let at = usize::try_from(version.checked_sub(offered.versions.min)?).ok()?;
        let (request, response) = *offered.plans.get(at)?;
        Some((api(key)?, request, response))
    }

    /// What no filter wants to hear of.
    pub(crate) fn silence(&self, key: ApiKey, direction: Direction) -> Silence {
        let silence = self.find(key).map(|offered| &offered.silence);
        silence
            .map(|(request, response)| if direction == Direction::Request { request } else { response })
            .cloned()
            .unwrap_or_default()
    }

    /// A connection keeps `now` bytes instead of `before`.
    pub(crate) fn book(&self, before: usize, now: usize) -> Result<(), Fault> {
        let held = self.held_bytes.get().saturating_sub(before).saturating_add(now);
        self.held_bytes.set(held);
        let max = self.limits.worker_held_bytes_max;
        if now > before && held > max as usize {
            let got = u64::try_from(held).unwrap_or(u64::MAX);
            return Err(Fault::Limit { limit: "workerHeldBytesMax", max: u64::from(max), got });
        }
        Ok(())
    }

    pub(crate) fn connect(&self) -> Vec<Box<dyn Filter>> {
        self.filters.iter().map(|filter| filter.connect()).collect()
    }

    fn find(&self, key: ApiKey) -> Option<&Offered> {
        let at = APIS.binary_search_by_key(&key, |api| api.key).ok()?;
        self.offered.get(at)?.as_ref()
    }
}

/// The intersection of what the tables and all filters understand.
fn offered(filters: &[Box<dyn FilterConfig>], api: &'static Api) -> Option<Offered> {
    let mut versions = api.versions;
    if api.key == ApiKey::SASL_HANDSHAKE {
        // Behind version 0 tokens follow without any Kafka header (KIP-152), which no filter could follow.
        versions = versions.intersect(VersionRange::new(1, i16::MAX))?;
    }
    for filter in filters {
        versions = versions.intersect(filter.supported(api.key)?)?;
    }
    let plan = |version, direction| {
        let least = match (api.key, direction) {
            (ApiKey::API_VERSIONS, Direction::Response) => Plan::Whole,
            _ => Plan::Pass,
        };
        filters.iter().map(|filter| filter.plan(api, version, direction)).fold(least, Plan::max)
    };
    let plans = (versions.min..=versions.max)
        .map(|version| (plan(version, Direction::Request), plan(version, Direction::Response)))
        .collect();
    let silence = |direction, body| {
        // Answers of ApiVersions are narrowed by the core.
        let core_wants = (api.key, direction) == (ApiKey::API_VERSIONS, Direction::Response);
        Silence::of(body, &|siblings, field| {
            core_wants && api_versions::wants(field)
                || filters.iter().any(|filter| filter.wants(api, direction, siblings, field))
        })
    };
    let silence = (silence(Direction::Request, api.request), silence(Direction::Response, api.response));
    Some(Offered { versions, plans, silence })
}
