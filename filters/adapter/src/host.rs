//! The only file with host calls: raw proxy-wasm imports whose status codes are looked at.
//!
//! The SDK's wrappers panic on a status that they do not expect, and a panic kills every connection of the worker's VM.
//! What Envoy does with each call was measured; see the rules in `ARCHITECTURE.md`.
#![allow(unsafe_code, reason = "foreign functions of the proxy-wasm ABI 0.2.1; each block states why it is sound")]

use core::ops::Range;
use core::ptr;
use core::time::Duration;

use bifrost_core::fault::Fault;
use bifrost_core::window::Window;

/// Status of a host call.
type Status = u32;

const OK: Status = 0;

/// The header map of an HTTP answer.
const RESPONSE_HEADERS: u32 = 6;

/// Which buffer of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BufferType {
    /// The client's bytes.
    Downstream = 2,
    /// The broker's bytes; only inside `on_upstream_data`.
    Upstream = 3,
    /// The plugin's configuration; only inside `on_configure`.
    PluginConfiguration = 7,
}

/// Log levels of the ABI.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> Status;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> Status;
    fn proxy_set_buffer_bytes(kind: u32, start: usize, len: usize, data: *const u8, size: usize) -> Status;
    fn proxy_continue_stream(stream: u32) -> Status;
    fn proxy_close_stream(stream: u32) -> Status;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> Status;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> Status;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, cas: u32) -> Status;
    fn proxy_get_header_map_value(
        kind: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> Status;
    fn proxy_increment_metric(id: u32, by: i64) -> Status;
    fn proxy_record_metric(id: u32, value: u64) -> Status;
    fn proxy_set_effective_context(id: u32) -> Status;
    fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> Status;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
}

fn check(status: Status) -> Result<(), Fault> {
    if status == OK { Ok(()) } else { Err(Fault::Host(status)) }
}

/// Bytes that the host has written into memory from our allocator (`proxy_on_memory_allocate`).
fn owned(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: the host calls the SDK's allocator, which gives a boxed slice of exactly `size` bytes, fills it, and hands
    // it over to us. Nobody else keeps the pointer.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: pointer and length are those of a live string. A log line that is lost is no fault.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// A buffer of the connection whose callback is running.
pub(crate) struct Buffer {
    kind: BufferType,
    len: usize,
}

impl Buffer {
    /// The buffer, which holds `len` bytes.
    pub(crate) fn new(kind: BufferType, len: usize) -> Self {
        Buffer { kind, len }
    }
}

impl Window for Buffer {
    fn len(&self) -> usize {
        self.len
    }

    fn peek(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
        let (mut data, mut size) = (ptr::null_mut(), 0);
        // SAFETY: both out pointers are live locals.
        check(unsafe {
            proxy_get_buffer_bytes(self.kind as u32, range.start, range.len(), &raw mut data, &raw mut size)
        })?;
        Ok(owned(data, size))
    }

    fn replace_front(&mut self, len: usize, bytes: &[u8]) -> Result<(), Fault> {
        // SAFETY: pointer and length are those of a live slice.
        check(unsafe { proxy_set_buffer_bytes(self.kind as u32, 0, len, bytes.as_ptr(), bytes.len()) })?;
        self.len = self.len.saturating_sub(len).saturating_add(bytes.len());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        // A start behind the last byte appends. SAFETY: pointer and length are those of a live slice.
        check(unsafe { proxy_set_buffer_bytes(self.kind as u32, self.len.max(1), 0, bytes.as_ptr(), bytes.len()) })?;
        self.len = self.len.saturating_add(bytes.len());
        Ok(())
    }
}

/// Lets the client's buffer go on to the next filter, behind the running callback.
pub(crate) fn resume_downstream() -> Result<(), Fault> {
    // SAFETY: no pointers.
    check(unsafe { proxy_continue_stream(2) })
}

/// Closes the client's connection, and with it the broker's, behind the running callback.
pub(crate) fn close() {
    // SAFETY: no pointers. There is nothing left to do when the host does not know the stream any more.
    let _ = unsafe { proxy_close_stream(2) };
}

/// The value of a property.
pub(crate) fn property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: pointer and length of a live string; both out pointers are live locals.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    check(status).ok()?;
    Some(owned(data, size))
}

