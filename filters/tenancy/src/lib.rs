//! Every tenant believes that it owns the cluster.
//!
//! One mechanism renames everywhere: the walker reports topic names, group ids, transactional ids and topic ids wherever the
//! protocol tables know one; requests get the prefix, answers lose it. What renaming alone does not cover has a file each:
//!
//! - `decisions.rs`: which APIs and versions are offered at all;
//! - `names.rs`: names, and how a refused element is answered by the broker itself; `topic_ids.rs`: ids;
//! - `request.rs`, `answer.rs`: the way there and back;
//! - `regex.rs`, `consumer_protocol.rs`, `texts.rs`: names inside patterns, members' bytes and error texts;
//! - `coordinator_key.rs`, `fetch_session.rs`, `topic_pages.rs`, `topic_policy.rs`: what single APIs need.
//!
//! Source of the rules: the semantics of Kafka 2.8 to 4.4, API by API.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "a test that panics fails, and that is all"
    )
)]

mod answer;
mod config;
mod connection;
mod consumer_protocol;
mod coordinator_key;
mod decisions;
mod fetch_session;
mod names;
mod regex;
mod request;
mod string_field;
mod texts;
mod topic_ids;
mod topic_pages;
mod topic_policy;

use std::cell::RefCell;
use std::rc::Rc;

use bifrost_core::filter::{Context, Direction, Filter, FilterConfig, Plan};
use bifrost_core::host::Counter;
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind, VersionRange, api};
use bifrost_core::walker::{Value, holds};

pub use config::{Access, Config, SharedTopic, TopicCreation};
pub use decisions::{Decision, decision};

use connection::Connection;
use names::Names;
use topic_ids::{Mask, TenantIds, TopicId, TopicIds};

/// The first Metadata version whose request does not create topics unless it says so.
const METADATA_WITHOUT_CREATION: i16 = 4;

/// The last versions of Produce and Fetch that name topics.
const NAMES_UP_TO: i16 = 12;

/// Hidden ids of a worker whose answers may be under way; from this many to twice as many. A client that uses more may see how
/// one is hidden, which tells it nothing.
const HIDDEN_MAX: usize = 16_384;

/// The configured filter.
pub struct Tenancy {
    tenant: Rc<Tenant>,
}

/// What all connections of one worker share.
struct Tenant {
    config: Config,
    names: Names,
    topic_ids: RefCell<TenantIds>,
    mask: Mask,
    /// Ids that are hidden behind the mask, as the clients wrote them.
    hidden: RefCell<TopicIds<()>>,
}

impl Tenant {
    /// Hides an id that is not the tenant's behind one that no topic has.
    fn hide(&self, id: TopicId, value: &Value<'_>, context: &mut Context<'_>) {
        context.edits.replace(value.range.clone(), self.mask.hide(&id).as_slice());
        self.hidden.borrow_mut().insert(id, ());
        context.host.count(Counter::TopicIdsForeign, 1);
    }

    /// The id that the client wrote, when this is one that was hidden.
    fn shown(&self, hidden: &TopicId) -> Option<TopicId> {
        let mut known = self.hidden.borrow_mut();
        if known.is_empty() {
            return None;
        }
        let id = self.mask.show(hidden);
        known.get(&id).map(|()| id)
    }
}

impl Tenancy {
    /// The filter for one virtual cluster.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let names = Names::new(&config);
        let topic_ids = RefCell::new(TenantIds::new(&config));
        let hidden = RefCell::new(TopicIds::new(HIDDEN_MAX));
        let tenant = Tenant { config, names, topic_ids, mask: Mask::default(), hidden };
        Tenancy { tenant: Rc::new(tenant) }
    }
}

impl FilterConfig for Tenancy {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        let mut versions = decisions::offered(key)?.intersect(api(key)?.versions)?;
        let tenant = &self.tenant;
        let may_create = tenant.config.topic_creation.auto_create && tenant.config.shared_topics.is_empty();
        if key == ApiKey::METADATA && !may_create {
            versions = versions.intersect(VersionRange::new(METADATA_WITHOUT_CREATION, i16::MAX))?;
        }
        Some(versions)
    }

    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan {
        let fields = match direction {
            Direction::Request => api.request,
            Direction::Response => api.response,
        };
        let body_holds = |wanted: &dyn Fn(&Field) -> bool| fields.iter().any(|field| holds(field, version, wanted));
        let rename_clients = !self.tenant.names.clients.is_empty();
        let concerns = |field: &Field| {
            let always = match field.entity {
                entity if is_tenants(entity) => true,
                Entity::BrokerId => field.name == "ReplicaId",
                _ => matches!(field.name, "SessionId" | "EndpointType"),
            };
            always || (rename_clients && field.name == "ClientId")
        };
        let has_client_id = rename_clients && direction == Direction::Request;
        if !has_client_id && !body_holds(&concerns) {
            return Plan::Pass;
        }
        let in_place = version > NAMES_UP_TO || api.key == ApiKey::SHARE_FETCH;
        let streams =
            body_holds(&|field| field.kind == Kind::Records) && (in_place || self.tenant.names.topics_grow_alike());
        if streams { Plan::Head } else { Plan::Whole }
    }

    fn wants(
        &self,
        api: &'static Api,
        direction: Direction,
        siblings: &'static [Field],
        field: &'static Field,
    ) -> bool {
        // Only how many elements it has is told in the answer.
        if direction == Direction::Request && decisions::is_answered(api.key) {
            return field.array && core::ptr::eq(siblings, api.request);
        }
        let named_beside = |entity| siblings.iter().any(|sibling| sibling.entity == entity);
        match field.entity {
            entity if is_tenants(entity) => true,
            // Beside a text, and where an element may have been refused.
            Entity::ErrorCode => {
                !matches!(api.key, ApiKey::METADATA | ApiKey::FETCH) || named_beside(Entity::ErrorMessage)
            }
            Entity::BrokerId => matches!(field.name, "ReplicaId" | "NodeId") && direction == Direction::Request,
            Entity::Opaque => field.name == "Value" && api.key == ApiKey::DESCRIBE_CONFIGS,
            _ => match direction {
                Direction::Request => request::reads(&self.tenant, api.key, field),
                Direction::Response => answer::reads(field, named_beside(Entity::TopicName)),
            },
        }
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Connection::new(Rc::clone(&self.tenant)))
    }
}

/// Whether fields of this kind name something that can be a tenant's, or tell of it, wherever they are.
const fn is_tenants(entity: Entity) -> bool {
    matches!(
        entity,
        Entity::TopicName
            | Entity::TopicId
            | Entity::GroupId
            | Entity::TransactionalId
            | Entity::ResourceName
            | Entity::MemberMetadata
            | Entity::ClusterId
            | Entity::ErrorMessage
            | Entity::AuthorizedOps
    )
}
