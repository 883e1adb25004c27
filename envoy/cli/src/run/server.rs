//! The socket where Envoy asks for its configuration: HTTP/2, a question for each resource.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bifrost_config::ResourceKind;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::{UnixListener, UnixStream};

use super::discovery::{Answer, Discovery};

/// A question is a few hundred bytes.
const QUESTION_BYTES_MAX: usize = 1 << 20;

/// Questions that wait at the same time: one for each resource.
const STREAMS_MAX: u32 = 1_000_000;

/// What this program needs of Envoy's DiscoveryRequest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DiscoveryRequest {
    #[serde(alias = "versionInfo")]
    version_info: String,
    #[serde(alias = "resourceNames")]
    resource_names: Vec<String>,
}

#[derive(Serialize)]
struct DiscoveryResponse<'a> {
    version_info: &'a str,
    resources: &'a RawValue,
}

/// Opens the socket and answers until the program ends.
pub(crate) fn serve(socket: &Path, discovery: &Arc<Discovery>) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    let discovery = Arc::clone(discovery);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(converse(stream, Arc::clone(&discovery)))),
                Err(error) => {
                    tracing::warn!("Envoy cannot ask for its configuration: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn converse(stream: UnixStream, discovery: Arc<Discovery>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&discovery)));
    let mut server = http2::Builder::new(TokioExecutor::new());
    // Envoy connects again when a connection is lost.
    let _ = server.max_concurrent_streams(STREAMS_MAX).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, discovery: Arc<Discovery>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    let Some(kind) = ResourceKind::at(request.uri().path()) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let body = Limited::new(request.into_body(), QUESTION_BYTES_MAX).collect().await;
    let Some(question) = body.ok().and_then(|body| serde_json::from_slice::<DiscoveryRequest>(&body.to_bytes()).ok())
    else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let name = question.resource_names.first().filter(|_| kind.is_named()).map_or("", String::as_str);
    match discovery.ask(kind, name, &question.version_info).await.and_then(|answer| body_of(&answer)) {
        Some(body) => *response.body_mut() = Full::from(body),
        None => *response.status_mut() = StatusCode::NOT_MODIFIED,
    }
    Ok(response)
}

fn body_of(answer: &Answer) -> Option<Vec<u8>> {
    let resources = serde_json::from_str(&answer.content).ok()?;
    serde_json::to_vec(&DiscoveryResponse { version_info: &answer.version, resources }).ok()
}
