//! Answers: physical names become virtual ones, what is not the tenant's is left out, texts lose what they quote of others.

use core::ops::Range;

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Message};
use bifrost_core::host::Counter;
use bifrost_core::protocol::{ApiKey, Entity, Field};
use bifrost_core::walker::{Array, Event, Value};

use crate::connection::{Known, METADATA_BY_ID};
use crate::consumer_protocol::{self, CONSUMER};
use crate::names::{Change, Origin, Refusal, Space};
use crate::request::{GROUP, TOPIC, deed};
use crate::string_field::StringField;
use crate::topic_ids::{self, Standing, TopicId};
use crate::topic_pages::TopicPage;
use crate::topic_policy::DEAD_LETTER_TOPIC;
use crate::{NAMES_UP_TO, Tenant, coordinator_key, regex, texts};

/// "Not asked for": the rights that a broker tells are those of the gateway.
const NO_OPERATIONS: i32 = i32::MIN;

/// Topics of the brokers themselves that a transaction may hold.
const INTERNAL_TOPICS: &[&str] = &["__consumer_offsets", "__transaction_state"];

/// What was met in the answer that is being walked.
#[derive(Default)]
pub(crate) struct Answer {
    body: Element,
    /// Arrays that have begun and not ended.
    arrays: Vec<OpenArray>,
    /// Why the request was kept from having an effect.
    void: Option<Refusal>,
    /// The group's members speak the consumer protocol.
    consumer: bool,
    topic_page: TopicPage,
}

/// An array and its element that is being walked.
struct OpenArray {
    array: Array,
    /// How many edits there were before the element.
    mark: usize,
    dropped: u32,
    /// The element is not the tenant's.
    foreign: bool,
    element: Element,
}

/// What was met in a struct.
#[derive(Default)]
struct Element {
    /// What the tenant may do with the topic that it names.
    standing: Option<Standing>,
    topic_id: Option<TopicId>,
    refusal: Option<Refusal>,
    code: Option<(Range<usize>, i16)>,
    texts: Vec<(StringField, String)>,
    /// Where a text could be and none is.
    no_text: Option<StringField>,
    resource_type: Option<(Range<usize>, i8)>,
    resource: Option<Box<(StringField, String)>>,
    /// It is a config whose value is a topic's name.
    names_topic: bool,
}

impl Answer {
    pub(crate) fn on_event(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        event: &Event<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if message.own {
            return self.own_answer(tenant, known, message, event, context);
        }
        self.void = void(message.api.key, context.remembered());
        match event {
            Event::Value(value) => self.value(tenant, known, message, value, context),
            Event::Array(array) => {
                self.array(tenant, message, array, context);
                Ok(())
            }
            Event::Element(..) => {
                if let Some(open) = self.arrays.last_mut() {
                    open.mark = context.edits.len();
                }
                Ok(())
            }
            Event::ElementEnd(_, range) => self.element_end(tenant, message, range, context),
            Event::ArrayEnd(array) => self.array_end(array, context),
            Event::End => {
                let around = Around { void: self.void, arrays: &self.arrays };
                let done = finish(tenant, message, &self.body, around, context.edits);
                // Its memory is for the next answer.
                let mut arrays = core::mem::take(&mut self.arrays);
                arrays.clear();
                *self = Answer { arrays, ..Answer::default() };
                done
            }
            Event::NullStruct(..) | Event::Records(..) => Ok(()),
        }
    }

    /// The struct that a value lies in.
    fn element(&mut self) -> &mut Element {
        self.arrays.last_mut().map_or(&mut self.body, |open| &mut open.element)
    }

