//! What a filter is, and the chain that a virtual cluster's configuration makes of filters.

use core::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::api_versions;
use crate::edits::Edits;
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::Limits;
use crate::principal::Principal;
use crate::protocol::{APIS, Api, ApiKey, Field, VersionRange, api};
use crate::session::Spare;
use crate::walker::{Event, Layout, Listeners};

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
    /// It can be held ([`Context::hold`]): it is a request, and nothing of it has been passed on.
    pub holdable: bool,
    /// The answer to a request that a filter sent ([`Context::send`]); the client does not see it.
    pub own: bool,
}

/// What begins a message, before anybody has looked at the rest of it.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its API.
    pub api: &'static Api,
    /// Its version.
    pub version: i16,
    /// Its way.
    pub direction: Direction,
    /// Bytes of its frame, size field included.
    pub frame_bytes: usize,
    /// The client id of a request, as the client wrote it. `None`: null, or an answer.
    pub client_id: Option<&'a [u8]>,
    /// Who the client is.
    pub principal: &'a Principal,
}

/// Longest pause that a filter may ask for. A pause that seems longer is one from before the clock was set back; it is over.
pub const PAUSE_MS_MAX: u64 = 60_000;

/// What a filter that has seen a [`Head`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heed {
    /// How much of this answer has to be seen, beyond what [`FilterConfig::plan`] says. Of no effect for a request.
    pub plan: Plan,
    /// See [`Context::pause_until`]; 0 is no pause.
    pub pause_until_ms: u64,
}

impl Heed {
    /// Nothing.
    pub const NONE: Heed = Heed { plan: Plan::Pass, pause_until_ms: 0 };
}

/// What a filter may use and ask for while it looks at a message.
pub struct Context<'a> {
    /// Changes to the message.
    pub edits: &'a mut Edits,
    /// Shared state and counters.
    pub host: &'a mut dyn Host,
    /// Who the client is.
    pub principal: &'a Principal,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) memos: &'a mut Vec<u64>,
    /// The filter's place in the chain.
    pub(crate) filter: usize,
}

/// A request of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its API.
    pub key: ApiKey,
    /// Its version.
    pub version: i16,
    /// What follows the request header.
    pub body: Vec<u8>,
}

/// What filters have asked for during one message.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) hold: bool,
    pub(crate) release: bool,
    pub(crate) pause_until_ms: u64,
    pub(crate) own: Vec<Question>,
}

impl Context<'_> {
    /// Answers the request in the broker's place with this response body. Only for requests that are seen whole; other
    /// edits of the request are dropped.
    pub fn answer(&mut self, body: Vec<u8>) {
        self.wishes.answer = Some(body);
    }

    /// Holds the request, and all that the client sends behind it, until [`Context::release`]; then the filters see it again.
    /// Only for requests that are [`Message::holdable`]. One that streams is not held yet but collected, and then seen again, whole
    /// ([`Filter::forget`]).
    pub fn hold(&mut self) {
        self.wishes.hold = true;
    }

    /// Lets held requests go.
    pub fn release(&mut self) {
        self.wishes.release = true;
    }

    /// Reads no further request of the client until [`Host::now_ms`] has come to this, at most [`PAUSE_MS_MAX`] from now; answers go
    /// on. Of several pauses the longest counts.
    pub fn pause_until(&mut self, now_ms: u64) {
        self.wishes.pause_until_ms = self.wishes.pause_until_ms.max(now_ms);
    }

    /// Sends a request of the gateway's own with this body on the client's upstream connection, between two requests of the
    /// client. All filters see the answer, with [`Message::own`] set.
    pub fn send(&mut self, key: ApiKey, version: i16, body: Vec<u8>) {
        self.wishes.own.push(Question { key, version, body });
    }

    /// Keeps a number of this filter's own with the request until its answer has passed.
    pub fn remember(&mut self, memo: u64) {
        if self.filter >= self.memos.len() {
            self.memos.resize(self.filter.saturating_add(1), 0);
        }
        if let Some(own) = self.memos.get_mut(self.filter) {
            *own = memo;
        }
    }

    /// What was remembered of the request that this message is, or answers; 0 when nothing was.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        self.memos.get(self.filter).copied().unwrap_or(0)
    }
}

