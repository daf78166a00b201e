//! Listeners: limits on connections and on how slow a client may be, TLS, and an orderly end.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use axum_server::accept::{Accept, DefaultAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Tls;

/// How long the head of a request may take: who sends a byte now and then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a head. The SDKs put all parameters there.
const MAX_HEAD_BYTES: usize = 256 << 10;

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// The most connections of one listener; more wait.
const MAX_CONNECTIONS: usize = 4096;

/// A listener that is bound: its address is known, and clients can already connect.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Bind an address; port 0 is any free one.
    pub(crate) fn new(address: SocketAddr, what: &str) -> anyhow::Result<Self> {
        let bind = || -> io::Result<Self> {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(Self { address: listener.local_addr()?, listener })
        };
        bind().with_context(|| format!("{what} cannot listen on {address}"))
    }

    /// Serve until the handle says otherwise.
    pub(crate) async fn serve(
        self,
        app: Router,
        handle: Handle<SocketAddr>,
        tls: Option<RustlsConfig>,
    ) -> anyhow::Result<()> {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let server = axum_server::from_tcp(self.listener)?.handle(handle);
        match tls {
            None => {
                let mut server =
                    server.acceptor(Limited { inner: DefaultAcceptor::new(), permits });
                limit(server.http_builder());
                server.serve(app.into_make_service()).await?;
            }
            Some(config) => {
                let inner = RustlsAcceptor::new(config).handshake_timeout(HEADER_TIMEOUT);
                let mut server = server.acceptor(Limited { inner, permits });
                limit(server.http_builder());
                server.serve(app.into_make_service()).await?;
            }
        }
        Ok(())
    }
}

fn limit(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
}

/// Read the files of TLS.
pub(crate) async fn tls(files: Option<&Tls>) -> anyhow::Result<Option<RustlsConfig>> {
    let Some(files) = files else { return Ok(None) };
    let config = RustlsConfig::from_pem_file(&files.certificate, &files.key).await;
    let told =
        || format!("{} and {} are not usable", files.certificate.display(), files.key.display());
    Ok(Some(config.with_context(told)?))
}

/// An acceptor that holds a permit for as long as its connection lasts.
#[derive(Clone, Debug)]
struct Limited<A> {
    inner: A,
    permits: Arc<Semaphore>,
}

impl<A, I, S> Accept<I, S> for Limited<A>
where
    A: Accept<I, S> + Clone + Send + 'static,
    A::Future: Send,
    I: Send + 'static,
    S: Send + 'static,
{
    type Stream = Held<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (inner, permits) = (self.inner.clone(), Arc::clone(&self.permits));
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let (stream, service) = inner.accept(stream, service).await?;
            Ok((Held { stream, _permit: permit }, service))
        })
    }
}

/// A connection with its permit.
#[derive(Debug)]
struct Held<S> {
    stream: S,
    _permit: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