    fn value(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        value: &Value<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let names = &tenant.names;
        match value.field.entity {
            Entity::TopicName => self.topic_name(tenant, message, value, context.edits),
            Entity::TopicId => {
                let Some(id) = value.bytes.and_then(|bytes| TopicId::try_from(bytes).ok()) else { return Ok(()) };
                if let Some(id) = tenant.shown(&id) {
                    context.edits.replace(value.range.clone(), id.as_slice());
                    // It may be used, but not like this. (Or it has been learned since: then the client tries again.)
                    let standing = tenant.topic_ids.borrow_mut().get(&id, context.host);
                    let denied = standing.is_some_and(|standing| !standing.allows(deed(message.api.key)));
                    self.element().refusal = denied.then_some(Refusal::Shared);
                } else if id != topic_ids::NONE {
                    self.element().topic_id = Some(id);
                    // Somebody may have committed offsets of anything past the gateway.
                    if message.api.key == ApiKey::OFFSET_FETCH
                        && !tenant.names.topics.is_empty()
                        && tenant.topic_ids.borrow_mut().get(&id, context.host).is_none()
                    {
                        return self.foreign(message, value, context.edits);
                    }
                }
                Ok(())
            }
            Entity::GroupId => self.name(&names.groups, message, value, context.edits),
            Entity::TransactionalId => self.name(&names.transactions, message, value, context.edits),
            // Why configs are missing in an answer that is none of this.
            Entity::ErrorCode if value.field.name == "TopicConfigErrorCode" => Ok(()),
            Entity::ErrorCode => {
                let code = value.number().and_then(|n| i16::try_from(n).ok()).unwrap_or(-1);
                self.element().code = Some((value.range.clone(), code));
                Ok(())
            }
            Entity::ErrorMessage => {
                self.text(tenant, message, value, context.edits);
                Ok(())
            }
            Entity::AuthorizedOps if value.number() == Some(i64::from(NO_OPERATIONS)) => Ok(()),
            Entity::AuthorizedOps => {
                context.edits.replace(value.range.clone(), NO_OPERATIONS.to_be_bytes().as_slice());
                Ok(())
            }
            Entity::ClusterId => match (&tenant.config.cluster_id, StringField::of(value)) {
                (Some(id), Some(field)) => field.set(Some(id), context.edits),
                _ => Ok(()),
            },
            Entity::MemberMetadata => {
                let remembered = message.api.key != ApiKey::DESCRIBE_GROUPS && context.remembered() == 1;
                if !self.consumer && !remembered {
                    return Ok(());
                }
                consumer_protocol::rename(value, context.edits, |name| match names.topic_origin(name) {
                    Origin::Own(change) => Some(change),
                    _ => None,
                })
            }
            Entity::ResourceName => self.resource(tenant, message, value, context),
            _ => self.other(tenant, known, message, value, context),
        }
    }

