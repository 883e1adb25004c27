//! The functions that are fuzzed: `filters/fuzz` calls them with arbitrary bytes, a unit test with a few.

mod operations;
mod session;
mod tenancy;

use bifrost_chain::{Arrival, ClientCertificate, VirtualCluster};
use bifrost_core::filter::Direction;
use bifrost_core::protocol::APIS;

use crate::choices::Choices;
use crate::generate::generate;
use crate::host::FakeHost;
use crate::notes;

pub use session::session;
pub use tenancy::tenancy;

/// The walker on arbitrary bytes, or on a valid frame of which some bytes were changed.
pub fn walker(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let api = &APIS[choices.below(APIS.len())];
    let version = api.versions.min + choices.below((api.versions.max - api.versions.min + 1) as usize) as i16;
    let direction = choices.of(&[Direction::Request, Direction::Response]);
    let mut frame = match choices.byte() {
        0..128 => crate::frames::sized(&choices.rest(usize::MAX)),
        changed => {
            let mut frame = generate(api, version, direction, 1, &mut choices).bytes;
            for _ in 0..changed % 4 {
                let at = choices.below(frame.len());
                frame[at] = choices.byte();
            }
            frame
        }
    };
    // What the session makes sure of.
    let head = if direction == Direction::Request { 12 } else { 8 };
    frame.resize(frame.len().max(head), 0);
    let at_once = notes::notes(api, version, direction, &frame);
    let bit_by_bit = notes::notes_byte_by_byte(api, version, direction, &frame);
    assert_eq!(at_once, bit_by_bit, "{} v{version} {direction:?}", api.name);
    if let Ok(notes) = at_once {
        assert_eq!(notes.last(), Some(&notes::Note::End), "a whole frame ends or is faulty");
        assert!(notes.len() <= 3 * frame.len() + 64, "{} notes from {} bytes", notes.len(), frame.len());
    }
}

/// The configuration parser.
pub fn configuration(data: &[u8]) {
    let Ok(cluster) = VirtualCluster::from_json(data) else { return };
    let ports = [0, 1, 9092, 9093, 9094, 19_093, u16::MAX].map(|port| Arrival { port, ..Arrival::default() });
    let names = ["b.x", "b-1.x"].map(|name| Arrival { port: 443, server_name: name.to_owned() });
    for arrival in ports.into_iter().chain(names) {
        if let Some(mut connection) = cluster.connect(&arrival) {
            let _ = connection.identify(ClientCertificate::Named(Some("CN=alice,OU=Orders")));
            let _ = connection.route(&mut FakeHost::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> impl Iterator<Item = Vec<u8>> {
        (0..1_500).map(|seed| Choices::from_seed(seed).rest(20 + seed as usize % 400))
    }

    #[test]
    fn the_walker_survives_a_small_corpus() {
        corpus().for_each(|data| walker(&data));
    }

    #[test]
    fn a_session_survives_a_small_corpus() {
        corpus().for_each(|data| session(&data));
    }

    #[test]
    fn a_tenants_session_survives_a_small_corpus() {
        corpus().for_each(|data| tenancy(&data));
    }

    #[test]
    fn the_configuration_survives_a_small_corpus() {
        let start = r#"{"virtualCluster":"a","upstream":{"bootstrapCluster":"b","nodeCluster":"n","askCluster":"q"},"limits":{"inFlightMax":0},"brokerAddress":"#;
        let ports = r#"{"portPerNode":{"advertisedHost":"g","bootstrapPort":9093,"nodePorts":[{"firstId":0,"lastId":9,"firstPort":9094}],"advertisedOffset":-1}}}"#;
        let hosts = r#"{"hostPerNode":{"bootstrapHost":"b.x","nodeHost":"b-$(nodeId).x","advertisedPort":443}}}"#;
        for good in [ports, hosts].map(|end| format!("{start}{end}").into_bytes()) {
            assert!(VirtualCluster::from_json(&good).is_ok());
            for at in 0..good.len() {
                for byte in [0, b'"', b'-', b'9', b'}', 0xff] {
                    let mut changed = good.clone();
                    changed[at] = byte;
                    configuration(&changed);
                }
                configuration(&good[..at]);
            }
        }
        corpus().for_each(|data| configuration(&data));
    }
}
