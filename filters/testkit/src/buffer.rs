//! A host buffer that counts what is done to it.

use core::ops::Range;

use bifrost_core::fault::Fault;
use bifrost_core::window::Window;

/// proxy-wasm status of a range outside the buffer.
const BAD_ARGUMENT: u32 = 2;

/// One direction's bytes as Envoy keeps them: changed at the front or appended to, nowhere else.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What has been done to it.
    pub calls: Calls,
}

/// Host calls, as [`Buffer`] counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Copies out of the buffer.
    pub peeks: usize,
    /// Bytes copied out.
    pub bytes_peeked: usize,
    /// Changes of the buffer, appends included.
    pub splices: usize,
    /// Bytes written into it.
    pub bytes_written: usize,
}

impl core::ops::AddAssign for Calls {
    fn add_assign(&mut self, more: Calls) {
        self.peeks += more.peeks;
        self.bytes_peeked += more.bytes_peeked;
        self.splices += more.splices;
        self.bytes_written += more.bytes_written;
    }
}

impl Buffer {
    /// A buffer that holds `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Buffer { bytes: bytes.to_vec(), calls: Calls::default() }
    }

    fn count_write(&mut self, bytes: &[u8]) {
        self.calls.splices += 1;
        self.calls.bytes_written += bytes.len();
    }
}

impl Window for Buffer {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
        self.calls.peeks += 1;
        self.calls.bytes_peeked += range.len();
        self.bytes.get(range).map(<[u8]>::to_vec).ok_or(Fault::Host(BAD_ARGUMENT))
    }

    fn replace_front(&mut self, len: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.count_write(bytes);
        if len > self.bytes.len() {
            return Err(Fault::Host(BAD_ARGUMENT));
        }
        self.bytes.splice(..len, bytes.iter().copied());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.count_write(bytes);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
