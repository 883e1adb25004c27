//! Requests: virtual names become physical ones, ids are judged, and what must not reach the broker is refused.

use core::ops::Range;
use std::collections::HashSet;

use bifrost_core::answer::{self, has_top_level_error};
use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Message};
use bifrost_core::protocol::{ApiKey, Entity, Field, Kind};
use bifrost_core::reader::Width;
use bifrost_core::walker::{Array, Event, Value};

use crate::connection::Known;
use crate::consumer_protocol::{self, CONSUMER};
use crate::coordinator_key::CoordinatorKey;
use crate::decisions::{Decision, decision};
use crate::fetch_session::FetchSession;
use crate::names::{Change, Deed, Refusal, Space, refused_prefix};
use crate::string_field::StringField;
use crate::topic_ids::{self, TopicId};
use crate::topic_pages::TopicPageRequest;
use crate::{NAMES_UP_TO, Tenant, regex, topic_policy};

const REBALANCE_IN_PROGRESS: i16 = 27;
const INVALID_REQUEST: i16 = 42;
const POLICY_VIOLATION: i16 = 44;
const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
const INVALID_REGULAR_EXPRESSION: i16 = 128;
const REBOOTSTRAP_REQUIRED: i16 = 129;

/// OffsetFetch names topics by id from this version on.
const OFFSETS_BY_ID: i16 = 10;

/// What a Fetch answer may hold when it has to be seen whole: half of the default of `limits.heldBytesMax`.
const FETCH_BYTES_MAX: i32 = 16 << 20;

/// With this client id brokers let anybody write to their internal topics.
const ADMIN_CLIENT: &[u8] = b"__admin_client";

/// Config resource types, as in Kafka's `ConfigResource.Type`, that can be a tenant's.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const GROUP: i8 = 32;

/// What was met in the request that is being walked.
#[derive(Default)]
pub(crate) struct Request {
    /// Error code of the answer that the client gets at once.
    refused: Option<i16>,
    /// It names a shared topic, which is not for the tenant to create.
    names_shared: bool,
    /// Nothing of it may have an effect, for this reason.
    void: Option<Refusal>,
    /// Elements around what is being walked.
    depth: usize,
    /// Topic ids that nobody knows.
    missing: HashSet<TopicId>,
    /// OffsetFetch: all offsets of a group are wanted, and the answer names topics by id.
    all_ids: bool,
    /// Some id is hidden.
    hidden: bool,
    /// The element of an admin request.
    element: Element,
    /// JoinGroup and SyncGroup.
    group: Option<Vec<u8>>,
    /// Whether the group's members speak the consumer protocol.
    consumer: Option<bool>,
    coordinator_key: CoordinatorKey,
    fetch_session: FetchSession,
    topic_page: TopicPageRequest,
    /// StreamsGroupHeartbeat: in the configs of an internal topic.
    topic_configs: bool,
    /// ApiVersions: the client states a cluster id, and the gateway has judged it.
    own_cluster: bool,
    /// Elements of the request's array, for an answer with as many.
    elements: u32,
}

