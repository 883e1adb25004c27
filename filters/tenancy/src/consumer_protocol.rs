//! Subscriptions and assignments of classic consumer groups: bytes to Kafka's API, but brokers read the topics in them to decide
//! which committed offsets may expire and when a group moves to the new protocol (KIP-848). So they hold physical names there.
//!
//! User data is the members' own (Kafka Streams and the sticky assignor keep virtual names in it) and stays.

use core::ops::Range;
use std::rc::Rc;

use bifrost_core::edits::{Edits, Replacement};
use bifrost_core::fault::Fault;
use bifrost_core::protocol::{
    CONSUMER_PROTOCOL_ASSIGNMENT, CONSUMER_PROTOCOL_ASSIGNMENT_VERSIONS, CONSUMER_PROTOCOL_SUBSCRIPTION,
    CONSUMER_PROTOCOL_SUBSCRIPTION_VERSIONS, Entity, Field, VersionRange,
};
use bifrost_core::reader::{Input, put_length};
use bifrost_core::walker::{Event, Layout, Value, Walker};

use crate::names::Change;
use crate::string_field::StringField;

/// The protocol type of consumer groups.
pub(crate) const CONSUMER: &[u8] = b"consumer";

const VERSION_BYTES: usize = 2;

/// Renames the topics in a member's bytes; `change` gives `None` for a name that stays.
pub(crate) fn rename<'n>(
    value: &Value<'_>,
    edits: &mut Edits,
    change: impl Fn(&str) -> Option<Change<'n>>,
) -> Result<(), Fault> {
    let Some(blob) = value.bytes else { return Ok(()) };
    let renamed = Blob::of(value.field).renamed(blob, |name| {
        let change = change(name.text()?).filter(|change| *change != Change::NONE)?;
        StringField::of(name)?.changed(&change).ok()
    });
    if let Some(blob) = renamed {
        let mut bytes = Vec::with_capacity(blob.len().saturating_add(5));
        put_length(&mut bytes, value.width, blob.len())?;
        bytes.extend(blob);
        edits.replace(value.range.clone(), bytes);
    }
    Ok(())
}

/// What a member's bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blob {
    /// What it wants.
    Subscription,
    /// What it got.
    Assignment,
}

impl Blob {
    /// What the field with this name holds.
    fn of(field: &Field) -> Blob {
        if field.name.ends_with("Assignment") { Blob::Assignment } else { Blob::Subscription }
    }

    const fn definition(self) -> (&'static [Field], VersionRange) {
        match self {
            Blob::Subscription => (CONSUMER_PROTOCOL_SUBSCRIPTION, CONSUMER_PROTOCOL_SUBSCRIPTION_VERSIONS),
            Blob::Assignment => (CONSUMER_PROTOCOL_ASSIGNMENT, CONSUMER_PROTOCOL_ASSIGNMENT_VERSIONS),
        }
    }

    /// The same with other topic names: `renamed` gives the range to be replaced and what comes there, `None` for a name that
    /// stays. Gives nothing when nothing changes or the bytes are not what they should be: members agree on them without the
    /// gateway.
    fn renamed(
        self,
        blob: &[u8],
        mut renamed: impl FnMut(&Value<'_>) -> Option<(Range<usize>, Replacement)>,
    ) -> Option<Vec<u8>> {
        let (fields, versions) = self.definition();
        let &[high, low, ..] = blob else { return None };
        let version = i16::from_be_bytes([high, low]).min(versions.max);
        if !versions.contains(version) {
            return None;
        }
        let layout = Rc::new(Layout::embedded(fields, version));
        let mut walker = Walker::within(layout, VERSION_BYTES..blob.len());
        let mut out = Vec::with_capacity(blob.len());
        let mut done = 0;
        let mut changed = false;
        loop {
            match walker.next(Input { bytes: blob, base: 0 }).ok()??.1 {
                Event::End => break,
                Event::Value(value) if value.field.entity == Entity::TopicName => {
                    let Some((range, bytes)) = renamed(&value) else { continue };
                    out.extend_from_slice(blob.get(done..range.start)?);
                    out.extend_from_slice(&bytes);
                    done = range.end;
                    changed = true;
                }
                _ => {}
            }
        }
        out.extend_from_slice(blob.get(done..)?);
        changed.then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(value: &Value<'_>) -> Option<(Range<usize>, Replacement)> {
        let name = value.text()?.to_uppercase();
        Some((value.range.end - name.len()..value.range.end, name.into_bytes().into()))
    }

    /// Version 1: topics `ab` and `c`, user data `xy`, owned partition `ab` 0.
    const SUBSCRIPTION: &[u8] = b"\x00\x01\0\0\0\x02\0\x02ab\0\x01c\0\0\0\x02xy\0\0\0\x01\0\x02ab\0\0\0\x01\0\0\0\0";

    #[test]
    fn topics_change_and_user_data_stays() {
        let blob = Blob::Subscription.renamed(SUBSCRIPTION, upper).unwrap();
        assert_eq!(blob, b"\x00\x01\0\0\0\x02\0\x02AB\0\x01C\0\0\0\x02xy\0\0\0\x01\0\x02AB\0\0\0\x01\0\0\0\0");
    }

    #[test]
    fn what_newer_versions_add_is_kept() {
        let mut newer = SUBSCRIPTION.to_vec();
        newer[1] = 9;
        // Generation and rack, then something unknown.
        newer.extend(b"\0\0\0\x07\xff\xffunknown");
        let blob = Blob::Subscription.renamed(&newer, upper).unwrap();
        assert_eq!(blob.len(), newer.len());
        assert!(blob.ends_with(b"unknown") && blob.starts_with(b"\x00\x09\0\0\0\x02\0\x02AB"));
    }

    #[test]
    fn bytes_of_another_kind_are_left_alone() {
        for blob in [&b""[..], b"\0", b"\xff\xff\0\0\0\0", b"not a subscription at all", &SUBSCRIPTION[..9]] {
            assert_eq!(Blob::Subscription.renamed(blob, upper), None);
        }
    }
}
