//! Sends the messages of a batch.
#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

use std::io;
use std::ops::Range;
use std::ptr;

use libc::{c_int, iovec};

use crate::relay::datagrams::batch::{Batch, Calls};
use crate::relay::datagrams::runs::{Place, Run};
use crate::relay::datagrams::{DatagramSocket, SLOTS};

/// What became of the messages of a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// How many datagrams the kernel refused.
    pub failed: usize,
    /// How many runs left one by one because the kernel refused to cut them.
    pub uncut: usize,
    /// The length of the datagrams that the kernel refused to cut a run into, and its error, if runs of such datagrams
    /// leave one by one from now on.
    pub news: Option<(usize, i32)>,
}

/// The headers of the calls: one for each run of a call, and one for a message that is sent alone meanwhile.
pub(super) const HEADERS: usize = SLOTS + 1;
const ALONE: usize = SLOTS;
/// The vectors of one call, and those of a message that is sent alone meanwhile. The longest run fits.
pub(super) const VECTORS: usize = 1024 + PIECES;
const VECTORS_ALONE: usize = VECTORS - PIECES;
/// The most pieces of one message: header, data, padding.
const PIECES: usize = 3;

/// Errors that a packet itself causes.
const OWN_ERRORS: [c_int; 4] = [libc::EMSGSIZE, libc::EPERM, libc::EINVAL, libc::EAFNOSUPPORT];
/// Errors that a run may cause though its datagrams are in order.
const CUT_ERRORS: [c_int; 4] = [libc::EIO, libc::EINVAL, libc::EMSGSIZE, libc::EOPNOTSUPP];

