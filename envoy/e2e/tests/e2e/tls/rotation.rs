//! Certificates that change while they are in use.

use std::time::Duration;

use bifrost_e2e::wait;

use super::client::TlsClient;
use super::setting;
use crate::fixture::beside_others;

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
