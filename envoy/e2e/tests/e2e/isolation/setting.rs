//! One broker, one gateway, a victim and an attacker. Everything the attacker's gateway says to the broker is recorded.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bifrost_core::protocol::ApiKey;
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Extra, Kafka, Version};
use bifrost_e2e::recorder::{Frames, Recorder};
use bifrost_e2e::run_dir::RunDir;
use serde_json::{Value, json};

use crate::fixture::{beside_others, tools};
use crate::isolation::caller::{Caller, Outcome, all};
use crate::isolation::needles::{ATTACKER, Needles, SECRET, VICTIM};
use crate::isolation::victim::Victim;

/// Between the attacker's gateway and the broker.
const RECORDER_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// Positions in the gateway's document.
const A: usize = 0;
const B: usize = 1;
const OPEN: usize = 2;

/// So that nothing of the victim runs into a time limit, and nothing of the attacker waits long.
const PROPERTIES: &str = "transaction.max.timeout.ms=900000
group.min.session.timeout.ms=10
group.consumer.session.timeout.ms=600000
group.consumer.max.session.timeout.ms=600000
group.share.session.timeout.ms=600000
group.share.max.session.timeout.ms=600000
";

pub(crate) struct Setting {
    kafka: Kafka,
    gateway: Gateway,
    recorder: Recorder,
    pub(crate) needles: Needles,
    pub(crate) victim: Victim,
}

/// The setting, while one test has it to itself.
pub(crate) fn setting() -> MutexGuard<'static, Setting> {
    static SETTING: OnceLock<Mutex<Setting>> = OnceLock::new();
    let setting = SETTING.get_or_init(|| Mutex::new(Setting::start()));
    let setting = setting.lock().unwrap_or_else(PoisonError::into_inner);
    setting.recorder.take_frames();
    setting
}

impl Setting {
    fn start() -> Setting {
        let _turn = beside_others();
        let tools = tools();
        let run = RunDir::create(&tools, "isolation").unwrap();
        let extra = Extra { relay: Some(RECORDER_IP), properties: PROPERTIES, ..Extra::default() };
        let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 1, extra).unwrap();
        let relayed = kafka.relayed_addresses();
        let recorded = |to: SocketAddrV4| SocketAddrV4::new(RECORDER_IP, to.port());
        let recorder = Recorder::start(relayed.iter().map(|to| (recorded(*to), *to))).unwrap();
        let through_recorder = recorded(relayed[0]).to_string();
        let tenant = |name: &str, servers: &str, prefix: &str| {
            let names = format!("{{ topicPrefix: {prefix}, groupPrefix: {prefix}, transactionIdPrefix: {prefix} }}");
            VirtualCluster::new(name, servers).more(&format!("  virtualization: {names}\n"))
        };
        let virtual_clusters = [
            tenant("tenant-a", &kafka.bootstrap_servers(), VICTIM),
            tenant("tenant-b", &through_recorder, ATTACKER),
            VirtualCluster::new("open", &through_recorder),
        ];
        let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
        let direct = (*kafka.addresses()[0].ip(), kafka.addresses()[0].port());
        let victim = Victim::settle((GATEWAY_IP, gateway.port(A)), direct);
        let needles = Needles {
            hidden: vec![
                ("the secret".to_owned(), SECRET.into()),
                ("the id of a topic that only the victim knows".to_owned(), victim.secret_id.to_vec()),
                ("the broker's address".to_owned(), BROKER_IP.to_string().into()),
                ("the address that the broker advertises".to_owned(), RECORDER_IP.to_string().into()),
                ("the broker's folder".to_owned(), kafka.folders()[0].display().to_string().into()),
                ("the attacker's own prefix".to_owned(), ATTACKER.into()),
                ("the mark of an impossible name".to_owned(), b":enantB-".to_vec()),
            ],
            guessed: victim.guessed(),
            foreign_ids: victim.foreign_ids(),
            foreign_sessions: victim.sessions(),
        };
        Setting { kafka, gateway, recorder, needles, victim }
    }

    /// The attacker, on the bootstrap port.
    pub(crate) fn attacker(&self) -> Attacker<'_> {
        Attacker::new(self, self.gateway.port(B))
    }

    /// The attacker's bootstrap port.
    pub(crate) fn address(&self) -> (Ipv4Addr, u16) {
        (GATEWAY_IP, self.gateway.port(B))
    }

    /// The attacker, on the port of the broker's node.
    pub(crate) fn attacker_on_node(&self) -> Attacker<'_> {
        Attacker::new(self, self.gateway.port(B) + 1 + 1)
    }

    /// The attacker in a virtual cluster without virtualization: what the detectors are tried on.
    pub(crate) fn attacker_in_the_open(&self) -> Attacker<'_> {
        Attacker::new(self, self.gateway.port(OPEN))
    }

    /// Past the gateway.
    pub(crate) fn direct(&self) -> Caller {
        let address = self.kafka.addresses()[0];
        Caller::new((*address.ip(), address.port()), "operator")
    }

    pub(crate) fn take_frames(&self) -> Frames {
        self.recorder.take_frames()
    }

    /// Nothing reached the broker that may not, and the victim is as it was.
    pub(crate) fn assert_isolated(&self) {
        let frames = self.take_frames();
        let mut found: Vec<String> =
            frames.requests.iter().flat_map(|request| self.needles.in_forwarded(request)).collect();
        found.sort_unstable();
        assert!(found.is_empty(), "{}", list(&found));
        self.victim.assert_whole();
    }
}