/// An element whose name can only be sent on when all of it has been seen.
#[derive(Default)]
struct Element {
    name: Option<(StringField, String)>,
    resource_type: Option<(Range<usize>, i8)>,
    refusal: Option<Refusal>,
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
        match event {
            Event::Value(value) => self.value(tenant, known, message, value, context),
            Event::Array(array) => {
                self.array(tenant, message, array, context.edits);
                Ok(())
            }
            Event::Element(..) => {
                self.depth = self.depth.saturating_add(1);
                Ok(())
            }
            Event::ElementEnd(field, _) => {
                self.depth = self.depth.saturating_sub(1);
                self.element_end(tenant, message, field, context.edits)
            }
            Event::NullStruct(field, range) => {
                if field.name == "Cursor" {
                    self.topic_page.no_cursor = Some(range.clone());
                }
                Ok(())
            }
            Event::End => {
                if let Some(Decision::Answered(code)) = decision(message.api.key, message.version) {
                    self.refuse(code);
                }
                core::mem::take(self).end(tenant, known, message, context)
            }
            Event::ArrayEnd(..) | Event::Records(..) => Ok(()),
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
                self.rename(&tenant.names.groups, Refusal::EmptyGroup, message, value, edits)
            }
            Entity::TransactionalId => {
                self.rename(&tenant.names.transactions, Refusal::EmptyName, message, value, edits)
            }
            Entity::ResourceName => self.resource(tenant, value, edits),
            Entity::MemberMetadata => {
                if !self.speaks_consumer(known, message) {
                    return Ok(());
                }
                consumer_protocol::rename(value, edits, |name| tenant.names.physical_topic(name, Deed::Read).ok())
            }
            // A consumer, not a replica: replicas read what is not committed and move what is.
            Entity::BrokerId if value.field.name == "ReplicaId" || self.own_cluster => {
                if value.number() != Some(-1) {
                    edits.replace(value.range.clone(), (-1i32).to_be_bytes().as_slice());
                }
                Ok(())
            }
            Entity::ClusterId => self.cluster_id(tenant, message, value, edits),
            _ => self.other(tenant, message, value, edits),
        }
    }

    /// Fields without an entity of their own.
    fn other(&mut self, tenant: &Tenant, message: &Message, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let policy = &tenant.config.topic_creation;
        // The answer must be seen whole when its names change by different numbers of bytes.
        let names_topics = message.api.key == ApiKey::FETCH && message.version <= NAMES_UP_TO;
        let is_whole_fetch = names_topics && !tenant.names.topics_grow_alike();
        match value.field.name {
            "ClientId" => return client_id(tenant, value, edits),
            "ProtocolType" => self.consumer = value.bytes.map(|bytes| bytes == CONSUMER),
            "KeyType" => self.coordinator_key.key_type(value),
            // Controllers are not for tenants.
            "EndpointType" if value.number() != Some(1) => self.refuse(UNSUPPORTED_ENDPOINT_TYPE),
            "MaxBytes" if is_whole_fetch && value.number() > Some(i64::from(FETCH_BYTES_MAX)) => {
                edits.replace(value.range.clone(), FETCH_BYTES_MAX.to_be_bytes().as_slice());
            }
            "SessionId" | "SessionEpoch" => self.fetch_session.value(value),
            "AllowAutoTopicCreation" if !policy.auto_create || self.names_shared => {
                edits.replace(value.range.clone(), vec![0])
            }
            "Key"
                if self.topic_configs
                    && topic_policy::denies_config(policy, value.text().unwrap_or_default(), false) =>
            {
                self.refuse(POLICY_VIOLATION);
            }
            "Name" if topic_policy::sets_configs(message.api.key) => {
                let of_group = self.element.resource_type.as_ref().is_some_and(|(_, kind)| *kind == GROUP);
                if topic_policy::denies_config(policy, value.text().unwrap_or_default(), of_group) {
                    self.element.refusal = Some(Refusal::Policy);
                }
            }
            _ if topic_policy::exceeds(policy, value) => {
                if message.api.key == ApiKey::STREAMS_GROUP_HEARTBEAT {
                    self.refuse(POLICY_VIOLATION);
                } else {
                    self.element.refusal = Some(Refusal::Policy);
                }
            }
            _ => {}
        }
        Ok(())
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
            self.element.name = Some((field, name.to_owned()));
            return Ok(());
        }
        self.names_shared |= tenant.names.is_shared(name);
        // The brokers create the internal topics of a streams group.
        let is_internal = message.api.key == ApiKey::STREAMS_GROUP_HEARTBEAT && value.field.name == "Name";
        if is_internal && tenant.names.is_shared(name) {
            self.refuse(POLICY_VIOLATION);
        }
        let physical = match self.void {
            Some(_) => Ok(tenant.names.impossible_topic()),
            None => tenant.names.physical_topic(name, deed(message.api.key)),
        };
        match physical {
            Ok(change) if message.resizable => field.change(&change, edits),
            Ok(change) => field.change_in_stream(&change, padding(value.width), edits),
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
        if id == topic_ids::NONE || (tenant.names.topics.is_empty() && self.void.is_none()) {
            return;
        }
        let standing = tenant.topic_ids.borrow_mut().get(&id, context.host);
        if self.void.is_none() && standing.is_some_and(|standing| standing.allows(deed(message.api.key))) {
            return;
        }
        let askable = self.void.is_none() && standing.is_none() && known.can_ask(&id, self.missing.len());
        if askable && message.holdable && !message.resizable {
            // It will be seen again, whole.
            return context.hold();
        }
        if askable {
            self.missing.insert(id);
        }
        // What has been passed on in part cannot be held: its broker says that the id is unknown, the client asks again, and then
        // it is known. A producer that has sent more in the meantime may find it out of order and fail.
        if !askable || !message.resizable {
            self.hidden = true;
            tenant.hide(id, value, context);
        }
    }

    /// Puts a group or a transactional id behind the prefix. An empty one would become possible there, so it is refused: at once
    /// where the answer has a place for that, else by the broker, and then with the topics that are to be used with it.
    fn rename(
        &mut self,
        space: &Space,
        empty: Refusal,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        let Some(field) = StringField::of(value) else { return Ok(()) };
        if value.bytes != Some(b"") {
            return field.change(&space.physical(), edits);
        }
        if has_top_level_error(message.api, message.version) {
            self.refuse(empty as i16);
        } else if self.depth == 0 && !value.field.array {
            self.void = Some(empty);
        }
        field.change(&Change { cut: 0, put: &refused_prefix(empty, 0) }, edits)
    }

    /// A name, or a pattern of names, whose kind other fields tell; and that kind.
    fn resource(&mut self, tenant: &Tenant, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        if value.field.name == "ResourceType" {
            let kind = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(0);
            self.element.resource_type = Some((value.range.clone(), kind));
            return Ok(());
        }
        let Some(field) = StringField::of(value) else { return Ok(()) };
        let text = value.text().ok_or(Fault::Malformed { field: value.field.name, at: value.range.start })?;
        match value.field.name {
            "ResourceName" => self.element.name = Some((field, text.to_owned())),
            "Key" => self.coordinator_key.wait(field, text),
            "CoordinatorKeys" => self.coordinator_key.rename(&tenant.names, &field, text, edits)?,
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

    /// Brokers state the cluster in Fetch. Clients do in ApiVersions from version 5 on, together with the node (KIP-1242); when
    /// they are shown another cluster id than the broker's, the gateway judges it and the broker is told neither.
    fn cluster_id(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        value: &Value<'_>,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        let Some(field) = StringField::of(value) else { return Ok(()) };
        match &tenant.config.cluster_id {
            Some(id) if message.api.key == ApiKey::API_VERSIONS => {
                self.own_cluster = true;
                if value.bytes != Some(id.as_bytes()) {
                    self.refuse(REBOOTSTRAP_REQUIRED);
                }
                field.set(None, edits)
            }
            _ if message.api.key == ApiKey::FETCH => field.set(None, edits),
            _ => Ok(()),
        }
    }

    /// Whether members' bytes are those of consumers. SyncGroup does not say so before version 5, but its member joined before.
    fn speaks_consumer(&mut self, known: &Known, message: &Message) -> bool {
        if message.api.key == ApiKey::SYNC_GROUP && self.consumer.is_none() {
            self.consumer = known.speaks_consumer(self.group.as_deref().unwrap_or_default());
        }
        self.consumer.unwrap_or(false)
    }

    fn array(&mut self, tenant: &Tenant, message: &Message, array: &Array, edits: &mut Edits) {
        if self.depth == 0 {
            self.elements = array.count.unwrap_or(0);
        }
        self.topic_configs = array.field.name == "TopicConfigs";
        if topic_policy::assigns_replicas(message.api.key, array) {
            self.element.refusal = Some(Refusal::Policy);
        }
        match (message.api.key, array.field.name) {
            (ApiKey::PRODUCE, "TopicData") if !message.resizable && message.version <= NAMES_UP_TO => {
                let names = &tenant.names;
                let put = if self.void.is_some() { names.impossible_topic().put } else { names.topics.prefix() };
                if !put.is_empty() {
                    let growth = put.len().saturating_add(padding(array.width));
                    edits.promise(i64::try_from(growth).unwrap_or(i64::MAX));
                }
            }
            (ApiKey::OFFSET_FETCH, "Topics") if message.version >= OFFSETS_BY_ID => {
                self.all_ids |= array.count.is_none()
            }
            (ApiKey::DESCRIBE_TOPIC_PARTITIONS, "Topics") => self.topic_page.all_topics = array.count == Some(0),
            _ => {}
        }
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
        let element = core::mem::take(&mut self.element);
        let Some((name_at, name)) = element.name else { return Ok(()) };
        let resource_type = element.resource_type.as_ref().map_or(TOPIC, |(_, kind)| *kind);
        let alters = element.resource_type.is_some() && topic_policy::sets_configs(message.api.key);
        let names = &tenant.names;
        let physical = match (element.refusal, resource_type) {
            (Some(refusal), _) => Err(refusal),
            (None, TOPIC | GROUP) if name.is_empty() && (alters || resource_type == GROUP) => Err(Refusal::EmptyName),
            (None, TOPIC) => names.physical_topic(&name, deed(message.api.key)),
            (None, GROUP) => Ok(names.groups.physical()),
            (None, _) => Err(Refusal::Cluster),
        };
        match physical {
            Ok(change) => name_at.change(&change, edits),
            Err(refusal) => {
                if let Some((range, _)) = element.resource_type {
                    edits.replace(range, TOPIC.to_be_bytes().as_slice());
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
        match message.api.key {
            ApiKey::FETCH => {
                let refused = self.fetch_session.end(known, self.hidden, context.edits);
                refused.into_iter().for_each(|code| self.refuse(code));
            }
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
            ApiKey::FIND_COORDINATOR => {
                let refused = self.coordinator_key.end(&tenant.names, context.edits)?;
                refused.into_iter().for_each(|code| self.refuse(code));
                context.remember(self.coordinator_key.memo());
            }
            ApiKey::DESCRIBE_TOPIC_PARTITIONS => self.topic_page.end(&tenant.names, context.edits)?,
            _ => {}
        }
        if let Some(code) = self.refused {
            let refusal = answer::Refusal {
                names: &self.coordinator_key.refused,
                elements: self.elements,
                message: text(code),
                ..answer::Refusal::code(code)
            };
            context.answer(answer::refusal(message.api, message.version, &refusal)?);
            return Ok(());
        }
        if let Some(void) = self.void {
            context.remember(void as u64);
        }
        let learns_all = self.all_ids && !known.knows_all && !tenant.names.topics.is_empty();
        if learns_all {
            known.ask_for_all(context);
        } else if !self.missing.is_empty() {
            known.ask(self.missing, context);
            if !message.resizable {
                known.judged.clear();
                return Ok(());
            }
        } else {
            known.judged.clear();
            known.knows_all = false;
            return Ok(());
        }
        context.hold();
        Ok(())
    }
}

/// What is wrong with a refused request, for a person; nothing where the code says it, and for ACLs, whose answers would hold
/// the text once for each element.
fn text(code: i16) -> Option<&'static str> {
    match code {
        INVALID_REGULAR_EXPRESSION => Some(
            "This regular expression is not valid, or it has something that cannot be limited to a virtual cluster: \
             word boundaries, anchors in the middle, \\Q...\\E, \\p, set operators, the flags m, u and x.",
        ),
        POLICY_VIOLATION => Some(Refusal::Policy.text()),
        _ => None,
    }
}

/// Fields without an entity of their own that are looked at.
pub(crate) fn reads(tenant: &Tenant, key: ApiKey, field: &Field) -> bool {
    match field.name {
        // The answer may have to be seen whole.
        "MaxBytes" => key == ApiKey::FETCH && !tenant.names.topics_grow_alike(),
        "NumPartitions" | "Count" | "Partitions" | "ReplicationFactor" => fixed_number(field),
        "ClientId" | "ProtocolType" | "KeyType" | "EndpointType" | "SessionId" | "SessionEpoch" => true,
        "AllowAutoTopicCreation" | "Assignments" | "Name" | "Key" => true,
        _ => false,
    }
}

fn fixed_number(field: &Field) -> bool {
    !field.array && field.kind != Kind::Struct
}

/// How many bytes more than it needs the length of a changed name takes in a stream, so that all names grow alike.
fn padding(width: Width) -> usize {
    usize::from(width == Width::Compact)
}

fn client_id(tenant: &Tenant, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
    let clients = &tenant.names.clients;
    match StringField::of(value) {
        Some(field) if clients.is_empty() && value.bytes == Some(ADMIN_CLIENT) => field.set(None, edits),
        Some(field) => field.change(&clients.physical(), edits),
        None if clients.is_empty() => Ok(()),
        None => StringField::of_null(value).set(Some(clients.prefix()), edits),
    }
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
