//! What every connection says, in bytes that are made once, and the answers it has to get.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::endpoint::{Family, Topic};
use crate::kafka::{SET_UP, decode_response, request_frame_of};

/// Nobody on the loopback is silent for this long unless something hangs.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The version that is asked in.
const METADATA: i16 = 12;

/// Requests, and the answers of the first connection: those of all others must be the same bytes.
#[derive(Debug)]
pub(super) struct Dialogue {
    exchanges: Vec<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    api_key: ApiKey,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Dialogue {
    /// ApiVersions and one Metadata.
    pub(super) fn of_a_client(address: SocketAddr) -> Result<Self> {
        let name = TopicName(StrBytes::from_string(Topic::new(Family::Bench, 0).name()));
        let topic = MetadataRequestTopic::default().with_name(Some(name));
        let metadata = MetadataRequest::default().with_topics(Some(vec![topic]));
        let metadata = (ApiKey::Metadata, request_frame_of(SET_UP, ApiKey::Metadata, METADATA, &metadata)?);
        Self::learn(address, vec![api_versions()?, metadata])
    }

    /// ApiVersions alone.
    pub(super) fn short(address: SocketAddr) -> Result<Self> {
        Self::learn(address, vec![api_versions()?])
    }

    fn learn(address: SocketAddr, requests: Vec<(ApiKey, Vec<u8>)>) -> Result<Self> {
        let mut stream = connect(address)?;
        let mut exchanges = Vec::new();
        for (api_key, request) in requests {
            stream.write_all(&request)?;
            let mut answer = vec![0; 4];
            stream.read_exact(&mut answer).with_context(|| format!("answer to {api_key:?}"))?;
            let size = i32::from_be_bytes(answer[..4].try_into()?);
            answer.resize(4 + usize::try_from(size).context("negative frame size")?, 0);
            stream.read_exact(&mut answer[4..]).with_context(|| format!("answer to {api_key:?}"))?;
            exchanges.push(Exchange { api_key, request, answer });
        }
        Ok(Self { exchanges })
    }

    /// Says everything and compares every answer.
    pub(super) fn hold(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
        for Exchange { api_key, request, answer } in &self.exchanges {
            stream.write_all(request).with_context(|| format!("sending {api_key:?}"))?;
            buffer.resize(answer.len(), 0);
            stream.read_exact(buffer).with_context(|| format!("answer to {api_key:?}"))?;
            ensure!(buffer == answer, "another answer to {api_key:?} than to the first connection");
        }
        Ok(())
    }
}

/// The addresses of all nodes, as a client is told at this one.
pub(super) fn advertised(bootstrap: SocketAddr) -> Result<Vec<SocketAddr>> {
    let dialogue = Dialogue::of_a_client(bootstrap)?;
    let Some(Exchange { answer, .. }) = dialogue.exchanges.last() else { bail!("nothing was asked") };
    let metadata: MetadataResponse = decode_response(ApiKey::Metadata, METADATA, &answer[4..])?;
    ensure!(!metadata.brokers.is_empty(), "Metadata has no nodes");
    let address = |broker: &MetadataResponseBroker| {
        let address = (broker.host.as_str(), u16::try_from(broker.port)?);
        address.to_socket_addrs()?.next().with_context(|| format!("node {} has no address", broker.node_id.0))
    };
    metadata.brokers.iter().map(address).collect()
}

fn api_versions() -> Result<(ApiKey, Vec<u8>)> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("bifrost-bench"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    Ok((ApiKey::ApiVersions, request_frame_of(SET_UP, ApiKey::ApiVersions, 3, &request)?))
}

pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn another_answer_than_the_first_is_noticed() {
        let endpoint = Endpoint::start(2).unwrap();
        let mut dialogue = Dialogue::of_a_client(endpoint.nodes[0]).unwrap();
        let (mut stream, mut buffer) = (connect(endpoint.nodes[0]).unwrap(), Vec::new());
        dialogue.hold(&mut stream, &mut buffer).unwrap();
        *dialogue.exchanges[1].answer.last_mut().unwrap() ^= 1;
        let error = dialogue.hold(&mut stream, &mut buffer).unwrap_err();
        assert!(error.to_string().contains("Metadata"), "{error}");
    }
}
