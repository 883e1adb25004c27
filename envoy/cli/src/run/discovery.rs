//! What Envoy may ask for, and what became of it.
//!
//! Envoy asks for each resource with the version that it has, gets an answer when there is another, and asks again at once. Its
//! next question is its verdict: with the new version it has accepted it, with the old one it has refused it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bifrost_config::{Resource, ResourceKind};
use tokio::sync::watch;
use tokio::time::timeout_at;

/// How long a question waits for something new. Envoy's own patience is twice that.
const HOLD: Duration = Duration::from_secs(600);

/// A resource that was accepted once is given to a newcomer no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

type Key = (ResourceKind, String);

/// The resources that are offered to Envoy now.
#[derive(Debug)]
pub(crate) struct Discovery {
    book: Mutex<Book>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Book {
    revision: u64,
    entries: BTreeMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    resource: Resource,
    /// Different each time that the resource is offered.
    version: String,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Offered,
    Served,
    /// When it was last served; a new subscription may need it again.
    Accepted(Option<Instant>),
    Refused,
}

/// An answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) version: String,
    /// JSON array.
    pub(crate) content: String,
}

/// What Envoy has refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(Vec<Key>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named(&self.0))
    }
}

fn named(keys: &[Key]) -> String {
    let name = |(kind, name): &Key| match kind {
        ResourceKind::Clusters => "the Envoy clusters".to_owned(),
        ResourceKind::Listeners => "the listeners".to_owned(),
        ResourceKind::Filter => format!("the policies of virtual cluster '{name}'"),
        ResourceKind::Secret => format!("the secret '{name}'"),
    };
    keys.iter().map(name).collect::<Vec<_>>().join(", ")
}

