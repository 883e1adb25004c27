//! Frames that are cut, piled up, large, or written in a way that brokers take but nobody writes. What the gateway reads
//! and what the broker reads must be the same.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bifrost_core::protocol::ApiKey;
use bifrost_testkit::json::{self, from_hex, hex};
use serde_json::{Value, json};

use crate::isolation::caller::{Outcome, errors};
use crate::isolation::setting::{Setting, list, setting};
use crate::isolation::victim::{fetch, records};

/// Requests that name the victim in places that are far apart.
fn attacks(setting: &Setting) -> Vec<(ApiKey, i16, Value)> {
    let victim = &setting.victim;
    vec![
        (ApiKey::METADATA, 12, json!({"Topics": null})),
        (ApiKey::METADATA, 8, json!({"Topics": [{"Name": "tenantA-orders"}]})),
        (ApiKey::FETCH, 12, fetch("tenantA-orders", &victim.orders_id, 0, -1)),
        (ApiKey::FETCH, 4, fetch("tenantA-orders", &victim.orders_id, 0, -1)),
        (ApiKey::FETCH, 16, fetch("", &victim.secret_id, 0, -1)),
        (ApiKey::FETCH, 12, json!({"SessionId": victim.named_session, "SessionEpoch": 1})),
        (
            ApiKey::PRODUCE,
            9,
            json!({"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "tenantA-orders",
            "PartitionData": [{"Index": 0, "Records": records(&["intruder"], -1, -1, -1)}]}]}),
        ),
        (ApiKey::OFFSET_FETCH, 8, json!({"Groups": [{"GroupId": "tenantA-billing", "Topics": null}]})),
        (ApiKey::DESCRIBE_GROUPS, 5, json!({"Groups": ["tenantA-crew"]})),
        (
            ApiKey::FIND_COORDINATOR,
            4,
            json!({"KeyType": 2, "CoordinatorKeys": ["tenantA-pool:AAAAAAAAAAAAAAAAAAAAAA:0"]}),
        ),
        (ApiKey::LIST_GROUPS, 4, json!({})),
    ]
}

fn connect(address: (std::net::Ipv4Addr, u16)) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).expect("a whole answer");
    answer
}

#[test]
fn requests_in_two_parts_are_no_way_around() {
    let setting = setting();
    let mut stream = connect(setting.address());
    let mut findings = Vec::new();
    for (key, version, body) in attacks(&setting) {
        let frame = json::request(key, version, 1, "attacker", &body);
        for cut in 1..frame.len() {
            stream.write_all(&frame[..cut]).unwrap();
            std::thread::sleep(Duration::from_micros(500));
            stream.write_all(&frame[cut..]).unwrap();
            let answer = receive(&mut stream);
            findings.extend(setting.needles.in_answer(&frame, &answer));
        }
    }
    assert!(findings.is_empty(), "{}", list(&findings));
    setting.assert_isolated();
}

#[test]
fn requests_in_a_pile_are_no_way_around() {
    let setting = setting();
    let mut stream = connect(setting.address());
    let attacks = attacks(&setting);
    let mut frames = Vec::new();
    for at in 0..200 {
        let (key, version, body) = &attacks[at % attacks.len()];
        frames.push(json::request(*key, *version, at as i32, "attacker", body));
    }

    stream.write_all(&frames.concat()).unwrap();

    let mut findings = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let answer = receive(&mut stream);
        assert_eq!(answer[..4], (at as i32).to_be_bytes(), "answers come in order");
        findings.extend(setting.needles.in_answer(frame, &answer));
    }
    assert!(findings.is_empty(), "{}", list(&findings));
    setting.assert_isolated();
}

/// Names and ids behind what no gateway wants to keep in memory.
#[test]
fn what_lies_behind_a_megabyte_is_read_too() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-large");
    let large = records(&[&"z".repeat(1 << 20)], -1, -1, -1);
    let small = records(&["intruder"], -1, -1, -1);
    let partition = |records: &str| json!([{"Index": 0, "Records": records}]);
    for name in ["orders", "tenantA-orders"] {
        let body = json!({"Acks": -1, "TimeoutMs": 5000, "TopicData": [
            {"Name": "own-large", "TopicId": own, "PartitionData": partition(&large)},
            {"Name": name, "TopicId": hex(&setting.victim.orders_id), "PartitionData": partition(&small)},
            {"Name": "own-large-2", "TopicId": "77".repeat(16), "PartitionData": partition(&large)},
            {"Name": "tenantA-zzz", "TopicId": hex(&setting.victim.secret_id), "PartitionData": partition(&small)}]});
        for version in attacker.versions(ApiKey::PRODUCE, 3) {
            let answer = attacker.ask(ApiKey::PRODUCE, version, &body);
            let good = errors(&answer).iter().filter(|code| **code == 0).count();
            assert_eq!(good, 1, "only the own topic is written: v{version} {answer}");
        }
    }
    drop(attacker);
    setting.assert_isolated();
}

#[test]
fn a_thousand_names_are_a_thousand_own_names() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let names: Vec<String> =
        (0..2_000).map(|at| if at % 2 == 0 { "tenantA-orders".into() } else { format!("n{at}") }).collect();
    let topics: Vec<Value> = names.iter().map(|name| json!({"Name": name})).collect();
    let answer = attacker.ask(ApiKey::METADATA, 12, &json!({"Topics": topics}));
    assert!(answer["Topics"].as_array().is_some_and(|topics| topics.iter().all(|topic| topic["ErrorCode"] == 3)));
    let topics: Vec<Value> = names
        .iter()
        .map(|name| json!({"Topic": name, "Partitions": [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}))
        .collect();
    attacker.ask(ApiKey::FETCH, 12, &json!({"MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": topics}));
    drop(attacker);
    setting.assert_isolated();
}