/// A configured filter of a virtual cluster: what is decided once, for all connections.
pub trait FilterConfig {
    /// The versions of `key` that this filter understands. What a filter does not understand is not offered to clients.
    fn supported(&self, key: ApiKey) -> Option<VersionRange>;

    /// What this filter must see of such a message.
    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan;

    /// Whether this filter wants to hear of `field`, one of `siblings`, in such messages whose plan is not [`Plan::Pass`], or an
    /// answer that it heeds. What no filter wants is checked in silence, which is several times as fast; arrays are told when anything in them is.
    fn wants(
        &self,
        _api: &'static Api,
        _direction: Direction,
        _siblings: &'static [Field],
        _field: &'static Field,
    ) -> bool {
        true
    }

    /// What this filter has to know of the upstream before any request of the client reaches it. Only those by which a client
    /// logs in go first (ApiVersions, SaslHandshake, SaslAuthenticate), because a broker takes no others before. The next one
    /// is held until the answer has come, which the filter hears whatever its plan is; its fault then ends the connection.
    fn asks_first(&self) -> Option<Question> {
        None
    }

    /// Whether [`Filter::on_head`] is to be called.
    fn heeds_heads(&self) -> bool {
        false
    }

    /// The filter's state for a new connection.
    fn connect(&self) -> Box<dyn Filter>;
}

/// A filter's state for one connection. A client has many connections, so this never sees all its traffic.
pub trait Filter {
    /// The versions that the broker offers, each time an ApiVersions answer tells them. A range may be empty.
    fn on_broker_versions(&mut self, _offered: &[(ApiKey, VersionRange)]) {}

    /// Called when a connection has come, before its first byte.
    ///
    /// # Errors
    /// A fault closes the connection.
    fn on_connection(&mut self, _host: &mut dyn Host) -> Result<(), Fault> {
        Ok(())
    }

    /// Called once for every request of the client and every answer of the broker to one, whatever its plan, before
    /// [`Filter::on_event`]; only if [`FilterConfig::heeds_heads`].
    ///
    /// # Errors
    /// A fault closes the connection.
    fn on_head(&mut self, _head: &Head<'_>, _host: &mut dyn Host) -> Result<Heed, Fault> {
        Ok(Heed::NONE)
    }

    /// The request that is being walked will be seen again from its beginning: nothing of what was met in it counts.
    fn forget(&mut self) {}

    /// Called for everything that this filter wants to hear of in a message, and for the message's end.
    ///
    /// # Errors
    /// A fault closes the connection.
    fn on_event(&mut self, message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault>;
}

/// What the chain does with messages of one API.
struct Offered {
    api: &'static Api,
    versions: VersionRange,
    /// From `versions.min` upwards.
    ways: Vec<Ways>,
}

/// What the chain does with messages of one version.
struct Ways {
    request: Way,
    response: Way,
}

/// What the chain does with messages of one version and direction.
struct Way {
    plan: Plan,
    /// Worked out when the first such message comes: clients use few of all versions.
    layout: OnceCell<Rc<Layout>>,
    /// With what filters want to hear of that see how messages begin.
    heeded: OnceCell<Rc<Layout>>,
}

/// The filters of a virtual cluster in order, with everything about them that does not depend on a connection.
pub struct Chain {
    filters: Vec<Box<dyn FilterConfig>>,
    limits: Limits,
    /// By API key.
    offered: Vec<Option<Offered>>,
    /// What is asked on every connection before the client's requests.
    first_questions: Vec<Question>,
    heeds_heads: bool,
    /// Bytes that all connections of this worker keep in memory.
    held_bytes: Cell<usize>,
    spare: Spare,
    narrowed: api_versions::Known,
}

impl Chain {
    /// Puts a chain together. Client side first.
    #[must_use]
    pub fn new(filters: Vec<Box<dyn FilterConfig>>, limits: Limits) -> Self {
        let heeds_heads = filters.iter().any(|filter| filter.heeds_heads());
        let keys = APIS.iter().map(|api| api.key.0).max().map_or(0..=0, |max| 0..=max);
        let offered = keys.map(|key| offered(&filters, api(ApiKey(key))?)).collect();
        let first_questions = filters.iter().filter_map(|filter| filter.asks_first()).collect();
        Chain {
            filters,
            limits,
            offered,
            first_questions,
            heeds_heads,
            held_bytes: Cell::new(0),
            spare: Spare::default(),
            narrowed: api_versions::Known::default(),
        }
    }

