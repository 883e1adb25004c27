//! What filters have to know before the client's first request passes.

use bifrost_core::fault::Fault;
use bifrost_core::filter::FilterConfig;
use bifrost_core::host::Counter;
use bifrost_core::limits::Limits;
use bifrost_core::principal::Principal;
use bifrost_core::session::{Flow, OWN_CORRELATION_ID, Session};
use bifrost_core::walker::Event;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::{AsksFirst, Does};
use bifrost_testkit::frames;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, ListGroupsRequest, MetadataRequest, MetadataResponse,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::connection;

fn asking(versions: &[i16]) -> Driver<Session> {
    connection(
        versions.iter().map(|version| Box::new(AsksFirst(*version)) as Box<dyn FilterConfig>).collect(),
        Limits::default(),
    )
}

fn list_groups(correlation_id: i32) -> Vec<u8> {
    frames::request(0, correlation_id, &ListGroupsRequest::default())
}

fn question(version: u8) -> Vec<u8> {
    let id = OWN_CORRELATION_ID.to_be_bytes();
    [&[0, 0, 0, 21, 0, 3, 0, version], &id[..], &[0, 7], b"bifrost", &[0; 4]].concat()
}

fn answered(version: i16, cluster_id: &'static str) -> Vec<u8> {
    let body = MetadataResponse::default().with_cluster_id(Some(StrBytes::from_static_str(cluster_id)));
    frames::response::<MetadataRequest>(version, OWN_CORRELATION_ID, &body)
}

#[test]
fn logins_pass_and_the_first_other_request_waits_until_all_questions_are_answered() {
    for sizes in [&[][..], &[1], &[11], &[30]] {
        let mut driver = asking(&[2, 3]);
        let login = [
            frames::request(3, 0, &ApiVersionsRequest::default()),
            frames::request(1, 1, &SaslHandshakeRequest::default()),
            frames::request(2, 2, &SaslAuthenticateRequest::default()),
        ]
        .concat();
        let welcome = [
            frames::response::<ApiVersionsRequest>(3, 0, &ApiVersionsResponse::default()),
            frames::response::<SaslHandshakeRequest>(1, 1, &SaslHandshakeResponse::default()),
            frames::response::<SaslAuthenticateRequest>(2, 2, &SaslAuthenticateResponse::default()),
        ]
        .concat();
        driver.client_in(sizes, &login).unwrap();
        assert_eq!(driver.to_broker, login);
        driver.broker_in(sizes, &welcome).unwrap();
        let welcomed = driver.to_client.clone();

        driver.client_in(sizes, &[list_groups(3), list_groups(4)].concat()).unwrap();
        let asked = [login, question(2), question(3)].concat();
        assert_eq!(driver.to_broker, asked);
        assert_eq!(driver.client(&list_groups(5)), Ok(Flow::Stop), "left with Envoy");
        driver.broker_in(sizes, &answered(2, "good")).unwrap();
        assert_eq!(driver.to_broker, asked, "one is open");
        driver.broker_in(sizes, &answered(3, "good")).unwrap();

        assert_eq!(driver.to_broker, [asked, list_groups(3), list_groups(4), list_groups(5)].concat());
        assert_eq!(driver.to_client, welcomed, "the client hears nothing of it");
        assert!(driver.told.is_empty());
        assert_eq!(driver.host.counted(Counter::OwnRequests), 2);
    }
}

#[test]
fn a_login_behind_the_first_request_waits_too() {
    let mut driver = asking(&[2]);
    let behind = [list_groups(1), frames::request(3, 2, &ApiVersionsRequest::default())].concat();
    driver.client(&behind).unwrap();
    assert_eq!(driver.to_broker, question(2));
    driver.broker(&answered(2, "good")).unwrap();
    assert_eq!(driver.to_broker, [question(2), behind].concat());
}

#[test]
fn an_answer_that_a_filter_minds_ends_the_connection_and_nothing_has_passed() {
    let mut driver = asking(&[2]);
    driver.client(&list_groups(1)).unwrap();
    assert_eq!(driver.broker(&answered(2, AsksFirst::MINDS)), Err(Fault::Foreign { field: "ClusterId" }));
    assert_eq!(driver.to_broker, question(2));
}

#[test]
fn nothing_is_asked_twice_nor_of_clients_that_only_log_in() {
    let mut driver = asking(&[2]);
    driver.client(&frames::request(3, 0, &ApiVersionsRequest::default())).unwrap();
    assert_eq!(driver.host.counted(Counter::OwnRequests), 0);
    driver.broker(&frames::response::<ApiVersionsRequest>(3, 0, &ApiVersionsResponse::default())).unwrap();
    driver.client(&list_groups(1)).unwrap();
    driver.broker(&answered(2, "good")).unwrap();
    driver.client(&list_groups(2)).unwrap();
    assert_eq!(driver.host.counted(Counter::OwnRequests), 1);
}

#[test]
fn a_client_that_ends_while_it_waits_has_lost_nothing() {
    let mut driver = asking(&[2]);
    driver.client(&list_groups(1)).unwrap();
    assert_eq!(driver.driven.handle_downstream_end(), Ok(()));
}

#[test]
fn filters_know_who_the_client_is() {
    let mut driver = connection(
        vec![Box::new(Does(|_, event, context| {
            if matches!(event, Event::End) {
                context.host.set_shared(context.principal.name(), b"seen", 0);
            }
            Ok(())
        }))],
        Limits::default(),
    );
    driver.client(&list_groups(1)).unwrap();
    assert!(driver.host.has(Principal::ANONYMOUS));
    driver.driven.identify(Principal::new("alice"));
    driver.client(&list_groups(2)).unwrap();
    assert!(driver.host.has("alice"));
}
