//! Answers of a real broker, whose address is 127.0.0.1 and whose node id is 1.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Entity, Field};
use bifrost_core::walker::holds as field_holds;
use bifrost_testkit::golden::load;
use bifrost_testkit::notes::{Note, notes};

use crate::{gateway, holds};

#[test]
fn the_address_of_a_real_broker_is_replaced_in_every_answer_that_holds_it() {
    let all = load();
    let mut replaced = 0;
    for answer in all.iter().filter(|frame| frame.direction == Direction::Response) {
        let host = |field: &Field| field.entity == Entity::BrokerHost;
        if !answer.api.response.iter().any(|field| field_holds(field, answer.version, &host)) {
            continue;
        }
        let is_request = |frame: &&bifrost_testkit::golden::Golden| {
            frame.direction == Direction::Request
                && (frame.api.key, frame.version, &frame.case) == (answer.api.key, answer.version, &answer.case)
        };
        let request = all.iter().find(is_request).expect("its request");
        for sizes in [&[][..], &[1], &[200, 17]] {
            let (mut driver, _) = gateway("gw.corp.net");
            driver.client(&request.bytes).unwrap();
            driver.broker_in(sizes, &answer.bytes).unwrap_or_else(|fault| panic!("{}: {fault}", answer.name()));

            let seen = &driver.to_client;
            assert!(!holds(seen, "127.0.0.1"), "{}", answer.name());
            let met = notes(answer.api, answer.version, Direction::Response, seen).unwrap();
            assert_eq!(met.last(), Some(&Note::End), "{}", answer.name());
            assert_eq!(holds(seen, "gw.corp.net"), holds(&answer.bytes, "127.0.0.1"), "{}", answer.name());
            replaced += usize::from(holds(seen, "gw.corp.net"));
        }
    }
    assert!(replaced > 30, "{replaced}");
}
