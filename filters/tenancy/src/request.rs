//! Requests: virtual names become physical ones, ids are judged, and what must not reach the broker is refused.

use core::ops::Range;
use std::collections::HashSet;

use bifrost_core::answer::{Refusal as Refused, has_top_level_error, refusal};
use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Message};
use bifrost_core::protocol::{ApiKey, Entity, Field};
use bifrost_core::reader::{Width, put_length, string_bytes};
use bifrost_core::walker::{Array, Event, Value};

use crate::connection::Known;
use crate::consumer_protocol::{Blob, CONSUMER};
use crate::decisions::{Decision, decision};
use crate::names::{Change, Deed, Refusal, Space, refused_prefix};
use crate::string_field::StringField;
use crate::topic_ids::{self, TopicId};
use crate::{NAMES_UP_TO, Tenant, regex};

const INVALID_GROUP_ID: i16 = 24;
const REBALANCE_IN_PROGRESS: i16 = 27;
const INVALID_REQUEST: i16 = 42;
const POLICY_VIOLATION: i16 = 44;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_REGULAR_EXPRESSION: i16 = 128;

/// With this client id brokers let anybody write to their internal topics.
const ADMIN_CLIENT: &[u8] = b"__admin_client";

/// Config resource types of Kafka's `ConfigResource.Type`.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const GROUP: i8 = 32;

/// Group config whose value is the name of a topic; brokers want it to begin with a prefix of their own (KIP-1191).
pub(crate) const DEAD_LETTER_TOPIC: &str = "errors.deadletterqueue.topic.name";

/// Key types of FindCoordinator (KIP-932).
pub(crate) mod key_type {
    pub(crate) const GROUP: i8 = 0;
    pub(crate) const TRANSACTION: i8 = 1;
    pub(crate) const SHARE: i8 = 2;
}

/// What was met in the request that is being walked.
#[derive(Default)]
pub(crate) struct Request {
    /// Error code of the answer that the client gets at once.
    refused: Option<i16>,
    /// Topic ids that nobody knows.
    missing: HashSet<TopicId>,
    /// Some id is masked.
    masked: bool,
    /// A name whose element has to be seen to its end before the name can be sent on.
    element_name: Option<(StringField, String)>,
    /// Why that element is refused.
    element_refusal: Option<Refusal>,
    /// Type of the resource that the element names.
    resource_type: Option<(Range<usize>, i8)>,
    group: Option<Vec<u8>>,
    /// JoinGroup and SyncGroup: whether members' bytes are those of consumers.
    consumer: Option<bool>,
    /// FindCoordinator: a key in front of its type, and the type.
    key: Option<(StringField, String)>,
    key_type: i8,
    /// Fetch: the session's id and epoch.
    session: Option<(Range<usize>, i32)>,
    epoch: Option<(Range<usize>, i32)>,
    /// ApiVersions: the client states the cluster id that it was shown.
    own_cluster: bool,
    /// DescribeTopicPartitions: no topic is named; where the cursor would be.
    all_topics: bool,
    no_cursor: Option<Range<usize>>,
    /// Elements of the request's array, for an answer with as many.
    elements: u32,
}

impl Request {
    pub(crate) fn on_event(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        event: &Event<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if let Some(Decision::Answered(code)) = decision(message.api.key, message.version) {
            match event {
                Event::Array(array) => self.elements = array.count.unwrap_or(0),
                Event::End => self.refuse(code),
                _ => return Ok(()),
            }
        }
        match event {
            Event::Value(value) => self.value(tenant, known, message, value, context),
            Event::Array(array) => self.array(tenant, message, array, context.edits),
            Event::ElementEnd(field, _) => self.element_end(tenant, message, field, context.edits),
            Event::NullStruct(field, range) => {
                if field.name == "Cursor" {
                    self.no_cursor = Some(range.clone());
                }
                Ok(())
            }
            Event::End => core::mem::take(self).end(tenant, known, message, context),
            Event::Element(..) | Event::ArrayEnd(..) | Event::Records(..) => Ok(()),
        }
    }

