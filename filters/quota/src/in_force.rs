//! The limits in force in one worker, which a new configuration changes under open connections, and who has used what.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bifrost_core::host::Host;

use crate::account::{Account, Usage, Used};
use crate::config::{Config, Limits, Resource};
use crate::pattern::closeness;

/// Client ids or topics that get an account of their own from one entry with `each`. Later ones share one: names are the clients'
/// to choose, and shared data are never forgotten.
const EACH_MAX: usize = 1_000;

/// The limits in force and all accounts of one worker.
#[derive(Debug, Default)]
pub struct InForce {
    state: RefCell<State>,
    /// Changes with every configuration.
    generation: Cell<u64>,
}

#[derive(Debug, Default)]
struct State {
    whole: Option<Entry>,
    principals: Vec<Entry>,
    clients: Vec<Entry>,
    topics: Vec<Entry>,
}

/// One entry of the configuration.
#[derive(Debug)]
struct Entry {
    /// `client_id.billing-*`, part of the names of metrics and of the keys of shared data.
    name: String,
    pattern: String,
    each: bool,
    limits: Limits,
    usage: Rc<Usage>,
    /// By name; without `each` the only one has the name "".
    accounts: BTreeMap<String, Rc<Account>>,
}

/// What metrics say of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `virtual_cluster`, `principal.<pattern>`, `client_id.<pattern>` or `topic.<pattern>`.
    pub subject: String,
    /// What is limited.
    pub resource: Resource,
    /// How much in its period; for [`Entry::each`] of each.
    pub limit: u64,
    /// By this worker since the last reading.
    pub used: Used,
}

/// What metrics say of one limit of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionReading {
    /// As in [`Reading`].
    pub subject: String,
    /// How many there may be.
    pub limit: u32,
    /// How many there are on all workers; of the busiest one when each client id has its own limit.
    pub connections: u32,
}

impl InForce {
    /// Puts a configuration in force. Accounts of entries that stay keep their debts and connections.
    pub fn set(&self, config: &Config) {
        let mut state = self.state.borrow_mut();
        let old = core::mem::take(&mut *state);
        let mut old: BTreeMap<String, Entry> = old
            .whole
            .into_iter()
            .chain(old.principals)
            .chain(old.clients)
            .chain(old.topics)
            .map(|entry| (entry.name.clone(), entry))
            .collect();
        let mut entry = |name: String, pattern: &str, each, limits: &Limits| match old.remove(&name) {
            Some(entry) if entry.each == each => entry.with(limits),
            _ => Entry::new(name, pattern, each, limits),
        };
        state.whole = Some(entry("virtual_cluster".to_owned(), "", false, &config.limits));
        state.principals = config
            .principals
            .iter()
            .map(|one| entry(format!("principal.{}", one.principal), &one.principal, one.each, &one.limits))
            .collect();
        state.clients = config
            .clients
            .iter()
            .map(|client| {
                entry(format!("client_id.{}", client.client_id), &client.client_id, client.each, &client.limits)
            })
            .collect();
        state.topics = config
            .topics
            .iter()
            .map(|topic| entry(format!("topic.{}", topic.topic), &topic.topic, topic.each, &topic.limits))
            .collect();
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The account of the virtual cluster.
    pub(crate) fn whole(&self) -> Option<Rc<Account>> {
        self.state.borrow_mut().whole.as_mut().map(|entry| entry.account(""))
    }

    /// The account that the requests of this principal are charged to.
    pub(crate) fn principal(&self, principal: &str) -> Option<Rc<Account>> {
        closest(&mut self.state.borrow_mut().principals, principal)
    }

    /// The account that the requests of a client with this id are charged to.
    pub(crate) fn client(&self, client_id: &str) -> Option<Rc<Account>> {
        closest(&mut self.state.borrow_mut().clients, client_id)
    }

    /// The account that a topic with this virtual name is charged to.
    pub(crate) fn topic(&self, topic: &str) -> Option<Rc<Account>> {
        closest(&mut self.state.borrow_mut().topics, topic)
    }

    /// To be called about twice a second: tells other workers how many connections there are.
    pub fn tick(&self, host: &mut dyn Host) {
        let state = self.state.borrow();
        for entry in state.whole.iter().chain(&state.principals).chain(&state.clients) {
            entry.accounts.values().for_each(|account| account.connections.tick(host));
        }
    }

    /// What metrics say of every limit.
    #[must_use]
    pub fn readings(&self) -> (Vec<Reading>, Vec<ConnectionReading>) {
        let state = self.state.borrow();
        let entries = || state.whole.iter().chain(&state.principals).chain(&state.clients).chain(&state.topics);
        let reading = |entry: &Entry, resource| {
            let limit = entry.limits.of(resource)?;
            Some(Reading { subject: entry.name.clone(), resource, limit, used: entry.usage.take(resource) })
        };
        let readings =
            entries().flat_map(|entry| Resource::ALL.into_iter().filter_map(move |resource| reading(entry, resource)));
        let connections = entries().filter_map(|entry| {
            let limit = entry.limits.connections?;
            let connections = entry.accounts.values().filter_map(|account| account.connections.all()).max();
            Some(ConnectionReading { subject: entry.name.clone(), limit, connections: connections.unwrap_or(0) })
        });
        (readings.collect(), connections.collect())
    }
}

impl Entry {
    fn new(name: String, pattern: &str, each: bool, limits: &Limits) -> Self {
        let (pattern, limits) = (pattern.to_owned(), limits.clone());
        Entry { name, pattern, each, limits, usage: Rc::default(), accounts: BTreeMap::new() }
    }

