//! What this process and its threads ask of the system, and no safe wrapper offers.
#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

#[cfg(target_env = "gnu")]
use std::ffi::{c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// The shortest slice that Linux grants (`sched_setattr(2)`; since Linux 6.12).
const SHORTEST_SLICE: Duration = Duration::from_micros(100);

/// Has large pieces of memory always come from the system, and return to it when they are freed. glibc begins that way, but
/// keeps all pieces that are no larger than the largest that was ever freed: a program that has once loaded a large file
/// would then keep the memory of a crowd that has left. Call it at the start of the process.
pub fn return_large_memory_at_once() {
    /// With which glibc begins, in bytes (mallopt(3)).
    #[cfg(target_env = "gnu")]
    const LARGE: c_int = 128 << 10;
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer. If it fails, nothing has changed.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Returns unused pages to the system. Memory that glibc frees stays with the process as long as something behind it is
/// in use. The call blocks every thread that allocates meanwhile, so use it only after many connections have closed.
/// Other C libraries return memory without it.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and locks what it changes (malloc_trim(3): MT-Safe).
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Whether something, such as an NTP client, keeps this machine's clock right; `None` if the kernel does not say
/// (`adjtimex(2)`).
#[must_use]
pub fn clock_is_synchronised() -> Option<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: `modes` is 0, so the kernel changes nothing, and it writes one timex, which `state` has room for.
    match unsafe { libc::adjtimex(state.as_mut_ptr()) } {
        -1 => None,
        libc::TIME_ERROR => Some(false),
        _ => Some(true),
    }
}

/// Has the calling thread run soon after each time that it wakes, and in exchange for a shorter time at once. Its share
/// of the processor stays the same. A thread that handles packets waits less for other programs this way: with the usual
/// slice, a program that has just started keeps the processor for up to 3 ms.
///
/// A kernel that does not know this, or a sandbox that forbids it, changes nothing.
pub fn run_in_short_slices() {
    let Some(mut attributes) = attributes() else { return };
    if attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attributes.sched_runtime = SHORTEST_SLICE.as_nanos() as u64;
    // SAFETY: the kernel only reads `attributes`, which says its own size.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// How long the calling thread has been running on a processor (`clock_gettime(2)`).
#[must_use]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, and every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Has names of hosts looked up in `/etc/hosts` and DNS only, whatever `/etc/nsswitch.conf` says. A static program does so
/// first of all: glibc would otherwise load the modules that this file names, such as systemd's, which belong to the
/// system's own glibc. Where that one has another version, the program crashes.
#[cfg(target_env = "gnu")]
pub fn look_up_names_without_modules() {
    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    // SAFETY: both texts end with NUL and live as long as the program; no other thread looks up a name yet.
    let _ = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
}

/// Unpredictable bytes from the kernel, at most 256: so many it returns at once and whole (`getrandom(2)`).
///
/// Not `OsRng` of `rand`, which asks the C library for that call by name while the program runs. A static program has no
/// such names, and would need `/dev/random`, which an empty root lacks.
///
/// # Errors
/// The system's error: a sandbox forbids the call.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) };
    let mut bytes = [0_u8; N];
    // SAFETY: the kernel writes at most N bytes, which `bytes` has.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    if usize::try_from(filled) != Ok(N) {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes)
}

/// How the calling thread is scheduled.
fn attributes() -> Option<libc::sched_attr> {
    let mut attributes = MaybeUninit::<libc::sched_attr>::zeroed();
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: the kernel writes at most `size` bytes, which `attributes` has.
    let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    // SAFETY: all its fields are integers, and no byte is uninitialised.
    (done == 0).then(|| unsafe { attributes.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_differ_each_time() {
        let [one, other] = [random_bytes::<32>(), random_bytes::<32>()].map(Result::unwrap);

        assert_ne!(one, other);
    }

    #[test]
    fn a_thread_gets_the_shortest_slice_where_the_kernel_has_slices_of_threads() {
        let slice = || attributes().map_or(0, |attributes| attributes.sched_runtime);
        if slice() == 0 {
            return; // a kernel before Linux 6.12 names no slice
        }

        let inside = std::thread::spawn(move || {
            run_in_short_slices();
            slice()
        });

        assert_eq!(inside.join().ok(), Some(SHORTEST_SLICE.as_nanos() as u64));
        assert!(slice() > SHORTEST_SLICE.as_nanos() as u64, "other threads keep theirs");
    }
}