/// Findings as text, each once.
pub(crate) fn list(findings: &[String]) -> String {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings {
        *counted.entry(finding).or_default() += 1;
    }
    let lines: Vec<String> = counted.iter().map(|(finding, count)| format!("{count}x {finding}")).collect();
    format!("{} findings:\n{}", findings.len(), lines.join("\n"))
}

/// Tenant B. Everything it receives is searched; a finding fails the test at once.
pub(crate) struct Attacker<'s> {
    caller: Caller,
    needles: &'s Needles,
    /// Findings are kept here, for those who want to go on.
    pub(crate) findings: Vec<String>,
}

impl<'s> Attacker<'s> {
    fn new(setting: &'s Setting, port: u16) -> Attacker<'s> {
        Attacker {
            caller: Caller::new((GATEWAY_IP, port), "attacker"),
            needles: &setting.needles,
            findings: Vec::new(),
        }
    }

    /// Sends a frame and searches what comes back.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Outcome {
        let outcome = self.caller.send(frame);
        if let Outcome::Answered(answer) = &outcome {
            self.findings.extend(self.needles.in_answer(frame, answer));
        }
        outcome
    }

    /// Sends a request that is answered; the answer is searched and read.
    pub(crate) fn ask(&mut self, key: ApiKey, version: i16, body: &Value) -> Value {
        let frame = self.caller.frame(key, version, body);
        match self.send(&frame) {
            Outcome::Answered(answer) => {
                let answer = self.caller.read(key, version, &answer);
                assert!(self.findings.is_empty(), "{key} v{version} {body}: {}\n{answer}", list(&self.findings));
                answer
            }
            other => panic!("{key} v{version} {body} was not answered: {other:?}"),
        }
    }

    /// Asks until the answer is as it should be: coordinators load, topics need a moment.
    pub(crate) fn ask_until(
        &mut self,
        key: ApiKey,
        version: i16,
        body: &Value,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let good = bifrost_e2e::wait::until("a good answer", Duration::from_secs(20), || {
            last = self.ask(key, version, body);
            Ok(good(&last).then(|| last.clone()))
        });
        good.unwrap_or_else(|error| panic!("{key} v{version} {body}: {error}; the last is {last}"))
    }

    /// Sends a request that closes the connection.
    pub(crate) fn is_closed_by(&mut self, key: ApiKey, version: i16, body: &Value) {
        let frame = self.caller.frame(key, version, body);
        assert_eq!(self.send(&frame), Outcome::Closed, "{key} v{version} {body}");
    }

    /// Asks in each offered version from `from` on, and checks what `part` takes from the answers.
    pub(crate) fn expect<T: PartialEq + Debug>(
        &mut self,
        key: ApiKey,
        from: i16,
        body: &Value,
        part: impl Fn(&Value) -> T,
        expected: T,
    ) {
        for version in self.versions(key, from) {
            let answer = self.ask(key, version, body);
            assert_eq!(part(&answer), expected, "{key} v{version} {body}\nwas answered with {answer}");
        }
    }

    /// The offered versions of an API, from `from` on; at least one.
    pub(crate) fn versions(&mut self, key: ApiKey, from: i16) -> std::ops::RangeInclusive<i16> {
        let (min, max) = *self.offered().get(&key.0).unwrap_or_else(|| panic!("{key} is not offered"));
        assert!(from <= max, "{key} is offered up to {max} only");
        min.max(from)..=max
    }

    /// What ApiVersions says.
    pub(crate) fn offered(&mut self) -> BTreeMap<i16, (i16, i16)> {
        let hello = json!({"ClientSoftwareName": "isolation", "ClientSoftwareVersion": "1"});
        let answer = self.ask(ApiKey::API_VERSIONS, 4, &hello);
        let number = |api: &Value, name: &str| api[name].as_i64().expect("a number") as i16;
        let apis = all(&answer, "ApiKeys").into_iter().filter_map(Value::as_array).flatten();
        apis.map(|api| (number(api, "ApiKey"), (number(api, "MinVersion"), number(api, "MaxVersion")))).collect()
    }

    /// A topic of its own with one record.
    pub(crate) fn topic(&mut self, name: &str) -> String {
        let create = json!({"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 5000});
        let answer = self.ask(ApiKey::CREATE_TOPICS, 7, &create);
        assert_eq!(all(&answer, "ErrorCode"), [0], "{answer}");
        let produce = json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": name, "PartitionData": [
            {"Index": 0, "Records": crate::isolation::victim::records(&["own"], -1, -1, -1)}]}]});
        self.ask_until(ApiKey::PRODUCE, 9, &produce, |answer| all(answer, "ErrorCode") == [0]);
        all(&answer, "TopicId")[0].as_str().expect("an id").to_owned()
    }
}
