//! Kafka frames on a socket, read so cheaply that the proxy in between is what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

/// A control-plane frame up to this size is seen whole; of larger frames only this much is seen.
pub(crate) const HEAD_BYTES_MAX: usize = 4 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;
const DISCARD_BYTES: usize = 1024 * 1024;
/// Nobody on the loopback is silent for this long unless something hangs.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A frame that has arrived completely.
pub(crate) struct Frame<'a> {
    /// Bytes after the length field.
    pub(crate) size: usize,
    /// The first of them, at most `HEAD_BYTES_MAX`.
    pub(crate) head: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame that is in memory, its length field included.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let body = &bytes[4..];
        Self { size: body.len(), head: &body[..body.len().min(HEAD_BYTES_MAX)] }
    }
}

/// One connection, read frame by frame and written as it is.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// Read but not yet consumed: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Only its length matters: the kernel does not write to it.
    discard: Box<[u8]>,
}

impl Connection {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect_timeout(&address, SILENCE_MAX)?, Some(SILENCE_MAX))
    }

    pub(crate) fn accepted(stream: TcpStream) -> io::Result<Self> {
        Self::new(stream, None)
    }

    fn new(stream: TcpStream, silence_max: Option<Duration>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(silence_max)?;
        stream.set_write_timeout(silence_max)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            discard: vec![0; DISCARD_BYTES].into_boxed_slice(),
        })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame; `None` when the peer has closed between two frames.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let size = i32::from_be_bytes(self.buffer[self.start..self.start + 4].try_into().expect("four bytes"));
        let size = usize::try_from(size).map_err(|_| io::Error::other("negative frame size"))?;
        let head_bytes = size.min(HEAD_BYTES_MAX);
        if !self.fill(4 + head_bytes)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head_start = self.start + 4;
        let buffered = (self.end - head_start).min(size);
        self.start = head_start + buffered;
        self.skip(size - buffered)?;
        Ok(Some(Frame { size, head: &self.buffer[head_start..head_start + head_bytes] }))
    }

    /// Reads until `wanted` bytes are buffered; false when the peer closed before the first of them.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < wanted {
            match self.stream.read(&mut self.buffer[self.end..])? {
                0 if self.start == self.end => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
        Ok(true)
    }

    /// Takes bytes off the socket without copying them: MSG_TRUNC on TCP, see tcp(7).
    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            let wanted = bytes.min(self.discard.len());
            let (_, received) = recv(&self.stream, &mut self.discard[..wanted], RecvFlags::TRUNC)?;
            if received == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes -= received;
        }
        Ok(())
    }
}