    /// Fields without an entity of their own.
    fn other(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        value: &Value<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        match value.field.name {
            "SessionId" if message.api.key == ApiKey::FETCH => {
                known.session_begins(value.number().and_then(|id| i32::try_from(id).ok()).unwrap_or(0));
            }
            "ProtocolType" => self.consumer = value.bytes == Some(CONSUMER),
            "ClientId" => {
                let Some(text) = value.text() else { return Ok(()) };
                if let (Origin::Own(change), Some(field)) = (tenant.names.clients.origin(text), StringField::of(value))
                {
                    field.change(&change, context.edits)?;
                }
            }
            "PartitionIndex" if self.arrays.is_empty() => {
                self.topic_page.next_partition(value, context.edits)?;
            }
            "Name" if message.api.key == ApiKey::DESCRIBE_CONFIGS => {
                self.element().names_topic = value.text() == Some(DEAD_LETTER_TOPIC);
            }
            "Value" if self.element().names_topic => {
                let (Some(text), Some(field)) = (value.text(), StringField::of(value)) else { return Ok(()) };
                match tenant.names.topic_origin(text) {
                    Origin::Own(change) => field.change(&change, context.edits)?,
                    _ if text.is_empty() => {}
                    _ => field.set(None, context.edits)?,
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
        let name = value.text().unwrap_or(":");
        let origin = match self.void {
            Some(_) => Origin::Own(Change { cut: tenant.names.impossible_topic().put.len(), put: "" }),
            None => tenant.names.topic_origin(name),
        };
        if self.arrays.is_empty() && message.api.key == ApiKey::DESCRIBE_TOPIC_PARTITIONS {
            self.topic_page.next_topic(field, &origin);
            return Ok(());
        }
        match origin {
            Origin::Own(change) => {
                self.element().standing = tenant.names.standing(name);
                if message.resizable { field.change(&change, edits) } else { field.change_in_stream(&change, 0, edits) }
            }
            Origin::Refused { cut, refusal, .. } => {
                self.element().refusal = Some(refusal);
                field.change(&Change { cut, put: "" }, edits)
            }
            // A transaction that commits offsets holds a partition of the brokers' own.
            Origin::Foreign if message.api.key == ApiKey::DESCRIBE_TRANSACTIONS && INTERNAL_TOPICS.contains(&name) => {
                Ok(())
            }
            Origin::Foreign => self.foreign(message, value, edits),
        }
    }

    /// A name of groups or transactions.
    fn name(&mut self, space: &Space, message: &Message, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let Some(field) = StringField::of(value) else { return Ok(()) };
        match value.text().map(|name| space.origin(name)) {
            Some(Origin::Own(change)) => field.change(&change, edits),
            Some(Origin::Refused { cut, refusal, .. }) => {
                self.element().refusal = Some(refusal);
                field.change(&Change { cut, put: "" }, edits)
            }
            Some(Origin::Foreign) | None => self.foreign(message, value, edits),
        }
    }

    /// Leaves the element out of a list; anywhere else such a name cannot be.
    fn foreign(&mut self, message: &Message, value: &Value<'_>, edits: &mut Edits) -> Result<(), Fault> {
        let fault = Fault::Foreign { field: value.field.name };
        if !lists_all(message.api.key) || !message.resizable {
            return Err(fault);
        }
        let open = self.arrays.last_mut().ok_or(fault)?;
        if core::ptr::eq(open.array.field, value.field) {
            // An array of plain names.
            edits.replace(value.range.clone(), Vec::new());
            open.dropped = open.dropped.saturating_add(1);
        } else {
            open.foreign = true;
            self.topic_page.past_own_topics = true;
        }
        Ok(())
    }

    fn text(&mut self, tenant: &Tenant, message: &Message, value: &Value<'_>, edits: &mut Edits) {
        if value.bytes.is_none() && value.field.name == "ErrorMessage" && message.resizable {
            self.element().no_text = Some(StringField::of_null(value));
        }
        let (Some(text), Some(field)) = (value.text(), StringField::of(value)) else { return };
        if text.is_empty() {
            return;
        }
        if message.resizable {
            self.element().texts.push((field, text.to_owned()));
            return;
        }
        // Its length has been passed on.
        let code = self.element().code.as_ref().map_or(-1, |(_, code)| *code);
        let shown = texts::shown(&tenant.names, code, None, text).filter(|shown| shown.len() <= text.len());
        if shown.as_deref() != Some(text) {
            field.overwrite(&shown.unwrap_or_default(), edits);
        }
    }

    /// A name, or a pattern of names, whose kind other fields tell; and that kind.
    fn resource(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        value: &Value<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if value.field.name == "ResourceType" {
            let kind = value.number().and_then(|n| i8::try_from(n).ok()).unwrap_or(0);
            self.element().resource_type = Some((value.range.clone(), kind));
            return Ok(());
        }
        let Some(field) = StringField::of(value) else { return Ok(()) };
        let text = value.text().ok_or(Fault::Foreign { field: value.field.name })?;
        match value.field.name {
            "ResourceName" => {
                self.element().resource = Some(Box::new((field, text.to_owned())));
                Ok(())
            }
            "Key" => {
                let memo = context.remembered();
                if coordinator_key::restore(&tenant.names, memo, &field, text, context.edits)? {
                    Ok(())
                } else {
                    self.foreign(message, value, context.edits)
                }
            }
            "SubscribedTopicRegex" if text.is_empty() || tenant.names.topics.is_empty() => Ok(()),
            "SubscribedTopicRegex" => field.set(regex::unwrap(tenant.names.topics.prefix(), text), context.edits),
            _ => Err(Fault::Internal("a resource that nobody renames")),
        }
    }

    fn array(&mut self, tenant: &Tenant, message: &Message, array: &Array, context: &mut Context<'_>) {
        if !message.resizable && message.api.key == ApiKey::FETCH && message.version <= NAMES_UP_TO {
            let prefix = tenant.names.topics.prefix().len();
            if array.field.name == "Responses" && prefix > 0 {
                context.edits.promise(i64::try_from(prefix).unwrap_or(i64::MAX).saturating_neg());
            }
        }
        if array.has_end() {
            self.arrays.push(OpenArray {
                array: array.clone(),
                mark: context.edits.len(),
                dropped: 0,
                foreign: false,
                element: Element::default(),
            });
        }
    }

    fn element_end(
        &mut self,
        tenant: &Tenant,
        message: &Message,
        range: &Range<usize>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let Some((open, outer)) = self.arrays.split_last_mut() else { return Ok(()) };
        if core::mem::take(&mut open.foreign) || !is_shown(message, &open.element, tenant) {
            open.element = Element::default();
            context.edits.truncate(open.mark);
            context.edits.replace(range.clone(), Vec::new());
            open.dropped = open.dropped.saturating_add(1);
            context.host.count(Counter::ForeignElements, 1);
            return Ok(());
        }
        let element = &open.element;
        if let (Some(standing), Some(id)) = (element.standing, element.topic_id) {
            tenant.topic_ids.borrow_mut().learn(id, standing, context.host);
        }
        finish(tenant, message, element, Around { void: self.void, arrays: outer }, context.edits)?;
        open.element = Element::default();
        Ok(())
    }

    fn array_end(&mut self, array: &Array, context: &mut Context<'_>) -> Result<(), Fault> {
        let Some(open) = self.arrays.pop() else { return Ok(()) };
        if open.dropped > 0 {
            context.edits.recount(array, array.count.unwrap_or(0).saturating_sub(open.dropped))?;
        }
        Ok(())
    }

    /// The answer to a question of the gateway's: nobody else sees it.
    fn own_answer(
        &mut self,
        tenant: &Tenant,
        known: &mut Known,
        message: &Message,
        event: &Event<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if message.api.key != ApiKey::METADATA || message.version != METADATA_BY_ID {
            return Ok(());
        }
        match event {
            Event::Value(value) if value.field.entity == Entity::TopicName => {
                self.body.standing = value.text().and_then(|name| tenant.names.standing(name));
            }
            Event::Value(value) if value.field.entity == Entity::TopicId => {
                self.body.topic_id = value.bytes.and_then(|bytes| TopicId::try_from(bytes).ok());
            }
            Event::ElementEnd(field, range) if field.name == "Topics" => {
                // Nobody sees it, so it need not be kept.
                context.edits.replace(range.clone(), Vec::new());
                let element = core::mem::take(&mut self.body);
                if let (Some(standing), Some(id)) = (element.standing, element.topic_id) {
                    tenant.topic_ids.borrow_mut().learn(id, standing, context.host);
                }
            }
            Event::End => {
                *self = Answer::default();
                let mut ids = tenant.topic_ids.borrow_mut();
                known.answered(|id| ids.get(id, context.host).is_some());
                context.release();
            }
            _ => {}
        }
        Ok(())
    }
}

/// What an element lies in.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// Why the request was kept from having an effect.
    void: Option<Refusal>,
    /// The arrays around it, from the outside in.
    arrays: &'a [OpenArray],
}

impl Around<'_> {
    /// What the nearest element around says.
    fn find<T>(&self, of: impl Fn(&Element) -> Option<T>) -> Option<T> {
        self.arrays.iter().rev().find_map(|open| of(&open.element))
    }
}

/// Everything of a struct is known: what hangs together in it is put right.
fn finish(
    tenant: &Tenant,
    message: &Message,
    element: &Element,
    around: Around<'_>,
    edits: &mut Edits,
) -> Result<(), Fault> {
    let mut refusal = around.void.or(element.refusal).or_else(|| around.find(|outer| outer.refusal));
    if let Some((field, name)) = element.resource.as_deref() {
        let (kind_at, kind) = element.resource_type.as_ref().map_or((None, TOPIC), |(at, kind)| (Some(at), *kind));
        let origin = if kind == GROUP { tenant.names.groups.origin(name) } else { tenant.names.topic_origin(name) };
        match origin {
            Origin::Own(change) => field.change(&change, edits)?,
            Origin::Refused { cut, refusal: why, resource_type } => {
                field.change(&Change { cut, put: "" }, edits)?;
                if let Some(at) = kind_at {
                    edits.replace(at.clone(), resource_type.to_be_bytes().as_slice());
                }
                refusal = Some(why);
            }
            Origin::Foreign => return Err(Fault::Foreign { field: "ResourceName" }),
        }
    }
    let code_of = |element: &Element| element.code.as_ref().map(|(_, code)| *code);
    let code = code_of(element).or_else(|| around.find(code_of));
    if let (Some(refusal), Some((at, _))) = (refusal, &element.code) {
        edits.replace(at.clone(), (refusal as i16).to_be_bytes().as_slice());
    }
    if let (Some(refusal), Some(field)) = (refusal, &element.no_text) {
        field.set(Some(refusal.text()), edits)?;
    }
    for (field, text) in &element.texts {
        let shown = match code {
            Some(code) => texts::shown(&tenant.names, code, refusal, text),
            // What a streams group lacks, in the words of its own topology.
            None => texts::stripped(&tenant.names, text),
        };
        if shown.as_deref() != Some(text) {
            let nullable = message.api.key != ApiKey::STREAMS_GROUP_HEARTBEAT;
            field.set(shown.as_deref().or(if nullable { None } else { Some("") }), edits)?;
        }
    }
    Ok(())
}

/// Fields without an entity of their own that are looked at; `beside_topic`: a topic's name lies in the same struct.
pub(crate) fn reads(field: &Field, beside_topic: bool) -> bool {
    match field.name {
        "SessionId" | "ProtocolType" | "ClientId" | "Name" => true,
        "PartitionIndex" => beside_topic,
        _ => false,
    }
}

/// Why the answered request was kept from having an effect (`Request::void`); the memos of other APIs say other things.
fn void(key: ApiKey, memo: u64) -> Option<Refusal> {
    match key {
        ApiKey::PRODUCE
        | ApiKey::OFFSET_COMMIT
        | ApiKey::OFFSET_FETCH
        | ApiKey::TXN_OFFSET_COMMIT
        | ApiKey::ADD_PARTITIONS_TO_TXN => Refusal::from_code(memo),
        _ => None,
    }
}

/// Answers that may hold what the request did not name.
fn lists_all(key: ApiKey) -> bool {
    matches!(
        key,
        ApiKey::METADATA
            | ApiKey::DESCRIBE_TOPIC_PARTITIONS
            | ApiKey::LIST_GROUPS
            | ApiKey::LIST_TRANSACTIONS
            | ApiKey::OFFSET_FETCH
            | ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS
            // Members that joined past the gateway may have subscribed to anything.
            | ApiKey::CONSUMER_GROUP_DESCRIBE
            | ApiKey::SHARE_GROUP_DESCRIBE
            | ApiKey::STREAMS_GROUP_DESCRIBE
    )
}

/// Whether an element of ListConfigResources is the tenant's. Version 0 lists client metrics only, which are nobody's.
fn is_shown(message: &Message, element: &Element, tenant: &Tenant) -> bool {
    let Some((_, name)) = element.resource.as_deref().filter(|_| message.api.key == ApiKey::LIST_CONFIG_RESOURCES)
    else {
        return true;
    };
    match element.resource_type {
        Some((_, TOPIC)) => tenant.names.topic_origin(name) != Origin::Foreign,
        Some((_, GROUP)) => tenant.names.groups.origin(name) != Origin::Foreign,
        _ => false,
    }
}
