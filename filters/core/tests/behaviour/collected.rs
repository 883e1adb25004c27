//! Answers that are seen whole although they come in pieces.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Context, Direction, FilterConfig, Message};
use bifrost_core::limits::Limits;
use bifrost_core::session::Session;
use bifrost_core::walker::Event;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Does;
use bifrost_testkit::frames;
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::connection;

/// Leaves out topics that are not called `own...`, and calls the others `OWN...`.
fn own_topics_only(message: &Message, event: &Event<'_>, context: &mut Context<'_>) -> Result<(), Fault> {
    if message.direction == Direction::Request {
        return Ok(());
    }
    // The state of a test's filter is its memory of the request: whether the topic goes, and how many have gone.
    let gone = context.remembered() >> 1;
    match event {
        Event::Value(value) if value.field.name == "Name" => {
            let own = value.text().is_some_and(|name| name.starts_with("own"));
            context.remember(gone << 1 | u64::from(!own));
            if own {
                context.edits.replace(value.range.end - value.bytes.unwrap().len()..value.range.end, {
                    let mut name = value.bytes.unwrap().to_vec();
                    name[..3].copy_from_slice(b"OWN");
                    name
                });
            }
        }
        Event::ElementEnd(field, range) if field.name == "Topics" && context.remembered() & 1 == 1 => {
            context.edits.replace(range.clone(), Vec::new());
            context.remember((gone + 1) << 1);
        }
        Event::ArrayEnd(array) if array.field.name == "Topics" => {
            context.edits.recount(array, array.count.unwrap() - u32::try_from(gone).unwrap())?;
        }
        _ => {}
    }
    Ok(())
}

fn metadata(version: i16, names: impl Iterator<Item = String>) -> MetadataResponse {
    let partition = |index| MetadataResponsePartition::default().with_partition_index(index);
    let topic = |name| {
        let topic = MetadataResponseTopic::default().with_name(Some(TopicName(StrBytes::from_string(name))));
        // In version 4 the last array of numbers ends the element.
        topic.with_partitions((0..3).map(|n| partition(n).with_isr_nodes(vec![1.into(); 3])).collect())
    };
    let _ = version;
    MetadataResponse::default().with_topics(names.map(topic).collect())
}

fn asked(version: i16) -> Driver<Session> {
    let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(Does(own_topics_only))];
    let mut driver = connection(filters, Limits { held_bytes_max: 64 << 10, ..Limits::default() });
    driver.client(&frames::request(version, 1, &MetadataRequest::default())).unwrap();
    driver
}

#[test]
fn what_is_left_out_is_not_kept_and_the_rest_is_as_if_it_had_come_at_once() {
    for version in [1, 4, 8, 9, 13] {
        let all = (0..2_000).map(|n| if n % 50 == 7 { format!("own-{n}") } else { format!("foreign-{n}") });
        let sent = frames::response::<MetadataRequest>(version, 1, &metadata(version, all.clone()));
        let own = all.filter(|name| name.starts_with("own")).map(|name| name.replace("own", "OWN"));
        let expected = frames::response::<MetadataRequest>(version, 1, &metadata(version, own));
        // The whole frame would not be allowed to wait.
        assert!(sent.len() > 64 << 10);
        for size in [1, 100, 4_096] {
            let mut driver = asked(version);
            driver.broker_in(&[size], &sent).unwrap();
            assert!(driver.to_client == expected, "v{version} in pieces of {size}");
            assert!(driver.held_bytes_max < expected.len() + 2 * size + 500, "kept {}", driver.held_bytes_max);
            assert_eq!(driver.driven.held_bytes(), 0);
        }
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let sent = frames::response::<MetadataRequest>(9, 1, &metadata(9, (0..2_000).map(|n| format!("own-{n}"))));
    let ended = asked(9).broker_in(&[4_096], &sent);
    assert!(matches!(ended, Err(Fault::Limit { limit: "heldBytesMax", .. })), "{ended:?}");
}