    fn with(mut self, limits: &Limits) -> Self {
        if self.limits != *limits {
            self.limits = limits.clone();
            for (name, account) in &self.accounts {
                account.set_limits(&key(&self.name, name), limits);
            }
        }
        self
    }

    /// The account of whoever is called this.
    fn account(&mut self, name: &str) -> Rc<Account> {
        let mut name = if self.each { name } else { "" };
        if let Some(account) = self.accounts.get(name) {
            return Rc::clone(account);
        }
        // What nobody is called, because client ids and topics hold no such character.
        const OTHERS: &str = "\0";
        if self.accounts.len() >= EACH_MAX {
            name = OTHERS;
        }
        let new = || Rc::new(Account::new(&key(&self.name, name), &self.limits, Rc::clone(&self.usage)));
        Rc::clone(self.accounts.entry(name.to_owned()).or_insert_with(new))
    }
}

/// No name of an entry holds a line break.
fn key(entry: &str, name: &str) -> String {
    format!("{entry}\n{name}")
}

/// The account of the entry that is closest to `name`; of several the first.
fn closest(entries: &mut [Entry], name: &str) -> Option<Rc<Account>> {
    let mut best = None;
    for entry in entries {
        let close = closeness(&entry.pattern, name);
        if close.is_some() && best.as_ref().is_none_or(|(known, _)| close > *known) {
            best = Some((close, entry));
        }
    }
    best.map(|(_, entry)| entry.account(name))
}

#[cfg(test)]
mod tests {
    use bifrost_testkit::host::FakeHost;

    use super::*;
    use crate::config::{ClientLimits, TopicLimits};

    const REQUESTS: Resource = Resource::Requests;

    fn requests(max: u64) -> Limits {
        Limits { requests_per_second: Some(max), ..Limits::default() }
    }

    fn client(client_id: &str, each: bool, limits: Limits) -> ClientLimits {
        ClientLimits { client_id: client_id.to_owned(), each, limits }
    }

    fn in_force(clients: Vec<ClientLimits>) -> InForce {
        let in_force = InForce::default();
        in_force.set(&Config { clients, ..Config::default() });
        in_force
    }

    fn debt(in_force: &InForce, client_id: &str, host: &mut FakeHost) -> u64 {
        in_force.client(client_id).map_or(0, |account| account.in_debt_until(REQUESTS, host))
    }

