//! What Kafka's definitions lack, as data: `filters/core/protocol/corrections.json`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::definition::{self, Kind};

/// What a field means. `Debug` prints the name of the core's `Entity`; the JSON name is Kafka's style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entity {
    None,
    TopicName,
    TopicId,
    GroupId,
    TransactionalId,
    BrokerHost,
    BrokerPort,
    BrokerId,
    ClusterId,
    Offset,
    ResourceName,
    Principal,
    ClientAddress,
    ErrorCode,
    ErrorMessage,
    ThrottleTimeMs,
    Records,
    MemberMetadata,
    ProducerId,
    AuthorizedOps,
    Opaque,
}

impl Entity {
    /// Kafka's annotation or ours.
    pub fn parse(name: &str) -> Result<Entity> {
        serde_json::from_value(Value::from(name)).with_context(|| format!("unknown entity `{name}`"))
    }

    /// True when a field of `kind` can mean this. Filters rely on it: a topic name is always a string.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Entity::None => true,
            Entity::TopicName
            | Entity::GroupId
            | Entity::TransactionalId
            | Entity::BrokerHost
            | Entity::ClusterId
            | Entity::ErrorMessage => kind == Kind::String,
            Entity::TopicId => kind == Kind::Uuid,
            Entity::BrokerPort => matches!(kind, Kind::Int32 | Kind::Uint16),
            Entity::BrokerId | Entity::ThrottleTimeMs | Entity::AuthorizedOps => kind == Kind::Int32,
            Entity::Offset | Entity::ProducerId => kind == Kind::Int64,
            Entity::ResourceName => matches!(kind, Kind::String | Kind::Int8),
            Entity::Principal | Entity::Opaque => matches!(kind, Kind::String | Kind::Bytes),
            Entity::ClientAddress => matches!(kind, Kind::String | Kind::Uint16),
            Entity::ErrorCode => kind == Kind::Int16,
            Entity::Records => kind == Kind::Records,
            Entity::MemberMetadata => kind == Kind::Bytes,
        }
    }
}

/// The corrections file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Corrections {
    #[serde(rename = "about")]
    _about: Vec<String>,
    pub apis: Apis,
    pub blobs: Blobs,
    oldest_versions: OldestVersions,
    added_fields: AddedFields,
    entities: Entities,
}

/// Which APIs the tables hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apis {
    #[serde(rename = "about")]
    _about: String,
    /// The listener that must be among a request's listeners.
    pub listener: String,
    /// APIs left out although they are on that listener, with the reason.
    pub without: BTreeMap<String, String>,
}

