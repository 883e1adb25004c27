//! ApiVersions: clients are offered what the broker, the tables and the filter chain all understand.
//!
//! Rewrites the broker's answer: entries of unknown APIs are dropped, version ranges are narrowed. Produce keeps the
//! broker's lowest version: old librdkafka turns features off when it does not see 0 (KAFKA-18659). Finalized features
//! whose versions are not offered are lowered or left out.
//! A request in a version that the gateway does not know is answered as brokers do: version 0, error 35 (KIP-511).

use core::ops::Range;

use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::Chain;
use crate::protocol::{ApiKey, VersionRange};
use crate::walker::{Event, Value};

/// UNSUPPORTED_VERSION.
pub(crate) const UNSUPPORTED_VERSION: i16 = 35;

/// Where the answer's error code lies: behind size and correlation id in every version.
const ERROR_CODE_AT: usize = 8;

/// The version that an ApiVersions answer is written in: 0 when the broker did not know the request's version.
pub(crate) fn response_version(frame: &[u8], requested: i16) -> i16 {
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

/// What is known so far of the element that is being walked.
#[derive(Debug, Default)]
struct Element {
    key: Option<ApiKey>,
    feature: Option<&'static Feature>,
    min: Number,
    max: Number,
}

/// Narrows one ApiVersions answer, event by event.
#[derive(Debug, Default)]
pub(crate) struct Narrowing {
    element: Element,
    /// Elements left out of the array that is being walked.
    dropped: u32,
    /// The highest versions that the client is offered. They come before the features on the wire.
    offered: Vec<(ApiKey, i16)>,
}

impl Narrowing {
    pub(crate) fn on_event(&mut self, chain: &Chain, event: &Event<'_>, edits: &mut Edits) -> Result<(), Fault> {
        match event {
            Event::Element(..) => self.element = Element::default(),
            Event::Value(value) => self.value(value),
            Event::ElementEnd(field, range) => {
                let element = core::mem::take(&mut self.element);
                let stays = match field.name {
                    "ApiKeys" => self.narrow(chain, element, edits),
                    "FinalizedFeatures" => self.lower(element, edits),
                    _ => true,
                };
                if !stays {
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
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>) {
        let number = || value.number().and_then(|number| i16::try_from(number).ok());
        let placed = || number().map(|number| (value.range.clone(), number));
        match value.field.name {
            "ApiKey" => self.element.key = number().map(ApiKey),
            "Name" => self.element.feature = FEATURES.iter().find(|feature| value.text() == Some(feature.name)),
            "MinVersion" | "MinVersionLevel" => self.element.min = placed(),
            "MaxVersion" | "MaxVersionLevel" => self.element.max = placed(),
            _ => {}
        }
    }

    /// Narrows the versions of an API; false when none is left.
    fn narrow(&mut self, chain: &Chain, element: Element, edits: &mut Edits) -> bool {
        let Element { key: Some(key), min: Some((min_at, min)), max: Some((max_at, max)), .. } = element else {
            return false;
        };
        let narrowed = chain.versions(key).and_then(|ours| ours.intersect(VersionRange::new(min, max)));
        let Some(narrowed) = narrowed else { return false };
        if narrowed.min != min && key != ApiKey::PRODUCE {
            edits.replace(min_at, narrowed.min.to_be_bytes().to_vec());
        }
        if narrowed.max != max {
            edits.replace(max_at, narrowed.max.to_be_bytes().to_vec());
        }
        self.offered.push((key, narrowed.max));
        true
    }

    /// Lowers a finalized feature to the level that holds with the offered versions; false when it has none.
    fn lower(&self, element: Element, edits: &mut Edits) -> bool {
        let Some(feature) = element.feature else { return true };
        if feature.needs.iter().all(|need| self.offers(*need)) {
            return true;
        }
        for (at, level) in [element.min, element.max].into_iter().flatten() {
            if feature.without > 0 && level > feature.without {
                edits.replace(at, feature.without.to_be_bytes().to_vec());
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
