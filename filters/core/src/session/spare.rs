//! Memory of frames that are done with, for the next ones: all connections of a worker take turns.

use core::cell::Cell;
use std::rc::Rc;

use crate::fault::Fault;
use crate::filter::{Message, Plan};
use crate::stream::Stream;
use crate::walker::{Layout, Walker};

/// So many streams are kept; more are only used while as many frames stream past at once.
const KEPT_MAX: usize = 16;

/// What is kept.
#[derive(Default)]
pub(crate) struct Spare {
    #[allow(clippy::vec_box, reason = "a stream is handed over without being moved")]
    streams: Cell<Vec<Box<Stream>>>,
    walker: Cell<Option<Walker>>,
}

impl Spare {
    /// A stream of the frame of `frame_bytes` bytes that begins at `at` of the view.
    pub(crate) fn stream(
        &self,
        layout: Rc<Layout>,
        message: Message,
        at: usize,
        frame_bytes: usize,
        plan: Plan,
    ) -> Result<Box<Stream>, Fault> {
        let mut streams = self.streams.take();
        let spare = streams.pop();
        self.streams.set(streams);
        let Some(mut stream) = spare else {
            return Ok(Box::new(Stream::new(layout, message, at, frame_bytes, plan)?));
        };
        stream.restart(layout, message, at, frame_bytes, plan)?;
        Ok(stream)
    }

    pub(crate) fn keep_stream(&self, mut stream: Box<Stream>) {
        stream.forget();
        let mut streams = self.streams.take();
        if streams.len() < KEPT_MAX {
            streams.push(stream);
        }
        self.streams.set(streams);
    }

    /// A walk through a complete frame of `frame_bytes` bytes.
    pub(crate) fn walker(&self, layout: Rc<Layout>, frame_bytes: usize) -> Walker {
        let Some(mut walker) = self.walker.take() else { return Walker::new(layout, frame_bytes) };
        walker.restart(layout, frame_bytes);
        walker
    }

    pub(crate) fn keep_walker(&self, mut walker: Walker) {
        walker.forget();
        self.walker.set(Some(walker));
    }
}
