//! The shape of Kafka's message definitions as data: what a generated table is made of.

use core::fmt;

/// Number of a Kafka API. Open: an unknown key survives decoding and logging.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ApiKey {
    /// `Fetch(1)`, or `unknown(999)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = super::api(*self).map_or("unknown", |api| api.name);
        write!(f, "{name}({})", self.0)
    }
}

/// An inclusive range of versions of one API; `NONE` holds no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Lowest version.
    pub min: i16,
    /// Highest version.
    pub max: i16,
}

impl VersionRange {
    /// Holds no version at all.
    pub const NONE: VersionRange = VersionRange { min: 1, max: 0 };

    /// `min..=max`.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        VersionRange { min, max }
    }

    /// True when `version` lies inside.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions in both ranges, or `None`.
    #[must_use]
    pub fn intersect(self, other: VersionRange) -> Option<VersionRange> {
        let (min, max) = (self.min.max(other.min), self.max.min(other.max));
        (min <= max).then_some(VersionRange { min, max })
    }
}

/// Wire type of a field, or of the elements of an array field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kafka's own type names")]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct,
}

/// What a field means to a gateway. Kafka's own annotations, completed by `corrections.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Entity {
    /// Nothing a gateway has to know.
    None,
    /// A topic's name.
    TopicName,
    /// A topic's id.
    TopicId,
    /// A group's id, whatever its type.
    GroupId,
    /// A transactional id.
    TransactionalId,
    /// Host of a broker or controller. Its node id comes before it in wire order.
    BrokerHost,
    /// Port of a broker or controller. Its host comes before it in wire order.
    BrokerPort,
    /// A node id.
    BrokerId,
    /// The cluster's id.
    ClusterId,
    /// A log offset; not a difference of offsets, not a timestamp that asks for one.
    Offset,
    /// A name whose meaning another field or the request tells, and the INT8 or string type and pattern
    /// fields beside such a name: they come as entities so that a filter meets them on its way.
    ResourceName,
    /// A user or token identity.
    Principal,
    /// Address of a client or an application, not of a broker.
    ClientAddress,
    /// An error code.
    ErrorCode,
    /// Free text that may quote physical names.
    ErrorMessage,
    /// How long the client shall wait (KIP-219), milliseconds.
    ThrottleTimeMs,
    /// Record batches or message sets.
    Records,
    /// Bytes of a group protocol that embed names.
    MemberMetadata,
    /// A producer id.
    ProducerId,
    /// Bit set of authorized operations.
    AuthorizedOps,
    /// Client or broker text that a gateway should not read.
    Opaque,
}

/// One field of a message or struct, in wire order.
///
/// In the versions of `tagged` it lies in the tag section that ends its struct, in those of `versions`
/// that are not in `tagged` at its place in the list.
#[derive(Debug)]
pub struct Field {
    /// Kafka's name of the field.
    pub name: &'static str,
    /// Type, or type of the elements when `array`.
    pub kind: Kind,
    /// An array of `kind`.
    pub array: bool,
    /// Versions in which the field exists, tagged or not.
    pub versions: VersionRange,
    /// Versions in which it may be null.
    pub nullable: VersionRange,
    /// Versions in which it is a tagged field.
    pub tagged: VersionRange,
    /// Its tag number in the versions of `tagged`.
    pub tag: u32,
    /// What it means to a gateway.
    pub entity: Entity,
    /// Fields of the struct when `kind` is `Struct`.
    pub fields: &'static [Field],
}

/// One API: its versions and the fields of both bodies.
#[derive(Debug)]
pub struct Api {
    /// The key in the request header.
    pub key: ApiKey,
    /// Kafka's name, for instance `Produce`.
    pub name: &'static str,
    /// Versions the tables describe.
    pub versions: VersionRange,
    /// Versions with compact encodings and tag sections (KIP-482).
    pub flexible: VersionRange,
    /// Fields of the request body.
    pub request: &'static [Field],
    /// Fields of the response body.
    pub response: &'static [Field],
}

// Constructors that keep the generated table short to read and to review.

/// A plain field.
pub(super) const fn field(name: &'static str, kind: Kind, min: i16, max: i16) -> Field {
    Field {
        name,
        kind,
        array: false,
        versions: VersionRange::new(min, max),
        nullable: VersionRange::NONE,
        tagged: VersionRange::NONE,
        tag: 0,
        entity: Entity::None,
        fields: &[],
    }
}

/// A struct, which is a field whose value has fields.
pub(super) const fn structure(name: &'static str, min: i16, max: i16, fields: &'static [Field]) -> Field {
    let mut this = field(name, Kind::Struct, min, max);
    this.fields = fields;
    this
}

impl Field {
    pub(super) const fn array(mut self) -> Self {
        self.array = true;
        self
    }

    pub(super) const fn nullable(mut self, min: i16, max: i16) -> Self {
        self.nullable = VersionRange::new(min, max);
        self
    }

    pub(super) const fn tagged(mut self, tag: u32, min: i16, max: i16) -> Self {
        self.tag = tag;
        self.tagged = VersionRange::new(min, max);
        self
    }

    pub(super) const fn entity(mut self, entity: Entity) -> Self {
        self.entity = entity;
        self
    }
}