impl Discovery {
    pub(crate) fn new() -> Discovery {
        Discovery { book: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Offers these resources and no others. What Envoy has accepted with the same content is not offered again.
    pub(crate) fn publish(&self, resources: &[Resource]) {
        let mut book = self.book();
        book.revision = book.revision.saturating_add(1);
        let revision = book.revision;
        let mut old = std::mem::take(&mut book.entries);
        for resource in resources {
            let key = (resource.kind, resource.name.clone());
            let same = old.remove(&key).filter(|entry| {
                matches!(entry.standing, Standing::Accepted(_)) && entry.resource.hash == resource.hash
            });
            let entry = same.unwrap_or_else(|| Entry {
                resource: resource.clone(),
                version: format!("{}.{revision}", resource.hash),
                standing: Standing::Offered,
            });
            book.entries.insert(key, entry);
        }
        drop(book);
        self.changed.send_replace(());
    }

    /// Answers a question; `None` when nothing is new for [`HOLD`].
    pub(crate) async fn ask(&self, kind: ResourceKind, name: &str, version: &str) -> Option<Answer> {
        let deadline = tokio::time::Instant::now().checked_add(HOLD)?;
        let key = (kind, name.to_owned());
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let until = match self.look(&key, version) {
                Look::Answer(answer) => return Some(answer),
                Look::Wait => deadline,
                Look::WaitUntil(time) => deadline.min(time.into()),
            };
            if timeout_at(until, changes.changed()).await.is_err() && until == deadline {
                return None;
            }
        }
    }

    fn look(&self, key: &Key, version: &str) -> Look {
        let mut book = self.book();
        // Listeners that come before their clusters would lead clients nowhere.
        let clusters = book.entries.get(&(ResourceKind::Clusters, String::new()));
        let before_clusters = key.0 == ResourceKind::Listeners
            && clusters.is_some_and(|entry| !matches!(entry.standing, Standing::Accepted(_)));
        let Some(entry) = book.entries.get_mut(key) else { return Look::Wait };
        let answer =
            || Look::Answer(Answer { version: entry.version.clone(), content: entry.resource.content.clone() });
        let (look, standing) = match entry.standing {
            Standing::Accepted(_) if entry.version == version => return Look::Wait,
            _ if entry.version == version => (Look::Wait, Standing::Accepted(None)),
            Standing::Offered if before_clusters => return Look::Wait,
            Standing::Offered => (answer(), Standing::Served),
            Standing::Served => (Look::Wait, Standing::Refused),
            Standing::Refused => return Look::Wait,
            Standing::Accepted(served) => match served.and_then(|served| served.checked_add(PAUSE)) {
                Some(next) if next > Instant::now() => return Look::WaitUntil(next),
                _ => (answer(), Standing::Accepted(Some(Instant::now()))),
            },
        };
        entry.standing = standing;
        drop(book);
        self.changed.send_replace(());
        look
    }

    /// Waits until Envoy has accepted everything, or has refused something.
    pub(crate) async fn settled(&self) -> Result<(), Refusal> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let refused = self.with_standing(|standing| standing == Standing::Refused);
            if !refused.is_empty() {
                return Err(Refusal(refused));
            }
            if self.with_standing(|standing| !matches!(standing, Standing::Accepted(_))).is_empty() {
                return Ok(());
            }
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// What Envoy has not accepted, in words.
    pub(crate) fn outstanding(&self) -> String {
        named(&self.with_standing(|standing| !matches!(standing, Standing::Accepted(_))))
    }

    fn with_standing(&self, wanted: impl Fn(Standing) -> bool) -> Vec<Key> {
        let book = self.book();
        book.entries.iter().filter(|(_, entry)| wanted(entry.standing)).map(|(key, _)| key.clone()).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Answer(Answer),
    Wait,
    WaitUntil(Instant),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: ResourceKind, name: &str, content: &str) -> Resource {
        let hash = bifrost_config::content_hash(content.as_bytes());
        Resource { kind, name: name.to_owned(), content: content.to_owned(), hash }
    }

    fn filter(name: &str, content: &str) -> Resource {
        resource(ResourceKind::Filter, name, content)
    }

    /// What is answered at once.
    async fn ask(discovery: &Discovery, kind: ResourceKind, name: &str, version: &str) -> Option<Answer> {
        let answer = discovery.ask(kind, name, version);
        tokio::time::timeout(Duration::from_millis(20), answer).await.ok().flatten()
    }

    async fn ask_filter(discovery: &Discovery, name: &str, version: &str) -> Option<Answer> {
        ask(discovery, ResourceKind::Filter, name, version).await
    }

    async fn settled(discovery: &Discovery) -> Option<Result<(), Refusal>> {
        tokio::time::timeout(Duration::from_millis(20), discovery.settled()).await.ok()
    }

    #[tokio::test]
    async fn the_next_question_accepts_or_refuses() {
        let discovery = Discovery::new();
        discovery.publish(&[filter("a", "[1]"), filter("b", "[2]")]);
        let (a, b) = (ask_filter(&discovery, "a", "").await.unwrap(), ask_filter(&discovery, "b", "").await.unwrap());
        assert_eq!((a.content.as_str(), b.content.as_str()), ("[1]", "[2]"));
        assert_eq!(settled(&discovery).await, None);

        assert_eq!(ask_filter(&discovery, "a", &a.version).await, None);
        assert_eq!(ask_filter(&discovery, "b", &b.version).await, None);
        assert_eq!(settled(&discovery).await, Some(Ok(())));

        discovery.publish(&[filter("a", "[3]"), filter("b", "[2]")]);
        assert_eq!(ask_filter(&discovery, "b", &b.version).await, None);
        let bad = ask_filter(&discovery, "a", &a.version).await.unwrap();
        assert_eq!(bad.content, "[3]");
        assert_eq!(ask_filter(&discovery, "a", &a.version).await, None);
        let refusal = settled(&discovery).await.unwrap().unwrap_err();
        assert_eq!(refusal.to_string(), "the policies of virtual cluster 'a'");
    }

    #[tokio::test]
    async fn what_was_refused_is_offered_again_in_its_old_form() {
        let discovery = Discovery::new();
        discovery.publish(&[filter("a", "[1]")]);
        let first = ask_filter(&discovery, "a", "").await.unwrap();
        ask_filter(&discovery, "a", &first.version).await;
        discovery.publish(&[filter("a", "[2]")]);
        ask_filter(&discovery, "a", &first.version).await.unwrap();
        ask_filter(&discovery, "a", &first.version).await;

        discovery.publish(&[filter("a", "[1]")]);
        let again = ask_filter(&discovery, "a", &first.version).await.unwrap();

        assert_eq!(again.content, "[1]");
        assert_ne!(again.version, first.version);
        ask_filter(&discovery, "a", &again.version).await;
        assert_eq!(settled(&discovery).await, Some(Ok(())));
    }

    #[tokio::test]
    async fn a_question_waits_until_there_is_something_new() {
        let discovery = std::sync::Arc::new(Discovery::new());
        let asking = tokio::spawn({
            let discovery = std::sync::Arc::clone(&discovery);
            async move { discovery.ask(ResourceKind::Filter, "a", "").await }
        });
        tokio::task::yield_now().await;
        discovery.publish(&[filter("a", "[1]")]);
        assert_eq!(asking.await.unwrap().unwrap().content, "[1]");
    }

    #[tokio::test]
    async fn listeners_wait_for_their_clusters() {
        let discovery = Discovery::new();
        let (clusters, listeners) = (ResourceKind::Clusters, ResourceKind::Listeners);
        discovery.publish(&[resource(clusters, "", "[1]"), resource(listeners, "", "[2]")]);
        assert_eq!(ask(&discovery, listeners, "", "").await, None);
        let answer = ask(&discovery, clusters, "", "").await.unwrap();
        assert_eq!(ask(&discovery, listeners, "", "").await, None);
        ask(&discovery, clusters, "", &answer.version).await;
        assert_eq!(ask(&discovery, listeners, "", "").await.unwrap().content, "[2]");
    }

    #[tokio::test]
    async fn a_new_subscription_gets_what_is_in_force() {
        let discovery = Discovery::new();
        discovery.publish(&[filter("a", "[1]")]);
        let first = ask_filter(&discovery, "a", "").await.unwrap();
        ask_filter(&discovery, "a", &first.version).await;
        assert_eq!(ask_filter(&discovery, "a", "").await, Some(first));
        // Not in a loop, if Envoy should refuse it now.
        assert_eq!(ask_filter(&discovery, "a", "").await, None);
        assert_eq!(settled(&discovery).await, Some(Ok(())));
    }
}
