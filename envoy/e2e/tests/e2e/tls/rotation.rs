//! Certificates that change while they are in use.

use std::time::Duration;

use bifrost_e2e::clients::Family;
use bifrost_e2e::wait;

use super::client::TlsClient;
use super::setting;
use crate::fixture::{beside_others, unique};

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let _turn = beside_others();
    let setting = setting();
    let connect = || TlsClient::connect(setting.port(), "bootstrap.orders.test", &setting.authority);
    let mut old = connect().unwrap();
    old.ask().unwrap();

    let folder = setting.run.folder("certificates").unwrap().join("orders");
    setting.authority.issue(&folder, "orders again", &["*.orders.test"]).unwrap();
    let mut new = wait::until("the new certificate is shown", Duration::from_secs(10), || {
        let new = connect()?;
        Ok((new.certificate() != old.certificate()).then_some(new))
    })
    .unwrap();

    new.ask().unwrap();
    old.ask().unwrap();
}

#[test]
fn clients_at_work_do_not_notice_new_certificates() {
    let _turn = beside_others();
    let setting = setting();
    let clients = setting.clients(&format!("bootstrap.payments.test:{}", setting.port()));
    let config = setting.config(Family::Librdkafka, true);
    let with = |own: &[(&'static str, &str)]| -> Vec<(String, String)> {
        own.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain(config.iter().cloned())
            .collect()
    };
    let start = |verb: &str, own: &[(&'static str, &str)]| {
        let arguments = with(own);
        let arguments: Vec<(&str, &str)> = arguments.iter().map(|(name, value)| (&**name, &**value)).collect();
        clients.start(Family::Librdkafka, verb, &arguments).unwrap()
    };
    let (topic, group, patience) = (unique("rotation"), unique("group"), Duration::from_secs(100));
    start("create-topic", &[("topic", &topic), ("partitions", "4"), ("replication", "2")]).finish(patience).unwrap();
    // Ten seconds.
    let produce = [("topic", &*topic), ("count", "2000"), ("size", "100"), ("pause_ms", "5"), ("acks", "all")];
    let mut writer = start("produce", &produce);
    let consume = [("topic", &*topic), ("group", &*group), ("count", "2000"), ("timeout_ms", "90000")];
    let mut reader = start("consume", &consume);
    std::thread::sleep(Duration::from_secs(4));
    let connect = || TlsClient::connect(setting.port(), "bootstrap.payments.test", &setting.authority);
    let mut held = connect().unwrap();

    let folder = setting.run.folder("certificates").unwrap();
    for _ in 0..5 {
        setting.authority.issue(&folder.join("payments"), "payments", &["*.payments.test"]).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        held.ask().unwrap();
    }
    let shown = connect().unwrap().certificate();

    let (sent, received) = (writer.finish(patience).unwrap(), reader.finish(patience).unwrap());
    assert_eq!((&sent["count"], &received["checksum"]), (&2000.into(), &sent["checksum"]));
    assert_ne!(shown, held.certificate());
}
