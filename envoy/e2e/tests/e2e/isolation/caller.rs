//! A client of bare frames: what it sends need not make sense, and it never waits long.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use bifrost_core::filter::Direction;
use bifrost_core::protocol::ApiKey;
use bifrost_testkit::json;
use serde_json::Value;

/// How long an answer may take. Requests that wait on purpose ask for much less.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The frame of the answer, without its size.
    Answered(Vec<u8>),
    Closed,
    /// Neither within [`PATIENCE`]. The connection is given up.
    Silent,
}

/// One connection, opened again when it was closed.
#[derive(Debug)]
pub(crate) struct Caller {
    address: (Ipv4Addr, u16),
    client_id: &'static str,
    stream: Option<TcpStream>,
    correlation_id: i32,
}

impl Caller {
    pub(crate) fn new(address: (Ipv4Addr, u16), client_id: &'static str) -> Caller {
        Caller { address, client_id, stream: None, correlation_id: 0 }
    }

    /// Sends a frame, size included, and waits for what comes back.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Outcome {
        let outcome = match self.try_send(frame) {
            Ok(answer) => Outcome::Answered(answer),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Outcome::Silent,
            Err(_) => Outcome::Closed,
        };
        if !matches!(outcome, Outcome::Answered(_)) {
            self.stream = None;
        }
        outcome
    }

    fn try_send(&mut self, frame: &[u8]) -> std::io::Result<Vec<u8>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).expect("the gateway listens");
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                self.stream.insert(stream)
            }
        };
        stream.write_all(frame)?;
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// A frame of this caller, size included.
    pub(crate) fn frame(&mut self, key: ApiKey, version: i16, body: &Value) -> Vec<u8> {
        self.correlation_id += 1;
        json::request(key, version, self.correlation_id, self.client_id, body)
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, key: ApiKey, version: i16, body: &Value) -> Value {
        let frame = self.frame(key, version, body);
        match self.send(&frame) {
            Outcome::Answered(answer) => self.read(key, version, &answer),
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

    /// The body of an answer to the last frame of [`Self::frame`].
    pub(crate) fn read(&self, key: ApiKey, version: i16, answer: &[u8]) -> Value {
        let message = json::read(key, version, Direction::Response, answer)
            .unwrap_or_else(|error| panic!("the answer to {key} v{version} cannot be read: {error}"));
        assert_eq!(message.correlation_id, self.correlation_id, "the answer to {key} v{version} is another's");
        message.body
    }
}

/// All values of the fields of this name, wherever they are.
pub(crate) fn all<'v>(value: &'v Value, name: &str) -> Vec<&'v Value> {
    matching(value, &|other| other == name)
}

/// All error codes of an answer, in wire order as far as it is an array's.
pub(crate) fn errors(answer: &Value) -> Vec<i64> {
    matching(answer, &|name| name.ends_with("ErrorCode")).into_iter().filter_map(Value::as_i64).collect()
}

fn matching<'v>(value: &'v Value, wanted: &impl Fn(&str) -> bool) -> Vec<&'v Value> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, inner)| if wanted(key) { vec![inner] } else { matching(inner, wanted) })
            .collect(),
        Value::Array(elements) => elements.iter().flat_map(|element| matching(element, wanted)).collect(),
        _ => Vec::new(),
    }
}

/// All texts of the fields of this name, sorted.
pub(crate) fn texts(answer: &Value, name: &str) -> Vec<String> {
    let mut texts: Vec<String> =
        all(answer, name).into_iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    texts.sort_unstable();
    texts
}
