//! One connection's stream: its client must read what it is sent, and hears the end of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};

use crate::relay::admission::Permit;

/// A stream, and the place among the connections that it takes.
pub(super) struct Line<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// There until it is dropped; the place is given back first, because who sees the end may come again at once.
    inner: Option<(Permit, S)>,
    /// Runs while something waits for the client.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether the client has said all that it will say.
    ended: bool,
}

/// How long a client may read nothing of what waits for it.
const STALL: Duration = Duration::from_secs(30);
/// How long a client that we close may go on talking, and how much: closed earlier, the kernel would tell it so at once, and
/// throw away what it has not read of our last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1 << 20;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Line<S> {
    pub(super) fn new(stream: S, permit: Permit) -> Self {
        Self { inner: Some((permit, stream)), stall: None, ended: false }
    }

    fn stream(&mut self) -> Pin<&mut S> {
        let (_, stream) = self.inner.as_mut().expect("it is there until it is dropped");
        Pin::new(stream)
    }

    /// An error once what should be written has been waiting for too long.
    fn patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = &written {
            self.stall = None;
            self.ended |= result.is_err();
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
        let stalled = stall.as_mut().poll(context);
        self.ended |= stalled.is_ready();
        stalled.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Hears a client out, so that it hears us.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, permit: Permit) {
    let heard = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // However it goes on, this is the end.
    let _ = timeout(LINGER, heard).await;
    drop(permit);
    drop(stream);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Line<S> {
    fn drop(&mut self) {
        let Some((permit, stream)) = self.inner.take().filter(|_| !self.ended) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(linger(stream, permit));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream().poll_read(context, buffer);
        if let Poll::Ready(result) = &read {
            self.ended |= result.is_err() || buffer.filled().len() == before;
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(context, bytes);
        self.patiently(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(context, bytes);
        self.patiently(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(|(_, stream)| stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream().poll_flush(context);
        self.patiently(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream().poll_shutdown(context);
        self.patiently(context, shut)
    }
}