/// A header of a flexible version and the body.
fn flexible(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    sized(&[&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0, 8], b"attacker", &[0], body].concat())
}

fn sized(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
}

/// Brokers take numbers of more bytes than needed, two tags of the same number, and any negative length for null.
#[test]
fn unusual_encodings_are_no_way_around() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let own = attacker.topic("own-unusual");
    let mut frames: Vec<(&str, Vec<u8>)> = Vec::new();

    // Metadata v12: one topic; every length takes three bytes.
    let name = b"tenantA-orders";
    let body =
        [&[0x82, 0x80, 0x00][..], &[0; 16], &[0x80 | 15, 0x80, 0x00], name, &[0x80, 0x00, 1, 0, 0x80, 0x00]].concat();
    frames.push(("long varints in Metadata", flexible(3, 12, &body)));
    // The same with a count of topics in the most bytes.
    let body = [&[0x82, 0x80, 0x80, 0x80, 0x00][..], &[0; 16], &[15], name, &[0, 1, 0, 0]].concat();
    frames.push(("a varint of five bytes", flexible(3, 12, &body)));
    // A varint whose upper bits are lost: 2^35 + 2 or 2.
    let body = [&[0x82, 0x80, 0x80, 0x80, 0x70][..], &[0; 16], &[15], name, &[0, 1, 0, 0]].concat();
    frames.push(("a varint that overflows", flexible(3, 12, &body)));

    // FindCoordinator v4, DescribeGroups v5.
    let body = [&[0, 0x82, 0x80, 0x00, 0x80 | 15, 0x00][..], name, &[0]].concat();
    frames.push(("long varints in FindCoordinator", flexible(10, 4, &body)));
    let body = [&[0x82, 0x80, 0x00, 0x80 | 13, 0x00][..], b"tenantA-crew", &[0, 0]].concat();
    frames.push(("long varints in DescribeGroups", flexible(15, 5, &body)));

    // Metadata v1 and v8 with a count of -2: all topics.
    for (version, rest) in [(1, &[][..]), (8, &[1, 0, 0])] {
        let header = [&[0, 3, 0, version, 0, 0, 0, 1, 0, 8][..], b"attacker"].concat();
        frames.push(("a count of -2", sized(&[&header[..], &(-2_i32).to_be_bytes(), rest].concat())));
    }
    // OffsetFetch v7 ... v2: null topics by -2.
    let body = [&[0, 15][..], b"tenantA-billing", &(-2_i32).to_be_bytes()].concat();
    let header = [&[0, 9, 0, 5, 0, 0, 0, 1, 0, 8][..], b"attacker"].concat();
    frames.push(("null topics by -2", sized(&[header, body].concat())));

    // Fetch v16: the tag of ReplicaState twice, tags out of order, a ClusterId.
    let state = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    let tag_of_state = [&[1, 13][..], &state].concat();
    let partition = [&[2][..], &[0; 4], &[0xff; 4], &[0; 8], &[0xff; 4], &[0xff; 8], &[0, 16, 0, 0], &[0]].concat();
    let topics = [&[2][..], &from_hex(&own), &partition, &[0]].concat();
    let fixed = [&[0, 0, 0, 10][..], &[0; 4], &[0, 16, 0, 0], &[0], &[0; 4], &[0xff; 4], &topics, &[1], &[1]].concat();
    let cluster = [&[0, 5][..], &[4], b"abc", &[]].concat();
    let cluster = {
        let mut it = cluster;
        it[1] = 4;
        it
    };
    for (what, tags) in [
        ("one state", [&[1][..], &tag_of_state].concat()),
        ("two states", [&[2][..], &tag_of_state, &tag_of_state].concat()),
        ("a state, then a cluster id", [&[2][..], &tag_of_state, &cluster].concat()),
        ("states around a cluster id", [&[3][..], &tag_of_state, &cluster, &tag_of_state].concat()),
        ("a state behind an unknown tag", [&[2][..], &[40, 1, 0], &tag_of_state].concat()),
        ("a state whose tag number is long", [&[1, 0x81, 0x80, 0x00, 13][..], &state].concat()),
    ] {
        frames.push((what, flexible(1, 16, &[&fixed[..], &tags].concat())));
    }

    // Names that are no UTF-8, and null where that is not allowed.
    for name in [&b"\xff\xfe"[..], b"\xc3", b"tenantA-orders\0", b"\xed\xa0\x80"] {
        let body = [&[2][..], &[0; 16], &[name.len() as u8 + 1], name, &[0, 1, 0, 0]].concat();
        frames.push(("a name that is no UTF-8", flexible(3, 12, &body)));
        let body = [&[2, name.len() as u8 + 1][..], name, &[0, 0]].concat();
        frames.push(("a group that is no UTF-8", flexible(15, 5, &body)));
    }
    frames.push(("a null name", flexible(15, 5, &[2, 0, 0, 0])));

    setting.assert_isolated();
    let (mut answered, mut closed, mut findings) = (0, 0, Vec::new());
    for (what, frame) in &frames {
        match attacker.send(frame) {
            Outcome::Answered(_) => answered += 1,
            Outcome::Closed => closed += 1,
            Outcome::Silent => panic!("{what}: neither answered nor closed"),
        }
        let forwarded = setting.take_frames().requests;
        let wrong = forwarded.iter().flat_map(|request| setting.needles.in_forwarded(request));
        let all = std::mem::take(&mut attacker.findings).into_iter().chain(wrong);
        findings.extend(all.map(|finding| format!("{what}: {finding}")));
    }
    assert!(findings.is_empty(), "{}", list(&findings));
    eprintln!("{answered} unusual requests were answered, {closed} closed the connection");
    drop(attacker);
    setting.assert_isolated();
}
