//! PURE  What the buffers of a batch hold: the datagrams that were received, and the messages that are sent.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::relay::wire::{DATA_HEADER_MAX, DATA_PADDING_MAX};

/// A range of a batch's buffers: a received datagram, or data in it. Valid until the batch is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub(super) slot: u32,
    /// Offsets in the slot's buffer.
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Segment {
    /// Its length in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        (self.end - self.start) as usize
    }

    /// A part of it; `range` counts from its first byte.
    ///
    /// # Panics
    /// If `range` ends behind it.
    #[must_use]
    pub fn part(self, range: &Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.length(), "a part ends with its segment");
        let (start, end) = (self.start + range.start as u32, self.start + range.end as u32);
        Self { slot: self.slot, start, end }
    }
}

/// What is known about a received datagram besides its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Its sender.
    pub from: SocketAddr,
    /// The address of this machine that received it, if the socket receives for several.
    pub local: Option<IpAddr>,
    /// The port that received it, if the socket receives for several.
    pub port: Option<u16>,
    /// Traffic class: DSCP and ECN.
    pub class: u8,
}

impl Received {
    /// The transport address that received it, if the socket receives for several ports.
    #[must_use]
    pub fn to(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.local?, self.port?))
    }
}

/// What is sent as one datagram, or as one message on a stream: a header, data, and zeros behind it.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    header: [u8; DATA_HEADER_MAX],
    header_length: u8,
    padding: u8,
    data: Segment,
}

impl From<Segment> for Message {
    /// The data alone.
    fn from(data: Segment) -> Self {
        Self::new(&[], data, 0)
    }
}

impl Message {
    /// Data with a header in front of it and `padding` zeros behind it.
    ///
    /// # Panics
    /// If the header is longer than [`DATA_HEADER_MAX`], or the padding longer than [`DATA_PADDING_MAX`].
    #[inline] // The header's length is then a constant, and its copy one instruction.
    #[must_use]
    pub fn new(header: &[u8], data: Segment, padding: usize) -> Self {
        assert!(padding <= DATA_PADDING_MAX, "padding fills up to a multiple of four");
        let mut bytes = [0; DATA_HEADER_MAX];
        bytes[..header.len()].copy_from_slice(header);
        Self { header: bytes, header_length: header.len() as u8, padding: padding as u8, data }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.header_length as usize + self.data.length() + self.padding as usize
    }

    /// The datagram that its data is part of.
    #[must_use]
    pub const fn data(&self) -> Segment {
        self.data
    }

    pub(super) fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_length)]
    }

    pub(super) fn padding(&self) -> &'static [u8] {
        &[0; DATA_PADDING_MAX][..usize::from(self.padding)]
    }
}