    /// The client gets this error code for the whole request; the first one counts.
    fn refuse(&mut self, code: i16) {
        self.refused.get_or_insert(code);
    }

    fn value(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        value: &Value<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let edits = &mut *context.edits;
        match value.field.entity {
            Entity::TopicName => self.topic_name(tenant, message, value, edits),
            Entity::TopicId => {
                self.topic_id(tenant, known, message, value, context);
                Ok(())
            }
            Entity::GroupId => {
                if matches!(message.api.key, ApiKey::JOIN_GROUP | ApiKey::SYNC_GROUP) {
                    self.group = value.bytes.map(<[u8]>::to_vec);
                }
                if value.bytes == Some(b"") && has_top_level_error(message.api, message.version) {
                    self.refuse(INVALID_GROUP_ID);
                }
                rename(&tenant.names.groups, value, edits)
            }
            Entity::TransactionalId => {
                if value.bytes == Some(b"") && has_top_level_error(message.api, message.version) {
                    self.refuse(INVALID_REQUEST);
                }
                rename(&tenant.names.transactions, value, edits)
            }
            Entity::ResourceName => self.resource(tenant, value, edits),
            Entity::MemberMetadata => self.member_bytes(tenant, known, message, value, edits),
            // A consumer, not a replica: replicas read what is not committed and move what is.
            Entity::BrokerId if value.field.name == "ReplicaId" => {
                if value.number() != Some(-1) {
                    edits.replace(value.range.clone(), (-1i32).to_be_bytes().to_vec());
                }
                Ok(())
            }
            Entity::ClusterId => self.cluster_id(tenant, message, value, edits),
            Entity::BrokerId if self.own_cluster => {
                edits.replace(value.range.clone(), (-1i32).to_be_bytes().to_vec());
                Ok(())
            }
            _ => self.other(tenant, message, value, edits),
        }
    }

