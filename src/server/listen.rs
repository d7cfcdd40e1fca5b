//! From a listening socket to requests: accepts, bounds the number of connections, drains at the end.
//! Knows sockets and signals; what a request means is `dispatch`'s matter.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tower_service::Service;

use super::app::App;
use super::routes::router;
use super::watched::{Verdict, Watch, Watched};
use super::{ServeError, Stop};

/// Threads that move bytes.
pub(super) const WORKERS: usize = 2;
/// How often a connection is looked after.
const WATCH_TICK: Duration = Duration::from_millis(500);
/// Connections that are told to come back later, at a time.
const TURNED_AWAY_MAX: usize = 64;
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 95\r\n\
Retry-After: 1\r\nConnection: close\r\n\r\n\
{\"error\": {\"code\": \"too_many_connections\", \"message\": \"the server has all connections in use\"}}";

/// Stops at SIGTERM and SIGINT.
pub(super) fn stop_on_signals(stop: &Stop) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.stop();
    });
    Ok(())
}

/// Accepts until told to stop, then waits for what is under way.
pub(super) async fn serve(app: Arc<App>, on_ready: impl FnOnce(SocketAddr), stop: &Stop) -> Result<(), ServeError> {
    let asked = app.options.listen;
    let failed = |e: std::io::Error| ServeError::Listen { listen: asked, reason: e.to_string() };
    let listener = TcpListener::bind(asked).await.map_err(failed)?;
    on_ready(listener.local_addr().map_err(failed)?);
    let connections_max = app.options.limits.connections_max;
    let places = Arc::new(Semaphore::new(connections_max));
    accept(&app, listener, &places, stop.receiver()).await;
    // All places free: all connections closed.
    let _ = timeout(app.options.limits.drain_timeout, places.acquire_many(connections_max as u32)).await;
    Ok(())
}

async fn accept(app: &Arc<App>, listener: TcpListener, places: &Arc<Semaphore>, mut stopped: watch::Receiver<bool>) {
    let router = router(app);
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let tokens = app.clone();
    let reload = async move {
        loop {
            sleep(Duration::from_secs(2)).await;
            tokens.tokens.reload_if_changed();
        }
    };
    let mut reload = pin!(reload);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut reload => continue,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, or a client gone already: neither is helped by trying again at once.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        match places.clone().try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(run_connection(app.clone(), router.clone(), stream, place, stopped.clone()));
            }
            Err(_) => {
                app.metrics.connections_refused.add(1);
                if let Ok(place) = turned_away.clone().try_acquire_owned() {
                    tokio::spawn(turn_away(stream, place));
                }
            }
        }
    }
}

async fn run_connection(
    app: Arc<App>,
    router: axum::Router,
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    let _open = app.metrics.connections.enter();
    let watch = Arc::new(Watch::new(&app.options.limits));
    let watched = Watched::new(stream, watch.clone());
    let service = service_fn(move |request| {
        let under_way = watch.request_begins();
        let mut router = router.clone();
        async move {
            let answer = router.call(request).await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| under_way.until_sent(body)))
        }
    });
    let watch = watched.watch();
    let mut http = http1::Builder::new();
    // The watch knows a head's time from a pause between requests, which hyper's own timer does not.
    http.header_read_timeout(None).max_buf_size(256 << 10);
    let mut connection = pin!(http.serve_connection(TokioIo::new(watched), service));
    let mut tick = interval(WATCH_TICK);
    let mut closing = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = tick.tick() => {
                if watch.verdict() == Verdict::Cut {
                    app.metrics.connections_cut.add(1);
                    return;
                }
            }
            _ = stopped.wait_for(|stopped| *stopped), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Says why, and waits a little for the client to read it: closing at once would take the answer back.
async fn turn_away(mut stream: TcpStream, _place: OwnedSemaphorePermit) {
    let _ = timeout(Duration::from_secs(1), async {
        stream.write_all(TURNED_AWAY).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_away_is_told_so_in_full() {
        let text = std::str::from_utf8(TURNED_AWAY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"]["code"], "too_many_connections");
    }
}
