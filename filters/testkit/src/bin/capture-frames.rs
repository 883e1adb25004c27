//! Captures golden frames: a TCP relay between one client and one broker.
//!
//! `capture-frames LISTEN BROKER CASE FOLDER [BYTES_MAX]`: of every API and version it keeps the request and the answer that
//! hold most, as `FOLDER/<Api>/v<N>/{request,response}.<CASE>.bin`, until it is killed. The broker must advertise LISTEN.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{env, fs, thread};

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{Api, ApiKey, api};
use bifrost_testkit::notes::{Note, notes};

/// Larger frames teach nothing that smaller ones do not.
const BYTES_MAX: usize = 16 << 10;

/// Requests of one connection that wait for their answer.
type Waiting = Arc<Mutex<HashMap<i32, Vec<u8>>>>;

#[derive(Clone)]
struct Store {
    case: String,
    folder: PathBuf,
    bytes_max: usize,
    /// Bytes of the pair that is kept.
    kept: Arc<Mutex<HashMap<(i16, i16), usize>>>,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, broker, case, folder, rest @ ..] = arguments.as_slice() else {
        panic!("usage: capture-frames LISTEN BROKER CASE FOLDER [BYTES_MAX]");
    };
    let store = Store {
        case: case.clone(),
        folder: folder.into(),
        bytes_max: rest.first().map_or(BYTES_MAX, |max| max.parse().expect("BYTES_MAX is a number")),
        kept: Arc::default(),
    };
    let listener = TcpListener::bind(listen).expect("LISTEN is free");
    for client in listener.incoming().flatten() {
        let Ok(broker) = TcpStream::connect(broker) else { continue };
        let waiting = Waiting::default();
        let (client_in, broker_out) = (client.try_clone().expect("a socket"), broker.try_clone().expect("a socket"));
        let asked = Arc::clone(&waiting);
        thread::spawn(move || relay(client_in, broker_out, |frame| on_request(&asked, frame)));
        let store = store.clone();
        thread::spawn(move || relay(broker, client, |frame| on_response(&store, &waiting, frame)));
    }
}

/// Passes frames on, one by one, until either side ends.
fn relay(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut size = [0; 4];
    while from.read_exact(&mut size).is_ok() {
        let mut frame = size.to_vec();
        frame.resize(4 + u32::from_be_bytes(size) as usize, 0);
        if from.read_exact(&mut frame[4..]).is_err() {
            break;
        }
        look(&frame);
        if to.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

fn on_request(waiting: &Waiting, frame: &[u8]) {
    let (api, version) = request_head(frame);
    let notes = notes(api, version, Direction::Request, frame).unwrap_or_default();
    let no_answer = |note: &Note| matches!(note, Note::Value("Acks", _, Some(acks)) if *acks == [0, 0]);
    if !notes.iter().any(no_answer) {
        waiting.lock().expect("no panic").insert(int32(frame, 8), frame.to_vec());
    }
}

fn on_response(store: &Store, waiting: &Waiting, response: &[u8]) {
    let request = waiting.lock().expect("no panic").remove(&int32(response, 4)).expect("an answer to a request");
    let (api, version) = request_head(&request);
    let bytes = request.len() + response.len();
    let mut kept = store.kept.lock().expect("no panic");
    let best = kept.entry((api.key.0, version)).or_default();
    if bytes <= *best || request.len().max(response.len()) > store.bytes_max {
        return;
    }
    *best = bytes;
    let folder = store.folder.join(api.name).join(format!("v{version}"));
    fs::create_dir_all(&folder).expect("FOLDER can be written");
    for (direction, frame) in [("request", request.as_slice()), ("response", response)] {
        fs::write(folder.join(format!("{direction}.{}.bin", store.case)), frame).expect("FOLDER can be written");
    }
}

fn request_head(frame: &[u8]) -> (&'static Api, i16) {
    let key = (int32(frame, 4) >> 16) as i16;
    let version = int32(frame, 4) as i16;
    (api(ApiKey(key)).unwrap_or_else(|| panic!("unknown API key {key}")), version)
}

fn int32(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().expect("a whole head"))
}
