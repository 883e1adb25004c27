//! ApiVersions: clients are offered what the broker, the tables and the filter chain all understand.
//!
//! Rewrites the broker's answer: entries of unknown APIs are dropped, version ranges are narrowed. Produce keeps the
//! broker's lowest version: old librdkafka turns features off when it does not see 0 (KAFKA-18659). Finalized features
//! whose versions are not offered are lowered or left out.
//! Filters hear of what the broker offers ([`crate::filter::Filter::on_broker_versions`]) and not of the answer's fields.
//! A request in a version that the gateway does not know is answered as brokers do: version 0, error 35 (KIP-511).

use core::cell::RefCell;
use core::ops::Range;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::{Chain, Direction, Message};
use crate::protocol::{ApiKey, Field, VersionRange, api};
use crate::reader::{Input, Reader, Stop, Width, put_length};
use crate::session::walk_whole;
use crate::walker::{Event, Layout, Listeners, RESPONSE_HEAD_BYTES, Value, Walker};

/// UNSUPPORTED_VERSION.
pub(crate) const UNSUPPORTED_VERSION: i16 = 35;

/// Where the answer's error code lies: behind size and correlation id in every version.
const ERROR_CODE_AT: usize = 8;

/// The array behind it.
const ARRAY: &str = "ApiKeys";

/// The version that an ApiVersions answer is written in: 0 when the broker did not know the request's version.
fn response_version(frame: &[u8], requested: i16) -> i16 {
    let code = frame.get(ERROR_CODE_AT..ERROR_CODE_AT.saturating_add(2));
    if code == Some(&UNSUPPORTED_VERSION.to_be_bytes()) { 0 } else { requested }
}

/// A feature that a cluster has finalized, and what a client that reads it will use.
#[derive(Debug)]
struct Feature {
    name: &'static str,
    /// The versions that its clients count on.
    needs: &'static [(ApiKey, i16)],
    /// The highest level that holds without them; at 0 the feature is left out.
    without: i16,
}

/// At `transaction.version` 2 producers stop sending AddPartitionsToTxn and count on Produce 12 to do it (KIP-890).
static FEATURES: &[Feature] = &[
    Feature {
        name: "transaction.version",
        needs: &[(ApiKey::PRODUCE, 12), (ApiKey::TXN_OFFSET_COMMIT, 5), (ApiKey::END_TXN, 5)],
        without: 1,
    },
    Feature { name: "group.version", needs: &[(ApiKey::CONSUMER_GROUP_HEARTBEAT, 0)], without: 0 },
    Feature { name: "share.version", needs: &[(ApiKey::SHARE_GROUP_HEARTBEAT, 0)], without: 0 },
    Feature { name: "streams.version", needs: &[(ApiKey::STREAMS_GROUP_HEARTBEAT, 0)], without: 0 },
];

/// A number of the answer and where it lies.
type Number = Option<(Range<usize>, i16)>;

/// What is known so far of the finalized feature that is being walked.
#[derive(Debug, Default)]
struct Finalized {
    feature: Option<&'static Feature>,
    min: Number,
    max: Number,
}

/// Whether the core wants to hear of a field of the answer. The APIs are read by [`Narrowing::new`]: they are many, and each
/// connection begins with them.
fn wants(field: &Field) -> bool {
    matches!(field.name, "Name" | "MinVersionLevel" | "MaxVersionLevel")
}

/// An answer as the client gets it.
pub(crate) struct Narrowed {
    version: i16,
    /// The broker's answer behind the correlation id.
    theirs: Vec<u8>,
    /// The same for the client.
    pub(crate) ours: Vec<u8>,
    /// What the broker offers, also of what the client is not offered.
    pub(crate) broker: Vec<(ApiKey, VersionRange)>,
}

/// Answers that are remembered: every connection begins with one, and those of a broker are alike.
const KNOWN_MAX: usize = 8;

/// A longer answer is not remembered.
const KNOWN_BYTES_MAX: usize = 16 << 10;

/// Answers that a worker has narrowed before.
#[derive(Default)]
pub(crate) struct Known(RefCell<VecDeque<Rc<Narrowed>>>);

