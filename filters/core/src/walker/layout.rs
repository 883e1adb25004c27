//! A message's fields in one version, worked out once: which ones are there, how each is written, and who wants to hear of it.
//!
//! Walks over live bytes go by this list and decide nothing that does not depend on the bytes.

use core::ops::Range;

use crate::protocol::{Api, ApiKey, Entity, Field, Kind, VersionRange};
use crate::reader::Width;

/// What a request header holds behind the correlation id (versions 1 and 2; 2 adds a tag section).
/// Source: RequestHeader.json. The ClientId keeps its int16 length in flexible versions.
static REQUEST_HEADER: &[Field] = &[Field {
    name: "ClientId",
    kind: Kind::String,
    array: false,
    versions: VersionRange::new(0, i16::MAX),
    nullable: VersionRange::new(0, i16::MAX),
    tagged: VersionRange::NONE,
    tag: 0,
    entity: Entity::None,
    fields: &[],
}];

/// Who wants to hear of something: a bit for each filter of a chain, and one for the session itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners(u32);

impl Listeners {
    /// Nobody.
    pub const NONE: Listeners = Listeners(0);
    /// Everybody.
    pub const ALL: Listeners = Listeners(u32::MAX);
    /// The session, for its own needs.
    pub const SESSION: Listeners = Listeners(1 << FILTERS);

    /// The filter at this place in the chain. Beyond the thirtieth, filters share a bit.
    #[must_use]
    pub fn filter(index: usize) -> Self {
        let bit = u32::try_from(index).unwrap_or(FILTERS).min(FILTERS.saturating_sub(1));
        Listeners(1u32.wrapping_shl(bit))
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Listeners) -> Self {
        Listeners(self.0 | others.0)
    }

    /// True when one of `others` is among them.
    #[must_use]
    pub fn any_of(self, others: Listeners) -> bool {
        self.0 & others.0 != 0
    }

    /// True when nobody listens.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Filters with a bit of their own.
const FILTERS: u32 = 31;

/// Who wants to hear of a field, asked with the list that the field is in.
pub type Wanted<'a> = dyn Fn(&'static [Field], &'static Field) -> Listeners + 'a;

/// The fields of one message in one version.
#[derive(Debug)]
pub struct Layout {
    structs: Vec<Struct>,
    places: Vec<Place>,
    pub(super) flexible: bool,
    pub(super) is_request: bool,
    /// The struct in front of the body, when there is one.
    pub(super) header: Option<usize>,
    pub(super) body: usize,
    /// Whoever hears of anything, hears of the end.
    pub(super) listeners: Listeners,
}

/// The fields of a struct.
#[derive(Debug)]
pub(super) struct Struct {
    /// Those in wire order.
    pub(super) fields: Range<usize>,
    /// Those of the tag section.
    pub(super) tagged: Range<usize>,
    /// Nobody wants to hear of the tag section.
    pub(super) quiet_tags: bool,
    /// From this place on no field holds records.
    pub(super) trailer: usize,
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) field: &'static Field,
    /// Who wants to hear of it. Of an array or struct also whoever wants to hear of something in it.
    pub(super) listeners: Listeners,
    pub(super) nullable: bool,
    /// How the length is written, of an array that of its elements.
    pub(super) width: Width,
    /// Bytes of a value that has always as many.
    pub(super) size: Option<usize>,
    /// Record bytes lie in it.
    pub(super) holds_records: bool,
    /// The fields of a struct; meaningless for other types.
    pub(super) inner: usize,
    /// Silent fields of fixed size from this one on, which are passed together: how many, and their bytes.
    pub(super) run: (usize, usize),
}

impl Layout {
    /// A request's header and body.
    #[must_use]
    pub fn request(api: &'static Api, version: i16, wanted: &Wanted<'_>) -> Self {
        let flexible = api.flexible.contains(version);
        let mut layout = Self::empty(flexible);
        layout.is_request = true;
        let header = Builder { version, flexible: false, wanted }.add(&mut layout, REQUEST_HEADER);
        layout.header = Some(header.index);
        layout.add_body(api.request, version, wanted);
        layout.listeners = layout.listeners.and(header.listeners);
        layout
    }

    /// A response's header, behind the correlation id, and body.
    #[must_use]
    pub fn response(api: &'static Api, version: i16, wanted: &Wanted<'_>) -> Self {
        let mut layout = Self::empty(api.flexible.contains(version));
        // ApiVersions answers have header version 0 in every version (KIP-511).
        if layout.flexible && api.key != ApiKey::API_VERSIONS {
            layout.header = Some(Builder { version, flexible: true, wanted }.add(&mut layout, &[]).index);
        }
        layout.add_body(api.response, version, wanted);
        layout
    }

    /// A struct that lies inside a bytes field, as in the consumer protocol; never flexible. What follows its last field is left
    /// alone, because newer versions add fields at the end.
    #[must_use]
    pub fn embedded(fields: &'static [Field], version: i16) -> Self {
        let mut layout = Self::empty(false);
        layout.is_request = true;
        layout.add_body(fields, version, &|_, _| Listeners::ALL);
        layout
    }