/// Messages inside opaque bytes that get tables too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blobs {
    #[serde(rename = "about")]
    _about: String,
    pub messages: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldestVersions {
    #[serde(rename = "about")]
    _about: String,
    /// By API name.
    apis: BTreeMap<String, i16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedFields {
    #[serde(rename = "about")]
    _about: String,
    fields: Vec<AddedField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedField {
    /// The message and the structs around the field: `ListOffsetsRequest.Topics.Partitions`.
    within: String,
    /// The field before it in wire order.
    after: String,
    /// The field in Kafka's own notation.
    field: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entities {
    #[serde(rename = "about")]
    _about: Vec<String>,
    rules: Vec<Rule>,
    fields: Vec<Single>,
}

/// Every field of one of these names and of this type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    entity: Entity,
    #[serde(rename = "type")]
    kind: String,
    names: Vec<String>,
}

/// Fields by path; stronger than rules and than Kafka's annotation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    #[serde(rename = "about")]
    _about: Option<String>,
    entity: Entity,
    paths: Vec<String>,
}

/// Looks corrections up and remembers which ones were of use, so that none goes stale unnoticed.
pub struct Lookup {
    oldest: BTreeMap<String, i16>,
    /// By the path of the struct: the name of the field before, and the field.
    added: BTreeMap<String, Vec<(String, definition::Field)>>,
    rules: BTreeMap<(String, String), Entity>,
    singles: BTreeMap<String, Entity>,
    unused: BTreeSet<String>,
}

impl Corrections {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Corrections> {
        Ok(serde_json::from_str(text)?)
    }

    /// The corrections by what they correct.
    pub fn lookup(&self) -> Result<Lookup> {
        let mut lookup = Lookup {
            oldest: self.oldest_versions.apis.clone(),
            added: BTreeMap::new(),
            rules: BTreeMap::new(),
            singles: BTreeMap::new(),
            unused: BTreeSet::new(),
        };
        lookup.unused.extend(self.apis.without.keys().map(|api| without_label(api)));
        lookup.unused.extend(lookup.oldest.keys().map(|api| oldest_label(api)));
        for added in &self.added_fields.fields {
            let field = definition::field("corrections", &added.field)?;
            lookup.unused.insert(added_label(&added.within, &field.name));
            lookup.added.entry(added.within.clone()).or_default().push((added.after.clone(), field));
        }
        for rule in &self.entities.rules {
            let kind = Kind::parse(&rule.kind).with_context(|| format!("entity rule: unknown type `{}`", rule.kind))?;
            for name in &rule.names {
                let label = rule_label(name, &rule.kind);
                ensure!(rule.entity.fits(kind), "{label}: {:?} cannot be a {kind:?}", rule.entity);
                let before = lookup.rules.insert((name.clone(), rule.kind.clone()), rule.entity);
                ensure!(before.is_none(), "{label} stands twice");
                lookup.unused.insert(label);
            }
        }
        for single in &self.entities.fields {
            for path in &single.paths {
                let before = lookup.singles.insert(path.clone(), single.entity);
                ensure!(before.is_none(), "{} stands twice", single_label(path));
                lookup.unused.insert(single_label(path));
            }
        }
        Ok(lookup)
    }
}

impl Lookup {
    /// Notes that an API was left out.
    pub fn left_out(&mut self, api: &str) {
        self.unused.remove(&without_label(api));
    }

    /// The oldest version that brokers still in use know, when the definitions have dropped it.
    pub fn oldest(&mut self, api: &str) -> Option<i16> {
        self.unused.remove(&oldest_label(api));
        self.oldest.get(api).copied()
    }

    /// Puts the fields that definitions have dropped into the list of the struct at `path`.
    pub fn add_fields(&mut self, path: &str, fields: &mut Vec<definition::Field>) -> Result<()> {
        for (after, field) in self.added.get(path).into_iter().flatten() {
            let exists = fields.iter().any(|other| other.name == field.name);
            ensure!(!exists, "corrections: {path}.{} is in Kafka's definition already", field.name);
            let at = fields
                .iter()
                .position(|other| other.name == *after)
                .with_context(|| format!("corrections: {path} has no field {after}"))?;
            fields.insert(at + 1, field.clone());
            self.unused.remove(&added_label(path, &field.name));
        }
        Ok(())
    }

    /// What the field at `path` means: its own correction, else Kafka's annotation, else a rule.
    pub fn entity(&mut self, path: &str, field: &definition::Field) -> Result<Entity> {
        let kafka = field.entity.as_deref().map(Entity::parse).transpose()?;
        let kind_name = format!("{:?}", field.kind).to_ascii_lowercase();
        let rule = self.rules.get(&(field.name.clone(), kind_name.clone())).copied();
        if rule.is_some() {
            self.unused.remove(&rule_label(&field.name, &kind_name));
        }
        let general = kafka.or(rule).unwrap_or(Entity::None);
        let entity = match self.singles.get(path) {
            Some(single) => {
                ensure!(*single != general, "{}: it is {general:?} without it", single_label(path));
                self.unused.remove(&single_label(path));
                *single
            }
            None => general,
        };
        ensure!(entity.fits(field.kind), "{path}: {entity:?} cannot be a {:?}", field.kind);
        Ok(entity)
    }

    /// Fails when a correction corrected nothing.
    pub fn finish(self) -> Result<()> {
        let unused = Vec::from_iter(self.unused).join(", ");
        ensure!(unused.is_empty(), "corrections that match nothing: {unused}");
        Ok(())
    }
}

fn without_label(api: &str) -> String {
    format!("left out API {api}")
}

fn oldest_label(api: &str) -> String {
    format!("oldest version of {api}")
}

fn added_label(within: &str, name: &str) -> String {
    format!("added field {within}.{name}")
}

fn rule_label(name: &str, kind: &str) -> String {
    format!("entity rule {name} {kind}")
}

fn single_label(path: &str) -> String {
    format!("entity of {path}")
}
