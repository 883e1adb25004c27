//! A TCP relay that keeps every frame of both directions, for a search afterwards.

use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use bytes::Bytes;

use crate::tap::copy;

/// Relays addresses to others and remembers what went by.
#[derive(Clone, Debug)]
pub struct Recorder {
    conversations: Arc<Mutex<Vec<Conversation>>>,
}

/// One connection, both directions.
#[derive(Clone, Debug, Default)]
struct Conversation {
    requests: Stream,
    answers: Stream,
}

/// Bytes and how many of them were given away as frames.
#[derive(Clone, Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    taken: usize,
}

/// Frames that went by, without their sizes.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    pub requests: Vec<Bytes>,
    pub answers: Vec<Bytes>,
}

impl Recorder {
    /// Relays each first address to the second until the process ends.
    pub fn start(relays: impl IntoIterator<Item = (SocketAddrV4, SocketAddrV4)>) -> Result<Recorder> {
        let recorder = Recorder { conversations: Arc::default() };
        for (from, to) in relays {
            let listener = TcpListener::bind(from).with_context(|| format!("the recorder cannot listen on {from}"))?;
            let recorder = recorder.clone();
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    if let Ok(server) = TcpStream::connect(to) {
                        let _ = recorder.relay(client, server);
                    }
                }
            });
        }
        Ok(recorder)
    }

    /// The frames that were complete since the last call.
    pub fn take_frames(&self) -> Frames {
        let mut frames = Frames::default();
        for conversation in self.conversations.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            conversation.requests.take_frames(&mut frames.requests);
            conversation.answers.take_frames(&mut frames.answers);
        }
        frames
    }

    fn relay(&self, client: TcpStream, server: TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client_in, server_out) = (client.try_clone()?, server.try_clone()?);
        let index = {
            let mut conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
            conversations.push(Conversation::default());
            conversations.len() - 1
        };
        let (up, down) = (self.clone(), self.clone());
        thread::spawn(move || copy(client_in, server_out, |bytes| up.keep(index, |it| &mut it.requests, bytes)));
        thread::spawn(move || copy(server, client, |bytes| down.keep(index, |it| &mut it.answers, bytes)));
        Ok(())
    }

    fn keep(&self, index: usize, stream: impl Fn(&mut Conversation) -> &mut Stream, bytes: &[u8]) {
        let mut conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        stream(&mut conversations[index]).bytes.extend_from_slice(bytes);
    }
}

impl Stream {
    fn take_frames(&mut self, frames: &mut Vec<Bytes>) {
        while let Some(size) = self.bytes[self.taken..].first_chunk::<4>() {
            let start = self.taken + 4;
            let end = start + u32::from_be_bytes(*size) as usize;
            let Some(frame) = self.bytes.get(start..end) else { return };
            frames.push(Bytes::copy_from_slice(frame));
            self.taken = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_given_once_and_only_when_it_is_complete() {
        let mut stream = Stream::default();
        let mut frames = Vec::new();

        for byte in b"\0\0\0\x03abc\0\0\0\x01d\0\0" {
            stream.bytes.push(*byte);
            stream.take_frames(&mut frames);
        }

        assert_eq!(frames, [Bytes::from_static(b"abc"), Bytes::from_static(b"d")]);
    }
}
