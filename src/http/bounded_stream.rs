//! The stream of one connection, with bounds, for hyper to read and write.
//!
//! Each bound is in a separate file. `stall`: a client that does not read is disconnected. `frames` and `meter`: a client
//! may send a limited number of frames and bytes. `eviction`: the connection ends when it is evicted for another one.
//! `linger`: the client gets time to read the last answer.

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

/// Lets a request's handler control the connection of the request. Clones control the same connection.
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

    /// The connection's permit, while the connection is open.
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
    /// Only for HTTP/2.
    frames: Option<Frames>,
    clock: Clock,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> BoundedStream<S> {
    /// A stream within its bounds, and its control for handlers. `frames` is only given for HTTP/2.
    pub(super) fn new(stream: S, permit: Permit, frames: Option<Frames>, clock: Clock) -> (Self, Control) {
        let eviction = Eviction::of(&permit);
        let permit = Arc::new(permit);
        let control = Control { meter: Switch::default(), permit: Arc::downgrade(&permit) };
        let meter = ByteMeter::new(control.meter.clone());
        let inner = Lingering::new(stream, permit);
        (Self { inner, eviction, stall: Stall::default(), meter, frames, clock }, control)
    }

    /// An error once the connection is evicted; it is then closed without lingering.
    fn keeps_its_place(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let checked = self.eviction.check(context);
        self.inner.set_over_if(checked.is_err());
        checked
    }

    /// Passes on the outcome of a write; an error if writes have been pending for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let written = self.stall.watch(context, written);
        self.inner.set_over_if(matches!(written, Poll::Ready(Err(_))));
        written
    }

    /// Counts bytes sent to the client, which allow it more frames to open its windows.
    fn count_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut self.frames, written) {
            frames.sent(*count);
        }
    }

    /// Counts bytes received from the client; an error if they are too many, or have too many frames.
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