impl<S: Copy + PartialEq> Batch<S> {
    /// Sends all messages, and frees all slots. Messages with the same socket and receiver leave in the order in which
    /// they were passed to [`Self::send`].
    pub fn flush<'s>(&mut self, socket: impl Fn(S) -> Option<&'s DatagramSocket>) -> Flushed {
        let mut flushed = Flushed::default();
        let mut next = 0;
        while let Some(run) = self.waiting.all().get(next).copied() {
            let forbid = run.way.dont_fragment;
            let socket = socket(run.way.via);
            let Some(socket) = socket.filter(|socket| !forbid || socket.forbid_fragments(true).is_ok())
            else {
                flushed.failed += run.count;
                next += 1;
                continue;
            };
            let filled = self.fill(next);
            self.send_runs(socket, next..next + filled, &mut flushed);
            next += filled;
            if forbid {
                // The option was set a moment ago on the same socket, so clearing it works too.
                let _ = socket.forbid_fragments(false);
            }
        }
        self.clear();
        flushed
    }

    /// Fills headers for the runs from `first` on that leave by the same socket, as many as one call takes; returns how
    /// many.
    fn fill(&mut self, first: usize) -> usize {
        let way = self.waiting.all()[first].way;
        let mut vectors = 0;
        for index in 0..SLOTS {
            let Some(run) = self.waiting.all().get(first + index).copied() else { return index };
            let is_alike = run.way.via == way.via && run.way.dont_fragment == way.dont_fragment;
            if !is_alike || vectors + run.count * PIECES > VECTORS_ALONE {
                return index;
            }
            vectors = self.fill_header(index, vectors, &run, run.first, run.count);
        }
        SLOTS
    }

    /// Fills a header for `count` messages of a run, with the vectors from `free` on; returns where the next ones are free.
    fn fill_header(&mut self, index: usize, free: usize, run: &Run<S>, first: Place, count: usize) -> usize {
        let (mut vectors, mut next) = (free, Some(first));
        for _ in 0..count {
            let Some(place) = next else { break };
            let (message, after) = self.waiting.message(place);
            next = after;
            if let Some(whole) = self.in_one_piece(&message).map(vector) {
                self.calls.iovecs[vectors] = whole;
                vectors += 1;
                continue;
            }
            for piece in self.parts(self.waiting.stored(place)).map(vector) {
                if piece.iov_len > 0 {
                    self.calls.iovecs[vectors] = piece;
                    vectors += 1;
                }
            }
        }
        let segment = (count > 1).then_some(run.segment as u16);
        let Calls { names, controls, iovecs, headers } = &mut self.calls;
        let header = &mut headers[index].msg_hdr;
        let used = controls[index].write(run.way.to, run.way.local, run.way.class, segment);
        header.msg_namelen = names[index].write(run.way.to);
        header.msg_name = ptr::from_mut(&mut names[index]).cast();
        header.msg_iov = iovecs[free..].as_mut_ptr();
        header.msg_iovlen = (vectors - free) as _;
        header.msg_control = if used > 0 { controls[index].as_mut_ptr() } else { ptr::null_mut() };
        header.msg_controllen = used as _;
        header.msg_flags = 0;
        vectors
    }

    /// Sends the runs whose headers were filled. A refusal concerns only one run, unless the send buffer is full, which
    /// refuses the rest too: a packet is dropped rather than waited for.
    fn send_runs(&mut self, socket: &DatagramSocket, runs: Range<usize>, flushed: &mut Flushed) {
        let (mut sent, mut retried) = (0, false);
        while let Some(run) = self.waiting.all().get(runs.start + sent).copied().filter(|_| sent < runs.len())
        {
            // SAFETY: `fill` has just filled these headers, and nothing they point to has changed since.
            let code = match unsafe { self.calls.send(socket, sent..runs.len()) } {
                Ok(more) => {
                    (sent, retried) = (sent + more.max(1), false);
                    continue;
                }
                Err(error) => error.raw_os_error().unwrap_or(0),
            };
            match code {
                libc::EAGAIN | libc::ENOBUFS => {
                    let rest = &self.waiting.all()[runs.start + sent..runs.end];
                    flushed.failed += rest.iter().map(|run| run.count).sum::<usize>();
                    return;
                }
                libc::EINTR => {}
                code if run.count > 1 && CUT_ERRORS.contains(&code) => {
                    self.send_one_by_one(socket, &run, code, flushed);
                    (sent, retried) = (sent + 1, false);
                }
                // An ICMP error of an earlier packet is reported once, instead of sending this one. So send once more,
                // unless the error must be this packet's own.
                code if !retried && !OWN_ERRORS.contains(&code) => retried = true,
                _ => {
                    flushed.failed += run.count;
                    (sent, retried) = (sent + 1, false);
                }
            }
        }
    }

    /// Sends the messages of a run that the kernel has refused to cut.
    fn send_one_by_one(&mut self, socket: &DatagramSocket, run: &Run<S>, code: c_int, flushed: &mut Flushed) {
        let (mut failed, mut next) = (0, Some(run.first));
        while let Some(place) = next {
            self.fill_header(ALONE, VECTORS_ALONE, run, place, 1);
            // SAFETY: the header was just filled.
            failed += usize::from(unsafe { self.calls.send(socket, ALONE..HEADERS) }.is_err());
            next = self.waiting.message(place).1;
        }
        flushed.failed += failed;
        // If none could be sent, it was not because of the cut.
        if failed < run.count {
            flushed.uncut += 1;
            if self.cut.refused(run.segment, code != libc::EIO) {
                flushed.news = Some((run.segment, code));
            }
        }
    }
}

impl Calls {
    /// Makes one call for these headers; returns how many it sent.
    ///
    /// # Safety
    /// The pointers of every one of these headers must be valid for the lengths beside them.
    unsafe fn send(&mut self, socket: &DatagramSocket, headers: Range<usize>) -> io::Result<usize> {
        let (fd, flags) = (socket.fd(), libc::MSG_DONTWAIT);
        let headers = &mut self.headers[headers];
        let result = match headers {
            // The usual case, for which the kernel has less to read.
            [one] if one.msg_hdr.msg_iovlen == 1 && one.msg_hdr.msg_controllen == 0 => {
                let one = &one.msg_hdr;
                // SAFETY: the caller promises that the vector, what it points to, and the name are valid.
                unsafe {
                    let iovec { iov_base, iov_len } = *one.msg_iov;
                    libc::sendto(fd, iov_base, iov_len, flags, one.msg_name.cast(), one.msg_namelen)
                }
                .min(1)
            }
            // SAFETY: the caller promises it for every header, and the count is their number.
            several => unsafe {
                libc::sendmmsg(fd, several.as_mut_ptr(), several.len() as u32, flags as _) as isize
            },
        };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

fn vector(bytes: &[u8]) -> iovec {
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
