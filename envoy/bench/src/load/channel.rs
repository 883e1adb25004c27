//! A connection that never waits: one thread serves several, and what is due on one must not wait for another.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::frames::Connection;

const INBOX_BYTES: usize = 256 * 1024;
/// No frame that comes here is larger.
const INBOX_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) struct Channel {
    stream: TcpStream,
    /// Received but not yet taken: `inbox[start..end]`.
    inbox: Vec<u8>,
    start: usize,
    end: usize,
    /// Not yet sent: `outbox[sent..]`.
    outbox: Vec<u8>,
    sent: usize,
}

impl Channel {
    pub(super) fn new(connection: Connection) -> Self {
        let stream = connection.into_stream();
        Self { stream, inbox: vec![0; INBOX_BYTES], start: 0, end: 0, outbox: Vec::new(), sent: 0 }
    }

    /// To be sent by `flush`.
    pub(super) fn queue(&mut self, frame: &[u8]) {
        self.outbox.extend_from_slice(frame);
    }

    /// Whether the socket did not take all at the last `flush`.
    pub(super) fn is_blocked(&self) -> bool {
        self.sent > 0 || !self.outbox.is_empty()
    }

    /// Sends as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.outbox.len() {
            match send(&self.stream, &self.outbox[self.sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.clear();
        self.sent = 0;
        Ok(())
    }

    /// Takes what has come, as far as the inbox goes; false when nothing has.
    pub(super) fn receive(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.inbox.len() {
            self.inbox.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.inbox.len() {
            if self.end >= INBOX_BYTES_MAX {
                return Err(io::Error::other("frame larger than anything that was asked for"));
            }
            self.inbox.resize(self.inbox.len() * 2, 0);
        }
        match recv(&self.stream, &mut self.inbox[self.end..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, received)) => {
                self.end += received;
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a frame has come whole.
    pub(super) fn has_frame(&self) -> bool {
        self.size().is_some_and(|size| usize::try_from(size).is_ok_and(|size| self.end - self.start >= 4 + size))
    }

    /// The next frame that has come whole, without its length field.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(size) = self.size() else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| io::Error::other("negative frame size"))?;
        let frame = self.start + 4..self.start + 4 + size;
        if frame.end > self.end {
            return Ok(None);
        }
        self.start = frame.end;
        Ok(Some(&self.inbox[frame]))
    }

    /// Of the next frame, when its length field has come.
    fn size(&self) -> Option<i32> {
        self.inbox[self.start..self.end].first_chunk().map(|size| i32::from_be_bytes(*size))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    fn pair() -> (Channel, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connection = Connection::connect(listener.local_addr().unwrap()).unwrap();
        (Channel::new(connection), listener.accept().unwrap().0)
    }

    #[test]
    fn frames_come_out_whole_however_they_came_in() {
        let (mut channel, mut peer) = pair();
        let sizes = [0, 5, 700_000, 3, 300_000];
        let writer = thread::spawn(move || {
            for size in sizes {
                let frame: Vec<u8> =
                    u32::try_from(size).unwrap().to_be_bytes().into_iter().chain(vec![7; size]).collect();
                for piece in frame.chunks(99_999) {
                    peer.write_all(piece).unwrap();
                }
            }
        });
        let mut got = Vec::new();
        while got.len() < sizes.len() {
            channel.receive().unwrap();
            while let Some(frame) = channel.next().unwrap() {
                assert!(frame.iter().all(|byte| *byte == 7));
                got.push(frame.len());
            }
        }
        assert_eq!(got, sizes);
        writer.join().unwrap();
        let closed = (0..1_000_000).map(|_| channel.receive()).find(Result::is_err);
        assert!(closed.is_some(), "the peer has closed");
    }

    #[test]
    fn what_the_socket_does_not_take_goes_later() {
        let (mut channel, mut peer) = pair();
        let sent: Vec<u8> = (0..20_000_000u32).map(|index| index as u8).collect();
        channel.queue(&sent);
        channel.flush().unwrap();
        assert!(channel.is_blocked());
        let reader = thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        while channel.is_blocked() {
            channel.flush().unwrap();
            thread::yield_now();
        }
        drop(channel);
        assert!(reader.join().unwrap() == sent);
    }

    #[test]
    fn a_negative_size_is_an_error() {
        let (mut channel, mut peer) = pair();
        peer.write_all(&[0xff; 4]).unwrap();
        while channel.end < 4 {
            channel.receive().unwrap();
        }
        assert!(channel.next().is_err());
    }
}