    /// Fields without an entity of their own.
    fn other(&mut self, tenant: &Tenant, message: &Message, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let number = || value.number().and_then(|n| i32::try_from(n).ok());
        match value.field.name {
            "ClientId" if tenant.names.clients.is_empty() && value.bytes == Some(ADMIN_CLIENT) => {
                edits.replace(value.range.clone(), (-1i16).to_be_bytes().to_vec());
            }
            "ClientId" => rename(&tenant.names.clients, value, edits)?,
            "ProtocolType" => self.consumer = value.bytes.map(|bytes| bytes == CONSUMER),
            "KeyType" => {
                self.key_type = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(-1);
                if let Some((field, key)) = self.key.take() {
                    self.coordinator_key(tenant, &field, &key, edits)?;
                }
            }
            "SessionId" => self.session = number().map(|id| (value.range.clone(), id)),
            "SessionEpoch" => self.epoch = number().map(|epoch| (value.range.clone(), epoch)),
            "AllowAutoTopicCreation" if !tenant.config.topic_creation.auto_create => {
                edits.replace(value.range.clone(), vec![0]);
            }
            "NumPartitions" | "Count" | "Partitions" | "ReplicationFactor" => {
                let policy = &tenant.config.topic_creation;
                let max = match value.field.name {
                    "ReplicationFactor" => policy.replication_factor_max.map(u32::from),
                    _ => policy.partitions_max,
                };
                if max.is_some_and(|max| value.number().unwrap_or(0) > i64::from(max)) {
                    self.against_policy(message);
                }
            }
            "Name" if is_config(message.api.key) => {
                let name = value.text().unwrap_or_default();
                let allowed = tenant.config.topic_creation.configs.as_ref();
                let is_group = self.resource_type.as_ref().is_some_and(|(_, kind)| *kind == GROUP);
                let denied = if is_group {
                    name == DEAD_LETTER_TOPIC
                } else {
                    allowed.is_some_and(|allowed| !allowed.iter().any(|known| known == name))
                };
                if denied {
                    self.against_policy(message);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn against_policy(&mut self, message: &Message) {
        if message.api.key == ApiKey::STREAMS_GROUP_HEARTBEAT {
            self.refuse(POLICY_VIOLATION);
        } else {
            self.element_refusal = Some(Refusal::Policy);
        }
    }

    fn topic_name(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        let Some(field) = StringField::of(value) else { return Ok(()) };
        // A name that is no text is no topic; it stays what it is, behind the prefix.
        let name = value.text().unwrap_or("?");
        if matches!(message.api.key, ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS) {
            self.element_name = Some((field, name.to_owned()));
            return Ok(());
        }
        match tenant.names.physical_topic(name, deed(message.api.key)) {
            Ok(change) if message.resizable => field.change(&change, edits),
            Ok(change) => {
                if change != Change::NONE {
                    let (range, bytes) = field.changed_in_stream(&change, padding(message, value.width))?;
                    edits.replace(range, bytes);
                }
                Ok(())
            }
            Err(refusal) => field.change(&Change { cut: 0, put: &refused_prefix(refusal, TOPIC) }, edits),
        }
    }

    fn topic_id(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        value: &Value<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(id) = value.bytes.and_then(|bytes| TopicId::try_from(bytes).ok()) else { return };
        if id == topic_ids::NONE {
            return;
        }
        let standing = tenant.topic_ids.borrow_mut().get(&id, context.host);
        if standing.is_some_and(|standing| standing.allows(deed(message.api.key))) {
            return;
        }
        let askable = standing.is_none() && known.answers_by_id && !known.judged.contains(&id);
        if askable {
            self.missing.insert(id);
        }
        // A stream cannot be held: its broker says that the id is unknown, the client asks again, and then it is known.
        if !askable || !message.resizable {
            self.masked = true;
            known.mask(tenant, id, value, context.edits, context.host);
        }
    }

    /// A name, or a pattern of names, whose kind other fields tell; and that kind.
    fn resource(&mut self, tenant: &Tenant, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        if value.field.name == "ResourceType" {
            let kind = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(0);
            self.resource_type = Some((value.range.clone(), kind));
            return Ok(());
        }
        let Some(field) = StringField::of(value) else { return Ok(()) };
        let text = value.text().ok_or(Fault::Malformed { field: value.field.name, at: value.range.start })?;
        match value.field.name {
            "ResourceName" => self.element_name = Some((field, text.to_owned())),
            "Key" => self.key = Some((field, text.to_owned())),
            "CoordinatorKeys" => self.coordinator_key(tenant, &field, text, edits)?,
            "SubscribedTopicRegex" => self.pattern(&tenant.names.topics, &field, text, edits)?,
            "TransactionalIdPattern" => self.pattern(&tenant.names.transactions, &field, text, edits)?,
            // Brokers refuse it, too, so far.
            "SourceTopicRegex" => self.refuse(INVALID_REQUEST),
            _ => return Err(Fault::Internal("a resource that nobody renames")),
        }
        Ok(())
    }

    /// Empty means no pattern.
    fn pattern(&mut self, space: &Space, field: &StringField, pattern: &str, edits: &mut Edits) -> Result<(), Fault> {
        if pattern.is_empty() || space.is_empty() {
            return Ok(());
        }
        match regex::wrap(space.prefix(), pattern) {
            Some(wrapped) => field.set(Some(&wrapped), edits),
            None => {
                self.refuse(INVALID_REGULAR_EXPRESSION);
                Ok(())
            }
        }
    }

    fn coordinator_key(
        &mut self,
        tenant: &Tenant,
        field: &StringField,
        key: &str,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        match self.key_type {
            key_type::GROUP => field.change(&tenant.names.groups.physical(), edits),
            key_type::TRANSACTION => field.change(&tenant.names.transactions.physical(), edits),
            // Between brokers. With one colon more it is no key of a share partition, and the broker says so.
            key_type::SHARE => field.set(Some(&format!("{key}:")), edits),
            // Unknown to every broker.
            _ => Ok(()),
        }
    }

    /// Brokers state the cluster in Fetch. Clients do in ApiVersions from version 5 on, together with the node; when it is the
    /// cluster id that they are shown, the broker is told neither.
    fn cluster_id(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        let Some(field) = StringField::of(value) else { return Ok(()) };
        self.own_cluster = message.api.key == ApiKey::API_VERSIONS
            && tenant.config.cluster_id.as_ref().is_some_and(|id| value.bytes == Some(id.as_bytes()));
        if self.own_cluster || message.api.key == ApiKey::FETCH { field.set(None, edits) } else { Ok(()) }
    }

    fn member_bytes(
        &mut self,
        tenant: &Tenant,
        known: &Known,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        if !self.speaks_consumer(known, message) {
            return Ok(());
        }
        let Some(blob) = value.bytes else { return Ok(()) };
        let renamed = Blob::of(value.field).renamed(blob, |name| {
            let change = tenant.names.physical_topic(name.text()?, Deed::Read).ok()?;
            if change == Change::NONE { None } else { StringField::of(name)?.changed(&change).ok() }
        });
        if let Some(blob) = renamed {
            let mut bytes = Vec::with_capacity(blob.len().saturating_add(5));
            put_length(&mut bytes, value.width, blob.len())?;
            bytes.extend(blob);
            edits.replace(value.range.clone(), bytes);
        }
        Ok(())
    }

    /// Whether members' bytes are those of consumers. SyncGroup does not say so before version 5, but its member joined before.
    fn speaks_consumer(&mut self, known: &Known, message: &Message) -> bool {
        if message.api.key == ApiKey::SYNC_GROUP && self.consumer.is_none() {
            self.consumer = known.speaks_consumer(self.group.as_deref().unwrap_or_default());
        }
        self.consumer.unwrap_or(false)
    }

    fn array(&mut self, tenant: &Tenant, message: &Message, array: &Array, edits: &mut Edits) -> Result<(), Fault> {
        match (message.api.key, array.field.name) {
            (ApiKey::PRODUCE, "TopicData") if !message.resizable && message.version <= NAMES_UP_TO => {
                let prefix = tenant.names.topics.prefix().len();
                if prefix > 0 {
                    let growth = prefix.saturating_add(padding(message, array.width));
                    edits.promise(i64::try_from(growth).unwrap_or(i64::MAX));
                }
            }
            (ApiKey::DESCRIBE_TOPIC_PARTITIONS, "Topics") => self.all_topics = array.count == Some(0),
            // Which node holds what is the operator's.
            (ApiKey::CREATE_TOPICS | ApiKey::CREATE_PARTITIONS, "Assignments") if array.count.unwrap_or(0) > 0 => {
                self.element_refusal = Some(Refusal::Policy);
            }
            _ => {}
        }
        Ok(())
    }

    fn element_end(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        field: &'static Field,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        if !matches!(field.name, "Topics" | "Resources") {
            return Ok(());
        }
        let Some((name_at, name)) = self.element_name.take() else { return Ok(()) };
        let refusal = self.element_refusal.take();
        let kind = self.resource_type.take();
        let resource_type = kind.as_ref().map_or(TOPIC, |(_, kind)| *kind);
        let names = &tenant.names;
        let physical = match (refusal, resource_type) {
            (Some(refusal), _) => Err(refusal),
            (None, TOPIC) => names.physical_topic(&name, deed(message.api.key)),
            (None, GROUP) => Ok(names.groups.physical()),
            (None, _) => Err(Refusal::Cluster),
        };
        match physical {
            Ok(change) => name_at.change(&change, edits),
            Err(refusal) => {
                if let Some((range, _)) = kind {
                    edits.replace(range, TOPIC.to_be_bytes().to_vec());
                }
                name_at.change(&Change { cut: 0, put: &refused_prefix(refusal, resource_type) }, edits)
            }
        }
    }

    fn end(
        mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if let Some((field, key)) = self.key.take() {
            self.coordinator_key(tenant, &field, &key, context.edits)?;
        }
        match message.api.key {
            ApiKey::FETCH => self.fetch_session(known, context.edits),
            ApiKey::JOIN_GROUP => {
                let consumer = self.consumer.unwrap_or(false);
                known.group_speaks(self.group.as_deref().unwrap_or_default(), consumer);
                context.remember(u64::from(consumer));
            }
            ApiKey::SYNC_GROUP => {
                let consumer = self.speaks_consumer(known, message);
                if self.consumer.is_none() {
                    self.refuse(REBALANCE_IN_PROGRESS);
                }
                context.remember(u64::from(consumer));
            }
            ApiKey::FIND_COORDINATOR => context.remember(u64::from(self.key_type.unsigned_abs())),
            ApiKey::DESCRIBE_TOPIC_PARTITIONS => self.start_at_own_topics(tenant, context.edits)?,
            _ => {}
        }
        if let Some(code) = self.refused {
            let answer = Refused { code, message: None, elements: self.elements };
            context.answer(refusal(message.api, message.version, &answer)?);
        } else if self.missing.is_empty() {
            known.judged.clear();
        } else {
            known.ask(self.missing, context);
            if message.resizable {
                context.hold();
            }
        }
        Ok(())
    }

    /// Only the sessions of this connection are its own, and masked ids are kept out of them: the broker would go on answering
    /// for such an id after its topic has become the tenant's.
    fn fetch_session(&mut self, known: &Known, edits: &mut Edits) {
        let (Some((session_at, session)), Some((epoch_at, epoch))) = (self.session.take(), self.epoch.take()) else {
            return;
        };
        let own = session == 0 || known.sessions.contains(&session);
        if epoch > 0 {
            if !own || self.masked {
                self.refuse(FETCH_SESSION_ID_NOT_FOUND);
            }
            return;
        }
        if !own {
            // A full fetch would close the session that it names.
            edits.replace(session_at, vec![0; 4]);
        }
        if self.masked && epoch == 0 {
            // FINAL_EPOCH: answer without a session.
            edits.replace(epoch_at, (-1i32).to_be_bytes().to_vec());
        }
    }

    /// Answers are in the order of physical names: without this, a page could be full of others' topics.
    fn start_at_own_topics(&self, tenant: &Tenant, edits: &mut Edits) -> Result<(), Fault> {
        let prefix = tenant.names.topics.prefix();
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

/// How many bytes more than it needs a changed name's length takes in a stream.
fn padding(message: &Message, width: Width) -> usize {
    usize::from(!message.resizable && width == Width::Compact)
}

fn rename(space: &Space, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
    match StringField::of(value) {
        Some(field) => field.change(&space.physical(), edits),
        None => Ok(()),
    }
}

fn is_config(key: ApiKey) -> bool {
    matches!(key, ApiKey::CREATE_TOPICS | ApiKey::ALTER_CONFIGS | ApiKey::INCREMENTAL_ALTER_CONFIGS)
}

/// What requests of this API do to the topics they name.
pub(crate) fn deed(key: ApiKey) -> Deed {
    match key {
        ApiKey::PRODUCE | ApiKey::ADD_PARTITIONS_TO_TXN => Deed::Write,
        ApiKey::CREATE_TOPICS => Deed::Create,
        ApiKey::DELETE_TOPICS
        | ApiKey::CREATE_PARTITIONS
        | ApiKey::DELETE_RECORDS
        | ApiKey::ALTER_CONFIGS
        | ApiKey::INCREMENTAL_ALTER_CONFIGS => Deed::Manage,
        _ => Deed::Read,
    }
}