    /// The same, whose end these hear of, too.
    #[must_use]
    pub(crate) fn ending_for(mut self, listeners: Listeners) -> Self {
        self.listeners = self.listeners.and(listeners);
        self
    }

    fn empty(flexible: bool) -> Self {
        let (structs, places) = (Vec::new(), Vec::new());
        Layout { structs, places, flexible, is_request: false, header: None, body: 0, listeners: Listeners::NONE }
    }

    fn add_body(&mut self, fields: &'static [Field], version: i16, wanted: &Wanted<'_>) {
        let body = Builder { version, flexible: self.flexible, wanted }.add(self, fields);
        (self.body, self.listeners) = (body.index, body.listeners);
    }

    pub(super) fn fields(&self, index: usize) -> Option<&Struct> {
        self.structs.get(index)
    }

    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    /// The tagged field of this number.
    pub(super) fn tagged(&self, of: usize, tag: u32) -> Option<usize> {
        let tagged = self.fields(of)?.tagged.clone();
        let places = self.places.get(tagged.clone())?;
        Some(tagged.start.saturating_add(places.iter().position(|place| place.field.tag == tag)?))
    }
}

/// Record bytes and `Acks` are always told: a session needs them.
fn session_needs(field: &Field) -> Listeners {
    if field.kind == Kind::Records || field.name == "Acks" { Listeners::SESSION } else { Listeners::NONE }
}

/// Adds structs of one version to a layout.
struct Builder<'a> {
    version: i16,
    flexible: bool,
    wanted: &'a Wanted<'a>,
}

/// A struct that has been added.
struct Added {
    index: usize,
    listeners: Listeners,
    holds_records: bool,
}

impl Builder<'_> {
    fn add(&self, layout: &mut Layout, fields: &'static [Field]) -> Added {
        let here = fields.iter().filter(|field| field.versions.contains(self.version));
        let (tagged, plain): (Vec<_>, Vec<_>) = here.partition(|field| field.tagged.contains(self.version));
        let mut of = |list: Vec<&'static Field>| -> Vec<Place> {
            list.into_iter().map(|field| self.place(layout, fields, field)).collect()
        };
        let (mut plain, tagged) = (of(plain), of(tagged));
        let mut run = (0usize, 0usize);
        for place in plain.iter_mut().rev() {
            run = match place.size.filter(|_| place.listeners.is_none() && !place.field.array) {
                Some(size) => (run.0.saturating_add(1), run.1.saturating_add(size)),
                None => (0, 0),
            };
            place.run = run;
        }
        let all = || plain.iter().chain(&tagged);
        let listeners = all().fold(Listeners::NONE, |sum, place| sum.and(place.listeners));
        let holds_records = all().any(|place| place.holds_records);
        let first = layout.places.len();
        let behind = first.saturating_add(plain.len());
        let records = plain.iter().rposition(|place| place.holds_records);
        let trailer = records.map_or(first, |at| first.saturating_add(at).saturating_add(1));
        let quiet_tags = tagged.iter().all(|place| place.listeners.is_none());
        let tags = behind..behind.saturating_add(tagged.len());
        layout.places.extend(plain);
        layout.places.extend(tagged);
        let index = layout.structs.len();
        layout.structs.push(Struct { fields: first..behind, tagged: tags, quiet_tags, trailer });
        Added { index, listeners, holds_records }
    }

    fn place(&self, layout: &mut Layout, siblings: &'static [Field], field: &'static Field) -> Place {
        let inner = if field.kind == Kind::Struct {
            self.add(layout, field.fields)
        } else {
            Added { index: 0, listeners: Listeners::NONE, holds_records: field.kind == Kind::Records }
        };
        let wanted = (self.wanted)(siblings, field).and(session_needs(field));
        Place {
            field,
            listeners: wanted.and(inner.listeners),
            nullable: field.nullable.contains(self.version),
            width: match field.kind {
                _ if self.flexible => Width::Compact,
                Kind::String => Width::Int16,
                _ => Width::Int32,
            },
            size: fixed_size(field.kind),
            holds_records: inner.holds_records,
            inner: inner.index,
            run: (0, 0),
        }
    }
}

/// Whether the elements of an array of this type are reported: plain numbers are not, nobody edits them one by one.
pub(super) const fn is_walked(kind: Kind) -> bool {
    fixed_size(kind).is_none() || matches!(kind, Kind::Uuid)
}

/// Bytes of a fixed-size type.
const fn fixed_size(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Bool | Kind::Int8 => Some(1),
        Kind::Int16 | Kind::Uint16 => Some(2),
        Kind::Int32 | Kind::Uint32 => Some(4),
        Kind::Int64 | Kind::Float64 => Some(8),
        Kind::Uuid => Some(16),
        Kind::String | Kind::Bytes | Kind::Records | Kind::Struct => None,
    }
}
