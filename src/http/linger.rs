//! Closes a connection only after its client had time to read the last answer (a lingering close).
//!
//! If we closed at once while the client still sends, the kernel would reset the connection and throw away what the client
//! has not read yet.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::bounds::admission::Permit;

/// A stream, and its place among the connections. When this is dropped, the stream lingers, unless it is over already.
pub(super) struct Lingering<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// There until it is dropped. The place is given back first, because a client that sees the end may connect again at once.
    inner: Option<(Arc<Permit>, S)>,
    over: bool,
}

/// How long a client that we close may go on sending, and how many bytes.
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

    /// Whether the stream writes several buffers at once.
    pub(super) fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(|(_, stream)| stream.is_write_vectored())
    }

    /// The connection is over if `over`: the client has closed its side, or need not hear the end. It is closed at once.
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

/// Sends the end of our side, and reads what the client still sends.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, permit: Arc<Permit>) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, this is the end.
    let _ = timeout(LINGER, read).await;
    drop(permit);
    drop(stream);
}