    #[test]
    fn the_closest_entry_counts() {
        let mut host = FakeHost::default();
        let all = ["*", "app-*", "app-1"];
        let in_force = in_force(all.map(|client_id| client(client_id, false, requests(10))).to_vec());
        in_force.client("app-1").unwrap().charge(REQUESTS, 20, &mut host);
        let debts = ["app-1", "app-2", "x", ""].map(|client_id| debt(&in_force, client_id, &mut host));
        assert_eq!(debts, [1_000, 0, 0, 0]);
        in_force.client("app-2").unwrap().charge(REQUESTS, 20, &mut host);
        let debts = ["app-1", "app-3", "x"].map(|client_id| debt(&in_force, client_id, &mut host));
        assert_eq!(debts, [1_000, 1_000, 0]);
    }

    #[test]
    fn each_has_an_account_of_its_own_up_to_a_number() {
        let mut host = FakeHost::default();
        let in_force = in_force(vec![client("*", true, requests(10))]);
        in_force.client("a").unwrap().charge(REQUESTS, 20, &mut host);
        assert_eq!((debt(&in_force, "a", &mut host), debt(&in_force, "b", &mut host)), (1_000, 0));
        let names: Vec<String> = (0..2 * EACH_MAX).map(|number| number.to_string()).collect();
        names.iter().for_each(|name| drop(in_force.client(name)));
        in_force.client("1999").unwrap().charge(REQUESTS, 20, &mut host);
        assert_eq!(debt(&in_force, "1998", &mut host), 1_000, "late ones share an account");
        assert_eq!(debt(&in_force, "5", &mut host), 0);
        assert!(in_force.state.borrow().clients[0].accounts.len() <= EACH_MAX + 1);
    }

    #[test]
    fn accounts_outlive_a_change_of_limits() {
        let mut host = FakeHost::default();
        let in_force = in_force(vec![client("a", false, requests(10)), client("b", false, requests(10))]);
        let account = in_force.client("a").unwrap();
        account.charge(REQUESTS, 30, &mut host);
        account.connections.add();
        let generation = in_force.generation();
        in_force.set(&Config { clients: vec![client("a", false, requests(20))], ..Config::default() });
        assert_ne!(in_force.generation(), generation);
        assert!(Rc::ptr_eq(&account, &in_force.client("a").unwrap()));
        assert_eq!(debt(&in_force, "a", &mut host), 1_000);
        assert!(in_force.client("b").is_none());
    }

    #[test]
    fn metrics_tell_every_limit_and_its_use() {
        let mut host = FakeHost::default();
        let in_force = InForce::default();
        let limits = Limits { connections: Some(3), ..requests(10) };
        let topic = TopicLimits {
            topic: "logs.*".to_owned(),
            each: true,
            limits: Limits { fetch_bytes_per_second: Some(7), ..Limits::default() },
        };
        in_force.set(&Config { limits, topics: vec![topic], ..Config::default() });
        let whole = in_force.whole().unwrap();
        whole.connections.enter(&mut host).unwrap();
        whole.charge(REQUESTS, 20, &mut host);
        for topic in ["logs.a", "logs.b"] {
            in_force.topic(topic).unwrap().charge(Resource::FetchBytes, 5, &mut host);
        }
        let (readings, connections) = in_force.readings();
        let used =
            |subject: &str, resource, limit, used| Reading { subject: subject.to_owned(), resource, limit, used };
        let waited = Used { used: 20, throttled: 1, throttle_ms: 1_000 };
        let expected = [
            used("virtual_cluster", REQUESTS, 10, waited),
            used("topic.logs.*", Resource::FetchBytes, 7, Used { used: 10, ..Used::default() }),
        ];
        assert_eq!(readings, expected);
        let subject = "virtual_cluster".to_owned();
        assert_eq!(connections, [ConnectionReading { subject, limit: 3, connections: 1 }]);
        assert_eq!(in_force.readings().0[0].used, Used::default(), "used is told once");
    }
}
