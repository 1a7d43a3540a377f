//! Closes a connection only after its client has had time to read the last answer (a lingering close).
//!
//! If the daemon closed at once while the client still sends, the kernel would reset the connection, and the client would
//! lose the data that it has not read yet.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::bounds::admission::Permit;

/// A stream and its permit. When this is dropped, the stream lingers, unless the connection is over.
pub(super) struct Lingering<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// `Some` until it is dropped. The permit is dropped first, because a client may reconnect as soon as it sees the end.
    inner: Option<(Arc<Permit>, S)>,
    over: bool,
}

/// How long a client may go on sending after the end of our side, and how many bytes.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1 << 20;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Lingering<S> {
    pub(super) fn new(stream: S, permit: Arc<Permit>) -> Self {
        Self { inner: Some((permit, stream)), over: false }
    }

    /// The stream itself.
    pub(super) fn stream(&mut self) -> Pin<&mut S> {
        let (_, stream) = self.inner.as_mut().expect("it is there until it is dropped");
        Pin::new(stream)
    }

    /// Whether the stream can write several buffers at once.
    pub(super) fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(|(_, stream)| stream.is_write_vectored())
    }

    /// If `over`, the stream will be closed without lingering: the client has closed its side, or is cut off.
    pub(super) fn set_over_if(&mut self, over: bool) {
        self.over |= over;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Lingering<S> {
    fn drop(&mut self) {
        let Some((permit, stream)) = self.inner.take().filter(|_| !self.over) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(linger(stream, permit));
        }
    }
}

/// Shuts down our side, and discards the bytes that the client still sends.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, permit: Arc<Permit>) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The connection ends, whatever the outcome.
    let _ = timeout(LINGER, read).await;
    drop(permit);
    drop(stream);
}
