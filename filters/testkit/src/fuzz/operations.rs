//! What a fuzzed session is put through, whatever chain it has.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{ApiKey, api};

use crate::choices::Choices;
use crate::notes::{self, Note};

/// One thing that happens to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    /// The client writes a request, which is not sent yet.
    Request,
    /// So many of the client's bytes arrive.
    ClientSends(usize),
    /// The broker answers the next request that has reached it; the answer is not sent yet.
    Answer,
    /// So many of the broker's bytes arrive.
    BrokerSends(usize),
    /// The session is told to hold requests, or to let them go.
    Hold(bool),
    /// The gateway asks something on its own account.
    Own,
    /// Somebody does something wrong.
    Spoil,
}

impl Operation {
    pub(super) fn of(choices: &mut Choices<'_>) -> Self {
        match choices.below(16) {
            0..5 => Operation::Request,
            5..8 => Operation::ClientSends(piece(choices)),
            8..10 => Operation::Answer,
            10..13 => Operation::BrokerSends(piece(choices)),
            13 => Operation::Hold(choices.byte() & 1 == 1),
            14 => Operation::Own,
            _ => Operation::Spoil,
        }
    }
}

/// How many bytes arrive at once.
fn piece(choices: &mut Choices<'_>) -> usize {
    match choices.byte() {
        0 => usize::MAX,
        n => usize::from(n) * usize::from(n) / 8 + 1,
    }
}

/// The first frame in `bytes`, once it is complete.
pub(super) fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let size = bytes.first_chunk::<4>()?;
    bytes.get(..4 + i32::from_be_bytes(*size).clamp(0, 1 << 20) as usize)
}

/// API key, version and correlation id of a request frame.
pub(super) fn request_head(frame: &[u8]) -> Option<(ApiKey, i16, i32)> {
    let &[_, _, _, _, k0, k1, v0, v1, c0, c1, c2, c3, ..] = frame else { return None };
    let (key, version) = (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]));
    Some((ApiKey(key), version, i32::from_be_bytes([c0, c1, c2, c3])))
}

/// Whether the broker answers this request, which is well formed; `None` when it is not.
pub(super) fn is_answered(key: ApiKey, version: i16, frame: &[u8]) -> Option<bool> {
    if key != ApiKey::PRODUCE {
        return Some(true);
    }
    let notes = notes::notes(api(key)?, version, Direction::Request, frame).ok()?;
    let no_acks = |note: &Note| matches!(note, Note::Value("Acks", _, Some(acks)) if *acks == [0, 0]);
    Some(!notes.iter().any(no_acks))
}
