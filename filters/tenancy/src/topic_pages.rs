//! DescribeTopicPartitions (KIP-966) lists topics page by page in the order of their physical names. Without help a page could
//! be full of others' topics.

use core::ops::Range;

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::reader::{Width, string_bytes};
use bifrost_core::walker::Value;

use crate::names::{Change, Names, Origin};
use crate::string_field::StringField;

/// The request that is being walked.
#[derive(Default)]
pub(crate) struct TopicPageRequest {
    /// It names no topic, so it wants all.
    pub(crate) all_topics: bool,
    /// Where a cursor would be.
    pub(crate) no_cursor: Option<Range<usize>>,
}

impl TopicPageRequest {
    /// The first page begins at the first name that could be the tenant's.
    pub(crate) fn end(&self, names: &Names, edits: &mut Edits) -> Result<(), Fault> {
        let prefix = names.topics.prefix();
        let Some(no_cursor) = self.no_cursor.as_ref().filter(|_| self.all_topics && !prefix.is_empty()) else {
            return Ok(());
        };
        let mut cursor = vec![1];
        cursor.extend(string_bytes(Width::Compact, prefix)?);
        // Partition 0, no tags.
        cursor.extend([0; 5]);
        edits.replace(no_cursor.clone(), cursor);
        Ok(())
    }
}

/// The answer that is being walked.
#[derive(Default)]
pub(crate) struct TopicPage {
    /// A topic of others was met, so all that follow are.
    pub(crate) past_own_topics: bool,
    /// The name and what makes it virtual, nothing when it is foreign.
    next: Option<(StringField, Option<(usize, String)>)>,
}

impl TopicPage {
    /// The topic that the next page begins with.
    pub(crate) fn next_topic(&mut self, field: StringField, origin: &Origin<'_>) {
        let change = match origin {
            Origin::Own(change) => Some((change.cut, change.put.to_owned())),
            _ => None,
        };
        self.next = Some((field, change));
    }

    /// Its partition: the cursor is complete. There is no next page when it would be of others.
    pub(crate) fn next_partition(&mut self, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let Some((name, change)) = self.next.take() else { return Ok(()) };
        match change.filter(|_| !self.past_own_topics) {
            Some((cut, put)) => name.change(&Change { cut, put: &put }, edits),
            None => {
                // From the marker before the name to the tag section behind the number.
                let range = name.range().start.saturating_sub(1)..value.range.end.saturating_add(1);
                edits.replace(range, vec![0xff]);
                Ok(())
            }
        }
    }
}
