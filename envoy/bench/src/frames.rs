//! Kafka frames on a socket, read so cheaply that the proxy in between is what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

/// A control-plane frame up to this size is seen whole; of larger frames only this much is seen.
pub(crate) const HEAD_BYTES_MAX: usize = 4 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;
const DISCARD_BYTES: usize = 1024 * 1024;
/// Kafka's own `socket.request.max.bytes`; nothing here is larger.
const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;
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
    /// Only its length matters: the kernel does not write to it. Empty until needed.
    discard: Vec<u8>,
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
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0, discard: Vec::new() })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame; `None` when the peer has closed between two frames.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        let Some(size) = self.begin()? else { return Ok(None) };
        let head = self.start + 4..self.start + 4 + size.min(HEAD_BYTES_MAX);
        self.pass(size)?;
        Ok(Some(Frame { size, head: &self.buffer[head] }))
    }

    /// The next frame, which stays to be taken by `pass` or `whole`; `None` as for `next`.
    pub(crate) fn peek(&mut self) -> io::Result<Option<Frame<'_>>> {
        let Some(size) = self.begin()? else { return Ok(None) };
        let head = self.start + 4..self.start + 4 + size.min(HEAD_BYTES_MAX);
        Ok(Some(Frame { size, head: &self.buffer[head] }))
    }

    /// Drops the frame that was peeked at; `size` is the frame's.
    pub(crate) fn pass(&mut self, size: usize) -> io::Result<()> {
        let buffered = (self.end - self.start - 4).min(size);
        self.start += 4 + buffered;
        self.skip(size - buffered)
    }

    /// The frame that was peeked at, without its length field; `size` is the frame's.
    pub(crate) fn whole(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let buffered = (self.end - self.start - 4).min(size);
        let mut frame = vec![0; size];
        frame[..buffered].copy_from_slice(&self.buffer[self.start + 4..self.start + 4 + buffered]);
        self.start += 4 + buffered;
        self.stream.read_exact(&mut frame[buffered..])?;
        Ok(frame)
    }

    /// For whoever reads by itself. Nothing may have been read ahead: the peer speaks only when asked.
    pub(crate) fn into_stream(self) -> TcpStream {
        debug_assert_eq!(self.start, self.end);
        self.stream
    }

    /// Waits for the head of the next frame; its size.
    fn begin(&mut self) -> io::Result<Option<usize>> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let size = i32::from_be_bytes(self.buffer[self.start..self.start + 4].try_into().expect("four bytes"));
        let size = usize::try_from(size).ok().filter(|size| *size <= FRAME_BYTES_MAX);
        let size = size.ok_or_else(|| io::Error::other("impossible frame size"))?;
        if !self.fill(4 + size.min(HEAD_BYTES_MAX))? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(size))
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
        if bytes > 0 && self.discard.is_empty() {
            self.discard = vec![0; DISCARD_BYTES];
        }
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

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Connection::accepted(listener.accept().unwrap().0).unwrap(), peer)
    }

    /// A frame whose bytes count up from `first`.
    fn frame(size: usize, first: u8) -> Vec<u8> {
        let mut frame = u32::try_from(size).unwrap().to_be_bytes().to_vec();
        frame.extend((0..size).map(|index| first.wrapping_add(index as u8)));
        frame
    }

    #[test]
    fn frames_passed_and_read_whole_leave_the_next_one_where_it_begins() {
        let (mut connection, mut peer) = pair();
        let sizes = [10, 100_000, 5_000, 20, 100_000, 8];
        let sent: Vec<u8> = sizes.iter().zip(1..).flat_map(|(size, first)| frame(*size, first)).collect();
        let writer = std::thread::spawn(move || peer.write_all(&sent).unwrap());
        for (index, size) in sizes.into_iter().enumerate() {
            let expected = frame(size, index as u8 + 1);
            let peeked = connection.peek().unwrap().unwrap();
            assert_eq!((peeked.size, peeked.head), (size, &expected[4..][..size.min(HEAD_BYTES_MAX)]));
            if index % 2 == 0 {
                connection.pass(size).unwrap();
            } else {
                assert_eq!(connection.whole(size).unwrap(), expected[4..]);
            }
        }
        writer.join().unwrap();
        assert!(connection.next().unwrap().is_none());
    }

    #[test]
    fn a_frame_that_ends_early_or_cannot_be_is_an_error() {
        for bytes in [&[0, 0, 0, 9, 1, 2][..], &[0xff, 0, 0, 0], &[0x7f, 0, 0, 0]] {
            let (mut connection, mut peer) = pair();
            peer.write_all(bytes).unwrap();
            drop(peer);
            assert!(connection.next().is_err(), "{bytes:?}");
        }
    }
}