/// A value that all workers share, with its version.
pub(crate) fn shared(key: &str) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut cas) = (ptr::null_mut(), 0, 0);
    // SAFETY: pointer and length of a live string; the out pointers are live locals.
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut cas) };
    check(status).ok()?;
    Some((owned(data, size), cas))
}

/// Stores a value that all workers share. False: somebody else was faster.
pub(crate) fn set_shared(key: &str, value: &[u8], cas: u32) -> bool {
    // SAFETY: pointers and lengths of live slices.
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    check(status).is_ok()
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricType {
    /// It is added to.
    Counter = 0,
    /// It is set.
    Gauge = 1,
}

/// Defines a metric; the same name gives the same id again.
pub(crate) fn define_metric(kind: MetricType, name: &str) -> Result<u32, Fault> {
    let mut id = 0;
    // SAFETY: pointer and length of a live string; the out pointer is a live local.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub(crate) fn increment(id: u32, by: u64) {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: no pointers. A count that is lost is no fault.
    let _ = unsafe { proxy_increment_metric(id, by) };
}

/// Sets a gauge.
pub(crate) fn record(id: u32, value: u64) {
    // SAFETY: no pointers. A value that is lost is no fault.
    let _ = unsafe { proxy_record_metric(id, value) };
}

/// Sends an HTTP request without a body through an Envoy cluster. The answer comes to `on_http_call_response` of the root
/// context, whose callback has to be running. Gives the request's id, or `None` when it cannot be sent.
pub(crate) fn get(cluster: &str, timeout: Duration) -> Option<u32> {
    let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "bifrost")];
    // The SDK has to know of it to hand the answer over. It panics on a status that Envoy does not give for this call.
    proxy_wasm::hostcalls::dispatch_http_call(cluster, headers, None, Vec::new(), timeout).ok()
}

/// The status of the answer that has come. Only in `on_http_call_response`.
pub(crate) fn http_status() -> Option<String> {
    const NAME: &str = ":status";
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: pointer and length of a live string; both out pointers are live locals.
    let status = unsafe {
        proxy_get_header_map_value(RESPONSE_HEADERS, NAME.as_ptr(), NAME.len(), &raw mut data, &raw mut size)
    };
    check(status).ok()?;
    String::from_utf8(owned(data, size)).ok()
}

/// Makes the following calls act on this context's connection.
pub(crate) fn set_effective_context(id: u32) -> Result<(), Fault> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_effective_context(id) })
}

/// Asks for `on_tick` of the root context every `period_ms` milliseconds; 0 stops it.
pub(crate) fn set_tick_period(period_ms: u32) -> Result<(), Fault> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_tick_period_milliseconds(period_ms) })
}

/// The host's clock in milliseconds.
pub(crate) fn now_ms() -> u64 {
    let mut time = 0u64;
    // SAFETY: the out pointer is a live local. Without a clock it stays 0.
    let _ = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    time / 1_000_000
}

/// Sets an Envoy filter state of the running connection, for `tcp_proxy` and the dynamic forward proxy.
pub(crate) fn set_filter_state(key: &str, value: &str) -> Result<(), Fault> {
    const NAME: &str = "set_envoy_filter_state";
    // SetEnvoyFilterStateArguments { path = 1, value = 2 } as protobuf.
    let mut arguments = Vec::with_capacity(key.len().saturating_add(value.len()).saturating_add(12));
    for (tag, text) in [(0x0a, key), (0x12, value)] {
        arguments.push(tag);
        let length = u32::try_from(text.len()).map_err(|_| Fault::Internal("filter state too long"))?;
        bifrost_core::reader::put_unsigned_varint(&mut arguments, length);
        arguments.extend_from_slice(text.as_bytes());
    }
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: pointers and lengths of live slices; both out pointers are live locals.
    let status = unsafe {
        proxy_call_foreign_function(
            NAME.as_ptr(),
            NAME.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut data,
            &raw mut size,
        )
    };
    drop(owned(data, size));
    check(status)
}
