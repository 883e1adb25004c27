//! A wasm network filter without a purpose: the floor that any filter stands on.
//!
//! The bench puts it in the module's place. What it costs is what Envoy charges for calling a module at all (`noop`), for
//! looking at the beginning of what has come (`peek`), and for taking everything out of the buffer and putting it back
//! (`copy`). Which, says the plugin's configuration, as that one word.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};

/// How much is looked at: a small Kafka request, or the head of a large one.
const PEEKED_BYTES: usize = 64;

/// What Envoy calls when the module is loaded.
mod entry {
    #![allow(missing_docs, reason = "the function is written by the SDK's macro")]
    use super::{Root, RootContext};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
    }}
}

/// What is done in every callback, in both directions.
#[derive(Clone, Copy, Debug, Default)]
enum Behaviour {
    /// Nothing.
    #[default]
    Noop,
    /// The first bytes are copied out.
    Peek,
    /// All bytes are copied out and written back.
    Copy,
}

impl Behaviour {
    fn parse(configuration: &[u8]) -> Option<Self> {
        match configuration {
            b"noop" => Some(Behaviour::Noop),
            b"peek" => Some(Behaviour::Peek),
            b"copy" => Some(Behaviour::Copy),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Root {
    behaviour: Behaviour,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let Some(behaviour) = Behaviour::parse(&configuration) else {
            let got = String::from_utf8_lossy(&configuration);
            let error = format!("plugin configuration refused: it is {got:?}; write noop, peek or copy");
            let _ = hostcalls::log(LogLevel::Error, &error);
            return false;
        };
        self.behaviour = behaviour;
        true
    }

    fn create_stream_context(&self, _context_id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Stream { behaviour: self.behaviour }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

struct Stream {
    behaviour: Behaviour,
}

impl Context for Stream {}

impl StreamContext for Stream {
    fn on_downstream_data(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.data(BufferType::DownstreamData, size)
    }

    fn on_upstream_data(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.data(BufferType::UpstreamData, size)
    }
}

impl Stream {
    /// An empty buffer, as the end of a stream brings it, is left alone.
    fn data(&self, buffer: BufferType, size: usize) -> Action {
        let copied = match self.behaviour {
            Behaviour::Noop => 0,
            Behaviour::Peek => size.min(PEEKED_BYTES),
            Behaviour::Copy => size,
        };
        if copied == 0 {
            return Action::Continue;
        }
        if let (Ok(Some(bytes)), Behaviour::Copy) = (hostcalls::get_buffer(buffer, 0, copied), self.behaviour) {
            let _ = hostcalls::set_buffer(buffer, 0, size, &bytes);
        }
        Action::Continue
    }
}