impl Known {
    /// Narrows the answer `frame` to a request of version `requested`.
    pub(crate) fn narrowed(&self, chain: &Chain, frame: &[u8], requested: i16) -> Result<Rc<Narrowed>, Fault> {
        let version = response_version(frame, requested);
        let theirs = frame.get(RESPONSE_HEAD_BYTES..).unwrap_or_default();
        let same = |known: &&Rc<Narrowed>| known.version == version && known.theirs == theirs;
        if let Some(known) = self.0.borrow().iter().find(same) {
            return Ok(Rc::clone(known));
        }
        let narrowed = Rc::new(narrow(chain, frame, version)?);
        if theirs.len() <= KNOWN_BYTES_MAX {
            let mut known = self.0.borrow_mut();
            known.truncate(KNOWN_MAX.saturating_sub(1));
            known.push_front(Rc::clone(&narrowed));
        }
        Ok(narrowed)
    }
}

fn narrow(chain: &Chain, frame: &[u8], version: i16) -> Result<Narrowed, Fault> {
    let api = api(ApiKey::API_VERSIONS).ok_or(Fault::Internal("tables without ApiVersions"))?;
    let mut narrowing = Narrowing::new(chain, frame, api.flexible.contains(version))?;
    let wanted = |_: &'static [Field], field: &'static Field| {
        if wants(field) { Listeners::SESSION } else { Listeners::NONE }
    };
    let mut walker = Walker::new(Rc::new(Layout::response(api, version, &wanted)), frame.len());
    let message =
        Message { api, version, direction: Direction::Response, resizable: true, holdable: false, own: false };
    let on_event = |_: &Message, _, event: &Event<'_>, edits: &mut Edits| narrowing.on_event(event, edits);
    let edited = walk_whole(&mut walker, &message, frame, &mut Edits::default(), on_event)?;
    let body = |frame: &[u8]| frame.get(RESPONSE_HEAD_BYTES..).unwrap_or_default().to_vec();
    let theirs = body(frame);
    let ours = edited.map_or_else(|| theirs.clone(), |frame| body(&frame));
    Ok(Narrowed { version, theirs, ours, broker: narrowing.broker })
}

/// Narrows one ApiVersions answer.
#[derive(Debug, Default)]
struct Narrowing {
    /// What becomes of the APIs.
    apis: Edits,
    element: Finalized,
    /// Elements left out of the array that is being walked.
    dropped: u32,
    /// The highest versions that the client is offered.
    offered: Vec<(ApiKey, i16)>,
    broker: Vec<(ApiKey, VersionRange)>,
}

impl Narrowing {
    /// Narrows the APIs of the answer `frame`, which is flexible from version 3 on.
    ///
    /// Wire: ErrorCode INT16, array of (ApiKey INT16, MinVersion INT16, MaxVersion INT16, tag section when flexible).
    /// Errors: `Malformed`. Source: ApiVersionsResponse.json.
    fn new(chain: &Chain, frame: &[u8], flexible: bool) -> Result<Self, Fault> {
        Self::read(chain, frame, flexible).map_err(|stop| match stop {
            Stop::Fault(fault) => fault,
            Stop::NeedMore => Fault::Malformed { field: ARRAY, at: frame.len() },
        })
    }

    fn read(chain: &Chain, frame: &[u8], flexible: bool) -> Result<Self, Stop> {
        let mut narrowing = Narrowing::default();
        let count_at = ERROR_CODE_AT.saturating_add(2);
        let mut reader = Reader::new(Input { bytes: frame, base: 0 }, count_at, frame.len());
        let width = if flexible { Width::Compact } else { Width::Int32 };
        let count = reader.length(width, ARRAY)?.unwrap_or(0);
        let count_range = count_at..reader.at();
        let mut left = count;
        // Every element takes bytes, so the frame bounds the loop.
        for _ in 0..count {
            let start = reader.at();
            let [key, min, max] = [reader.int16("ApiKey")?, reader.int16("MinVersion")?, reader.int16("MaxVersion")?];
            if flexible {
                for _ in 0..reader.unsigned_varint(ARRAY)? {
                    reader.unsigned_varint(ARRAY)?;
                    let bytes = reader.unsigned_varint(ARRAY)? as usize;
                    reader.skip(bytes, ARRAY)?;
                }
            }
            let (key, theirs) = (ApiKey(key), VersionRange::new(min, max));
            narrowing.broker.push((key, theirs));
            if !narrowing.narrow(chain, key, theirs, start) {
                narrowing.apis.replace(start..reader.at(), Vec::new());
                left = left.saturating_sub(1);
            }
        }
        if left < count {
            let mut bytes = Vec::with_capacity(5);
            put_length(&mut bytes, width, left)?;
            narrowing.apis.replace(count_range, bytes);
        }
        Ok(narrowing)
    }

