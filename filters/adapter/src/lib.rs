//! The proxy-wasm network filter of stock Envoy. Moves bytes and translates; it holds no Kafka knowledge.
//!
//! Shape of the callbacks, measured on Envoy 1.40: downstream leaves only finished output in the buffer, resumes and returns
//! Pause, which keeps the buffer reachable, so that own requests can be sent later; only inside a frame, where none can be sent,
//! it returns Continue. Upstream returns Continue, always.

mod host;
mod metrics;
mod stream;
mod worker;

use std::rc::Rc;

use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::ContextType;

use host::Level;
use stream::Callbacks;
use worker::Worker;

/// What Envoy calls when the module is loaded.
mod entry {
    #![allow(missing_docs, reason = "the function is written by the SDK's macro")]
    use super::{Root, RootContext};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root { id, worker: None }) });
    }}
}

/// One per worker and configuration.
struct Root {
    id: u32,
    worker: Option<Rc<Worker>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token_id: u32, _headers: usize, _body_size: usize, _trailers: usize) {
        if let Some(worker) = &self.worker {
            worker.answered(token_id, host::http_status().as_deref() == Some("200"));
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Worker::configure(self.id, size) {
            Ok(worker) => self.worker = Some(Rc::new(worker)),
            Err(error) => host::log(Level::Error, &format!("plugin configuration refused: {error}")),
        }
        self.worker.is_some()
    }

    fn create_stream_context(&self, context_id: u32) -> Option<Box<dyn StreamContext>> {
        let worker = Rc::clone(self.worker.as_ref()?);
        Some(Box::new(Callbacks::new(context_id, worker)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            worker.tick();
        }
    }
}
