//! One connection's stream: its client must read what it is sent, and hears the end of it; what it sends is counted.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep, timeout};

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Clock;
use crate::http::frames::Frames;
use crate::relay::admission::Permit;
use crate::signaling::pace::BYTES_PER_TEN_SECONDS;

/// Counts what a client sends, once it is told to: the frames of a WebSocket, those included that make no message. Copies
/// are the same meter.
#[derive(Debug, Clone)]
pub struct Meter {
    runs: Arc<AtomicBool>,
    permit: Weak<Permit>,
}

impl Meter {
    /// From now on the client may send no more than members of rooms may.
    pub fn start(&self) {
        self.runs.store(true, Ordering::Relaxed);
    }

    /// The connection's place among the connections, for as long as it has one.
    #[must_use]
    pub fn permit(&self) -> Weak<Permit> {
        Weak::clone(&self.permit)
    }

    fn runs(&self) -> bool {
        self.runs.load(Ordering::Relaxed)
    }
}

/// A stream, and the place among the connections that it takes.
pub(super) struct Line<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// There until it is dropped; the place is given back first, because who sees the end may come again at once.
    inner: Option<(Arc<Permit>, S)>,
    /// Ends when the connection must make way for another; `None` once it has.
    way: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Runs while something waits for the client.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether the client has said all that it will say.
    ended: bool,
    meter: Meter,
    /// For HTTP/2.
    frames: Option<Frames>,
    read: Bucket,
    clock: Clock,
}

/// How long a client may read nothing of what waits for it.
const STALL: Duration = Duration::from_secs(30);
/// How long a client that we close may go on talking, and how much: closed earlier, the kernel would tell it so at once, and
/// throw away what it has not read of our last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1 << 20;
/// Bytes that a member of a room may send in ten seconds: twice what its messages may have, for headers and fragments.
const METERED: u64 = 2 * BYTES_PER_TEN_SECONDS;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Line<S> {
    /// A line, and the meter on it, which does not run yet.
    pub(super) fn new(stream: S, permit: Permit, frames: Option<Frames>, clock: Clock) -> (Self, Meter) {
        let told = Arc::new(Notify::new());
        let way = Arc::clone(&told);
        permit.watch(move || told.notify_one());
        let permit = Arc::new(permit);
        let meter = Meter { runs: Arc::default(), permit: Arc::downgrade(&permit) };
        let line = Self {
            inner: Some((permit, stream)),
            way: Some(Box::pin(async move { way.notified().await })),
            stall: None,
            ended: false,
            meter: meter.clone(),
            frames,
            read: Bucket::default(),
            clock,
        };
        (line, meter)
    }

    /// An error once the connection must make way for another. Then it ends at once.
    fn keeps_its_place(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.way.as_mut().is_some_and(|way| way.as_mut().poll(context).is_pending()) {
            return Ok(());
        }
        (self.way, self.ended) = (None, true);
        Err(io::Error::other("it made way for another"))
    }

    fn stream(&mut self) -> Pin<&mut S> {
        let (_, stream) = self.inner.as_mut().expect("it is there until it is dropped");
        Pin::new(stream)
    }

    /// What is sent is worth frames that ask for more of it.
    fn count(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut self.frames, written) {
            frames.sent(*count);
        }
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
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, permit: Arc<Permit>) {
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
        self.keeps_its_place(context)?;
        let before = buffer.filled().len();
        let read = self.stream().poll_read(context, buffer);
        let Poll::Ready(result) = &read else { return read };
        let count = buffer.filled().len() - before;
        self.ended |= result.is_err() || count == 0;
        if self.frames.as_mut().is_some_and(|frames| frames.heard(&buffer.filled()[before..]).is_err()) {
            return Poll::Ready(Err(io::Error::other(
                "the client sends too many frames that ask for nothing",
            )));
        }
        if !self.meter.runs() {
            return read;
        }
        let rate = Rate::new(METERED, Duration::from_secs(10), METERED);
        let now = self.clock.now().moment;
        if self.read.take(rate, count as u64, now) {
            return read;
        }
        Poll::Ready(Err(io::Error::other("the client sends more than it may")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.keeps_its_place(context)?;
        let written = self.stream().poll_write(context, bytes);
        self.count(&written);
        self.patiently(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.keeps_its_place(context)?;
        let written = self.stream().poll_write_vectored(context, bytes);
        self.count(&written);
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