    /// Narrows the versions of the API whose element begins at `start`; false when none is left.
    fn narrow(&mut self, chain: &Chain, key: ApiKey, theirs: VersionRange, start: usize) -> bool {
        let narrowed = chain.versions(key).and_then(|ours| ours.intersect(theirs));
        let Some(narrowed) = narrowed else { return false };
        let (min_at, max_at, end) = (start.saturating_add(2), start.saturating_add(4), start.saturating_add(6));
        if narrowed.min != theirs.min && key != ApiKey::PRODUCE {
            self.apis.replace(min_at..max_at, narrowed.min.to_be_bytes().as_slice());
        }
        if narrowed.max != theirs.max {
            self.apis.replace(max_at..end, narrowed.max.to_be_bytes().as_slice());
        }
        self.offered.push((key, narrowed.max));
        true
    }

    /// Narrows what stands behind the APIs.
    fn on_event(&mut self, event: &Event<'_>, edits: &mut Edits) -> Result<(), Fault> {
        match event {
            Event::Element(..) => self.element = Finalized::default(),
            Event::Value(value) => self.value(value),
            Event::ElementEnd(field, range) if field.name == "FinalizedFeatures" => {
                let element = core::mem::take(&mut self.element);
                if !self.lower(element, edits) {
                    edits.replace(range.clone(), Vec::new());
                    self.dropped = self.dropped.saturating_add(1);
                }
            }
            Event::ArrayEnd(array) => {
                let dropped = core::mem::take(&mut self.dropped);
                if dropped > 0 {
                    edits.recount(array, array.count.unwrap_or(0).saturating_sub(dropped))?;
                }
            }
            Event::End => edits.append(&mut self.apis),
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>) {
        let placed = || {
            let number = value.number().and_then(|number| i16::try_from(number).ok())?;
            Some((value.range.clone(), number))
        };
        match value.field.name {
            "Name" => self.element.feature = FEATURES.iter().find(|feature| value.text() == Some(feature.name)),
            "MinVersionLevel" => self.element.min = placed(),
            "MaxVersionLevel" => self.element.max = placed(),
            _ => {}
        }
    }

    /// Lowers a finalized feature to the level that holds with the offered versions; false when it has none.
    fn lower(&self, element: Finalized, edits: &mut Edits) -> bool {
        let Some(feature) = element.feature else { return true };
        if feature.needs.iter().all(|need| self.offers(*need)) {
            return true;
        }
        for (at, level) in [element.min, element.max].into_iter().flatten() {
            if feature.without > 0 && level > feature.without {
                edits.replace(at, feature.without.to_be_bytes().as_slice());
            }
        }
        feature.without > 0
    }

    fn offers(&self, (wanted, version): (ApiKey, i16)) -> bool {
        self.offered.iter().any(|(key, max)| *key == wanted && *max >= version)
    }
}

/// The harmless request that is sent in place of one we answer ourselves: ApiVersions version 0, no ClientId.
pub(crate) fn carrier(correlation_id: i32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14);
    frame.extend_from_slice(&10i32.to_be_bytes());
    frame.extend_from_slice(&ApiKey::API_VERSIONS.0.to_be_bytes());
    frame.extend_from_slice(&0i16.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&(-1i16).to_be_bytes());
    frame
}

/// The answer to an ApiVersions request of unknown version: version 0, error 35, and the range of ApiVersions itself.
pub(crate) fn refusal(chain: &Chain, correlation_id: i32) -> Vec<u8> {
    let versions = chain.versions(ApiKey::API_VERSIONS).unwrap_or(VersionRange::new(0, 0));
    let mut frame = Vec::with_capacity(20);
    frame.extend_from_slice(&16i32.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&UNSUPPORTED_VERSION.to_be_bytes());
    frame.extend_from_slice(&1i32.to_be_bytes());
    frame.extend_from_slice(&ApiKey::API_VERSIONS.0.to_be_bytes());
    frame.extend_from_slice(&versions.min.to_be_bytes());
    frame.extend_from_slice(&versions.max.to_be_bytes());
    frame
}
