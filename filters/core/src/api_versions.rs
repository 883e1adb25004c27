//! ApiVersions: clients are offered what the broker, the tables and the filter chain all understand.
//!
//! Rewrites the broker's answer: entries of unknown APIs are dropped, version ranges are narrowed. Produce keeps the
//! broker's lowest version: old librdkafka turns features off when it does not see 0 (KAFKA-18659).
//! A request in a version that the gateway does not know is answered as brokers do: version 0, error 35 (KIP-511).

use crate::edits::Edits;
use crate::fault::Fault;
use crate::filter::Chain;
use crate::protocol::{ApiKey, VersionRange};
use crate::walker::{Array, Event};

/// UNSUPPORTED_VERSION.
pub(crate) const UNSUPPORTED_VERSION: i16 = 35;

/// Where the answer's error code lies: behind size and correlation id in every version.
const ERROR_CODE_AT: usize = 8;

/// The version that an ApiVersions answer is written in: 0 when the broker did not know the request's version.
pub(crate) fn response_version(frame: &[u8], requested: i16) -> i16 {
    let code = frame.get(ERROR_CODE_AT..ERROR_CODE_AT.saturating_add(2));
    if code == Some(&UNSUPPORTED_VERSION.to_be_bytes()) { 0 } else { requested }
}

/// Narrows one ApiVersions answer, event by event.
#[derive(Debug, Default)]
pub(crate) struct Narrowing {
    array: Option<Array>,
    dropped: u32,
    key: Option<ApiKey>,
    min: Option<(core::ops::Range<usize>, i16)>,
    max: Option<(core::ops::Range<usize>, i16)>,
}

impl Narrowing {
    pub(crate) fn on_event(&mut self, chain: &Chain, event: &Event<'_>, edits: &mut Edits) -> Result<(), Fault> {
        match event {
            Event::Array(array) if array.field.name == "ApiKeys" => self.array = Some(array.clone()),
            Event::Value(value) if self.array.is_some() => {
                let number = value.number().and_then(|n| i16::try_from(n).ok());
                let Some(number) = number else { return Ok(()) };
                match value.field.name {
                    "ApiKey" => self.key = Some(ApiKey(number)),
                    "MinVersion" => self.min = Some((value.range.clone(), number)),
                    "MaxVersion" => self.max = Some((value.range.clone(), number)),
                    _ => {}
                }
            }
            Event::ElementEnd(field, range) if field.name == "ApiKeys" => self.element(chain, range.clone(), edits),
            Event::ArrayEnd(array) if array.field.name == "ApiKeys" => {
                self.array = None;
                if self.dropped > 0 {
                    edits.recount(array, array.count.unwrap_or(0).saturating_sub(self.dropped))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn element(&mut self, chain: &Chain, range: core::ops::Range<usize>, edits: &mut Edits) {
        let (Some(key), Some((min_at, min)), Some((max_at, max))) = (self.key.take(), self.min.take(), self.max.take())
        else {
            return;
        };
        let narrowed = chain.versions(key).and_then(|ours| ours.intersect(VersionRange::new(min, max)));
        let Some(narrowed) = narrowed else {
            edits.replace(range, Vec::new());
            self.dropped = self.dropped.saturating_add(1);
            return;
        };
        if narrowed.min != min && key != ApiKey::PRODUCE {
            edits.replace(min_at, narrowed.min.to_be_bytes().to_vec());
        }
        if narrowed.max != max {
            edits.replace(max_at, narrowed.max.to_be_bytes().to_vec());
        }
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