    /// The bounds of the data path.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// ApiVersions answers, narrowed to what all filters understand.
    pub(crate) fn narrowed(&self) -> &api_versions::Known {
        &self.narrowed
    }

    /// Memory that the connections of this worker take turns with.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// The versions of `key` that clients may use, or `None` when the API is hidden.
    #[must_use]
    pub fn versions(&self, key: ApiKey) -> Option<VersionRange> {
        Some(self.find(key)?.versions)
    }

    /// The API and the plans of request and response, or `None` when that version is not offered.
    pub(crate) fn plans(&self, key: ApiKey, version: i16) -> Option<(&'static Api, Plan, Plan)> {
        let (offered, ways) = self.ways(key, version)?;
        Some((offered.api, ways.request.plan, ways.response.plan))
    }

    pub(crate) fn first_questions(&self) -> &[Question] {
        &self.first_questions
    }

    /// The fields of such a message, and who wants to hear of them.
    pub(crate) fn layout(&self, api: &'static Api, version: i16, direction: Direction) -> Rc<Layout> {
        let work_out = || Rc::new(self.work_out(api, version, direction, false));
        let Some((_, ways)) = self.ways(api.key, version) else { return work_out() };
        let way = if direction == Direction::Request { &ways.request } else { &ways.response };
        Rc::clone(way.layout.get_or_init(work_out))
    }

    /// The same for an answer, `heeded` by a filter that wants to see more of it than its plan says.
    pub(crate) fn answer_layout(&self, api: &'static Api, version: i16, heeded: bool) -> Rc<Layout> {
        let direction = Direction::Response;
        if !heeded {
            return self.layout(api, version, direction);
        }
        let work_out = || Rc::new(self.work_out(api, version, direction, true));
        let Some((_, ways)) = self.ways(api.key, version) else { return work_out() };
        Rc::clone(ways.response.heeded.get_or_init(work_out))
    }

    fn work_out(&self, api: &'static Api, version: i16, direction: Direction, heeded: bool) -> Layout {
        let all = self.filters.iter().enumerate();
        let asks = |filter: &dyn FilterConfig| {
            let question = filter.asks_first().filter(|_| direction == Direction::Response);
            question.is_some_and(|question| (question.key, question.version) == (api.key, version))
        };
        let hears = |filter: &dyn FilterConfig| {
            filter.plan(api, version, direction) != Plan::Pass || (heeded && filter.heeds_heads()) || asks(filter)
        };
        let hear: Vec<_> = all.filter(|(_, filter)| hears(filter.as_ref())).collect();
        let wanted = |siblings: &'static [Field], field: &'static Field| {
            let wanting = hear.iter().filter(|(_, filter)| filter.wants(api, direction, siblings, field));
            wanting.fold(Listeners::NONE, |sum, (index, _)| sum.and(Listeners::filter(*index)))
        };
        let layout = match direction {
            Direction::Request => Layout::request(api, version, &wanted),
            Direction::Response => Layout::response(api, version, &wanted),
        };
        hear.iter().fold(layout, |layout, (index, _)| layout.ending_for(Listeners::filter(*index)))
    }

    /// Whether a filter wants to see how messages begin.
    pub(crate) fn heeds_heads(&self) -> bool {
        self.heeds_heads
    }

    /// Whether `bytes` more may be kept for a reason that can be given up: half of the worker's memory stays for the others.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let max = self.limits.worker_held_bytes_max as usize / 2;
        bytes <= self.limits.held_bytes_max as usize && self.held_bytes.get().saturating_add(bytes) <= max
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
        self.offered.get(usize::try_from(key.0).ok()?)?.as_ref()
    }

    fn ways(&self, key: ApiKey, version: i16) -> Option<(&Offered, &Ways)> {
        let offered = self.find(key)?;
        let at = usize::try_from(version.checked_sub(offered.versions.min)?).ok()?;
        Some((offered, offered.ways.get(at)?))
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
    let way =
        |version, direction| Way { plan: plan(version, direction), layout: OnceCell::new(), heeded: OnceCell::new() };
    let ways = (versions.min..=versions.max)
        .map(|version| Ways { request: way(version, Direction::Request), response: way(version, Direction::Response) })
        .collect();
    Some(Offered { api, versions, ways })
}
