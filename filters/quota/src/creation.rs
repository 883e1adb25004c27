//! CreateTopics and CreatePartitions: how much a request would create, and what it is told when that is too much (KIP-599).

use std::rc::Rc;

use bifrost_core::answer::{Refusal, refusal};
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Message};
use bifrost_core::protocol::{ApiKey, Entity};
use bifrost_core::walker::{Event, Value};

use crate::account::Account;
use crate::config::Resource;
use crate::in_force::InForce;

/// THROTTLING_QUOTA_EXCEEDED
const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

/// What a request would create.
#[derive(Debug, Default)]
pub(crate) struct Creation {
    topics: Vec<Topic>,
    validate_only: bool,
}

#[derive(Debug, Default)]
struct Topic {
    name: String,
    /// As the request says; the broker's default counts as one.
    partitions: u64,
    /// Partitions whose replicas the request assigns; they are those that it creates.
    assigned: u64,
}

impl Topic {
    fn partitions(&self) -> u64 {
        if self.assigned > 0 { self.assigned } else { self.partitions.max(1) }
    }
}

/// Whether clients of this version know the error, else they are made to wait behind their request, as by a broker.
fn knows_error(message: &Message) -> bool {
    match message.api.key {
        ApiKey::CREATE_TOPICS => message.version >= 6,
        _ => message.version >= 3,
    }
}

impl Creation {
    /// What has to be known of a request.
    pub(crate) fn reads(name: &str) -> bool {
        matches!(name, "NumPartitions" | "Count" | "Assignments" | "validateOnly" | "ValidateOnly")
    }

    pub(crate) fn on_event(&mut self, event: &Event<'_>) {
        match event {
            Event::Value(value) => self.value(value),
            Event::Array(array) if array.field.name == "Assignments" => {
                if let Some(topic) = self.topics.last_mut() {
                    topic.assigned = array.count.map_or(0, u64::from);
                }
            }
            _ => {}
        }
    }

    fn value(&mut self, value: &Value<'_>) {
        let number = || value.number().and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        match (value.field.entity, value.field.name) {
            (Entity::TopicName, _) => {
                let name = value.text().unwrap_or_default().to_owned();
                self.topics.push(Topic { name, ..Topic::default() });
            }
            // CreatePartitions says how many there shall be, not how many are there: the most that it can create.
            (_, "NumPartitions" | "Count") => {
                let number = number();
                if let Some(topic) = self.topics.last_mut() {
                    topic.partitions = number;
                }
            }
            (_, "validateOnly" | "ValidateOnly") => self.validate_only = number() != 0,
            _ => {}
        }
    }

    /// The request is complete: it is charged, or refused when there is a debt. Gives the time until which the client has to
    /// wait.
    pub(crate) fn end(
        self,
        in_force: &InForce,
        accounts: &[Rc<Account>],
        message: &Message,
        context: &mut Context<'_>,
    ) -> Result<u64, Fault> {
        if self.validate_only {
            return Ok(0);
        }
        let mut charges: Vec<(Rc<Account>, Resource, u64)> = Vec::new();
        let counts_topics = message.api.key == ApiKey::CREATE_TOPICS;
        for topic in &self.topics {
            for account in accounts.iter().cloned().chain(in_force.topic(&topic.name)) {
                if counts_topics {
                    charge(&mut charges, &account, Resource::TopicCreations, 1);
                }
                charge(&mut charges, &account, Resource::PartitionCreations, topic.partitions());
            }
        }
        if knows_error(message) {
            let mut until_ms = 0;
            for (account, resource, _) in &charges {
                let debt_until_ms = account.in_debt_until(*resource, context.host);
                if debt_until_ms > 0 {
                    account.count_refusal(*resource);
                }
                until_ms = until_ms.max(debt_until_ms);
            }
            if until_ms > 0 {
                self.refuse(until_ms, message, context)?;
                return Ok(until_ms);
            }
        }
        let until = charges.iter().map(|(account, resource, count)| account.charge(*resource, *count, context.host));
        Ok(until.max().unwrap_or(0))
    }

    fn refuse(self, until_ms: u64, message: &Message, context: &mut Context<'_>) -> Result<(), Fault> {
        let wait_ms = until_ms.saturating_sub(context.host.now_ms());
        let names: Vec<String> = self.topics.into_iter().map(|topic| topic.name).collect();
        let text = format!("The quota for creating topics and partitions is used up. Try again in {wait_ms} ms.");
        let refused = Refusal {
            names: &names,
            message: Some(&text),
            throttle_time_ms: i32::try_from(wait_ms).unwrap_or(i32::MAX),
            ..Refusal::code(THROTTLING_QUOTA_EXCEEDED)
        };
        context.answer(refusal(message.api, message.version, &refused)?);
        Ok(())
    }
}

/// Adds up what one account is charged with.
fn charge(charges: &mut Vec<(Rc<Account>, Resource, u64)>, account: &Rc<Account>, resource: Resource, count: u64) {
    let known = charges.iter_mut().find(|(known, of, _)| Rc::ptr_eq(known, account) && *of == resource);
    match known {
        Some((_, _, sum)) => *sum = sum.saturating_add(count),
        None => charges.push((Rc::clone(account), resource, count)),
    }
}
