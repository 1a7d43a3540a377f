//! The stream of one connection, as hyper reads and writes it within its bounds.
//!
//! Each bound has a file of its own. `stall`: the client must read what it is sent. `frames` and `meter`: it may send only
//! so many frames and bytes. `eviction`: it must go when its place is needed. `linger`: it hears why the connection ends.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bounds::admission::Permit;
use crate::bounds::rate::Rate;
use crate::clock::Clock;
use crate::http::eviction::Eviction;
use crate::http::frames::Frames;
use crate::http::linger::Lingering;
use crate::http::meter::{ByteMeter, Switch};
use crate::http::stall::Stall;

/// What a request may do to the connection that it came over. Clones belong to the same connection.
#[derive(Debug, Clone)]
pub struct Control {
    meter: Switch,
    permit: Weak<Permit>,
}

impl Control {
    /// From now on the client may send bytes at this rate.
    pub fn meter(&self, bytes: Rate) {
        self.meter.turn_on(bytes);
    }

    /// The connection's place among the connections, for as long as it has one.
    #[must_use]
    pub fn permit(&self) -> Weak<Permit> {
        Weak::clone(&self.permit)
    }
}

/// A stream within its bounds.
pub(super) struct BoundedStream<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    inner: Lingering<S>,
    eviction: Eviction,
    stall: Stall,
    meter: ByteMeter,
    /// For HTTP/2.
    frames: Option<Frames>,
    clock: Clock,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> BoundedStream<S> {
    /// A stream within its bounds, and what its requests may do to it. `frames` are counted over HTTP/2.
    pub(super) fn new(stream: S, permit: Permit, frames: Option<Frames>, clock: Clock) -> (Self, Control) {
        let eviction = Eviction::of(&permit);
        let permit = Arc::new(permit);
        let control = Control { meter: Switch::default(), permit: Arc::downgrade(&permit) };
        let meter = ByteMeter::new(control.meter.clone());
        let inner = Lingering::new(stream, permit);
        (Self { inner, eviction, stall: Stall::default(), meter, frames, clock }, control)
    }

    /// An error once the connection must make way for another. Then it ends at once.
    fn keeps_its_place(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let checked = self.eviction.check(context);
        self.inner.set_over_if(checked.is_err());
        checked
    }

    /// The outcome of a write, or an error if it has been waiting for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let written = self.stall.watch(context, written);
        self.inner.set_over_if(matches!(written, Poll::Ready(Err(_))));
        written
    }

    /// Bytes that the client is sent are worth frames by which it asks for more.
    fn count_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut self.frames, written) {
            frames.sent(*count);
        }
    }

    /// Counts what the client has sent.
    fn count_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.frames.as_mut().is_some_and(|frames| frames.heard(bytes).is_err()) {
            return Err(io::Error::other("the client sends too many HTTP/2 frames without requests"));
        }
        let Self { meter, clock, .. } = self;
        let counted = meter.count(bytes.len(), || clock.now().moment);
        counted.map_err(|_| io::Error::other("the client sends more bytes than allowed"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.keeps_its_place(context)?;
        let before = buffer.filled().len();
        let read = self.inner.stream().poll_read(context, buffer);
        let Poll::Ready(result) = &read else { return read };
        let bytes = &buffer.filled()[before..];
        self.inner.set_over_if(result.is_err() || bytes.is_empty());
        self.count_read(bytes)?;
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.keeps_its_place(context)?;
        let written = self.inner.stream().poll_write(context, bytes);
        self.count_written(&written);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.keeps_its_place(context)?;
        let written = self.inner.stream().poll_write_vectored(context, bytes);
        self.count_written(&written);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner.stream().poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.inner.stream().poll_shutdown(context);
        self.watch(context, shut)
    }
}
