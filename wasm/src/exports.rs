//! The module's functions, with offsets and lengths as arguments. Only `mod.ts` calls them, and it meets the requirements of
//! each function.

use crate::handshake::{self, Key};
use crate::joining::{self, Output};
use crate::keypairs::Keypair;
use crate::offload::{Join, Segments};
use crate::replay::Seen;
use crate::transport::{self, Found, OVERHEAD, Opened};
use std::alloc::Layout;

/// Results beyond the return value.
const RESULTS: usize = 16;

static mut RESULT: [u32; RESULTS] = [0; RESULTS];
static mut OUTPUT: Output = Output::new();
static mut FOUND: Found = Found::new();
/// A copy of the replay window that `admit` uses.
static mut SEEN: Seen = Seen::new();

pub(crate) unsafe fn bytes<'a>(at: u32, length: u32) -> &'a [u8] {
    unsafe { core::slice::from_raw_parts(at as *const u8, length as usize) }
}

pub(crate) unsafe fn bytes_mut<'a>(at: u32, length: u32) -> &'a mut [u8] {
    unsafe { core::slice::from_raw_parts_mut(at as *mut u8, length as usize) }
}

unsafe fn key<'a>(at: u32) -> &'a Key {
    unsafe { &*(at as *const Key) }
}

unsafe fn keypair<'a>(slot: u32) -> &'a mut Keypair {
    unsafe { &mut *(slot as *mut Keypair) }
}

unsafe fn put<const N: usize>(at: u32, value: [u8; N]) {
    unsafe { (at as *mut [u8; N]).write(value) }
}

pub(crate) fn result<const N: usize>(values: [u32; N]) {
    // SAFETY: the module has one thread.
    unsafe { (&raw mut RESULT).cast::<[u32; N]>().write(values) }
}

/// The address of the results of `seal_batch` and `open_batch`.
#[unsafe(no_mangle)]
pub extern "C" fn result_address() -> u32 {
    (&raw const RESULT) as u32
}

/// The address of `open_batch`'s list of packets. Each is two words: index of the first part, number of parts.
#[unsafe(no_mangle)]
pub extern "C" fn entries_address() -> u32 {
    unsafe { (&raw const OUTPUT.entries) as u32 }
}

/// The address of `open_batch`'s list of parts. Each is two words: offset from the first datagram, length.
#[unsafe(no_mangle)]
pub extern "C" fn parts_address() -> u32 {
    unsafe { (&raw const OUTPUT.parts) as u32 }
}

/// Reserves zeroed memory, which is never freed. Returns 0 if there is not enough.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(length: u32, align: u32) -> u32 {
    let Ok(layout) = Layout::from_size_align(length as usize, align as usize) else {
        return 0;
    };
    // SAFETY: the caller never reserves 0 bytes.
    unsafe { std::alloc::alloc_zeroed(layout) as u32 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn shared_secret(out: u32, private: u32, public: u32) -> u32 {
    unsafe {
        let Some(secret) = handshake::shared_secret(key(private), key(public)) else {
            return 0;
        };
        put(out, secret);
        1
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn public_key(out: u32, private: u32) {
    unsafe { put(out, handshake::public_key(key(private))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hash(out: u32, a: u32, a_length: u32, b: u32, b_length: u32) {
    unsafe { put(out, handshake::hash(&[bytes(a, a_length), bytes(b, b_length)])) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mac(out: u32, key: u32, key_length: u32, data: u32, length: u32) {
    unsafe { put(out, handshake::mac(bytes(key, key_length), bytes(data, length))) }
}

/// HKDF. Writes three keys to `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kdf(out: u32, chaining_key: u32, input: u32, length: u32) {
    unsafe { (out as *mut [Key; 3]).write(handshake::kdf(key(chaining_key), bytes(input, length))) }
}

/// Seals `length` bytes in place. There is space for the tag behind them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seal(data: u32, length: u32, aead_key: u32, aad: u32, aad_length: u32) {
    unsafe { handshake::seal(key(aead_key), bytes(aad, aad_length), bytes_mut(data, length + 16)) }
}

/// Opens `length` bytes in place, the tag included. Returns 1 if they are authentic.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(data: u32, length: u32, aead_key: u32, aad: u32, aad_length: u32) -> u32 {
    unsafe { handshake::open(key(aead_key), bytes(aad, aad_length), bytes_mut(data, length)).into() }
}

/// Like `seal`, with a nonce of 24 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seal_cookie(
    data: u32,
    length: u32,
    aead_key: u32,
    nonce: u32,
    aad: u32,
    aad_length: u32,
) {
    unsafe {
        let nonce = &*(nonce as *const [u8; 24]);
        handshake::seal_cookie(key(aead_key), nonce, bytes(aad, aad_length), bytes_mut(data, length + 16));
    }
}

/// Like `open`, with a nonce of 24 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open_cookie(
    data: u32,
    length: u32,
    aead_key: u32,
    nonce: u32,
    aad: u32,
    aad_length: u32,
) -> u32 {
    unsafe {
        let nonce = &*(nonce as *const [u8; 24]);
        handshake::open_cookie(key(aead_key), nonce, bytes(aad, aad_length), bytes_mut(data, length)).into()
    }
}

/// Copies the keys of a new session. Returns its slot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_new(send_key: u32, receive_key: u32, remote_index: u32) -> u32 {
    let mut keypair = Box::new(Keypair::new(remote_index));
    unsafe {
        keypair.send_key.copy_from_slice(key(send_key));
        keypair.receive_key.copy_from_slice(key(receive_key));
    }
    Box::into_raw(keypair) as u32
}

/// Words of stack to overwrite. No function here uses as many.
const STACK_WORDS: usize = 2_048;

/// Overwrites the stack that other calls used. The ciphers and the curve leave secrets there.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn wipe_stack() {
    let mut frame = [const { core::mem::MaybeUninit::<u64>::uninit() }; STACK_WORDS];
    for word in &mut frame {
        // SAFETY: the array is in our own frame. Volatile, so that the compiler does not drop the write as unread.
        unsafe { word.as_mut_ptr().write_volatile(0) }
    }
}

/// Erases a session's keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_free(slot: u32) {
    unsafe { drop(Box::from_raw(slot as *mut Keypair)) }
}

/// Moves a session's counter forward.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_skip(slot: u32, low: u32, high: u32) {
    unsafe { keypair(slot).skip_to(u64::from(high) << 32 | u64::from(low)) }
}

/// Reserves counters for another instance. Results: the first of them in two words, flags (1 rekey, 2 spent). Returns 0 if
/// too few counters are left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_reserve(slot: u32, count: u32) -> u32 {
    let keypair = unsafe { keypair(slot) };
    let Some(first) = keypair.reserve(count.into()) else {
        return 0;
    };
    let flags = u32::from(keypair.rekey_due()) | u32::from(keypair.spent()) << 1;
    result([first as u32, (first >> 32) as u32, flags]);
    1
}

/// Gives a session the counters that another instance reserved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_borrow(slot: u32, low: u32, high: u32, count: u32) {
    unsafe { keypair(slot).borrow(u64::from(high) << 32 | u64::from(low), count.into()) }
}

/// The address of a session's replay window, which is allocated if there is none yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keypair_window(slot: u32) -> u32 {
    unsafe { core::ptr::from_mut(keypair(slot).seen()) as u32 }
}

/// The address of the replay window that `admit` uses.
#[unsafe(no_mangle)]
pub extern "C" fn window_address() -> u32 {
    (&raw const SEEN) as u32
}

/// Seals a super-packet. Results: bytes written, stride, segments, segments of the whole super-packet, flags (1 rekey, 2
/// spent or too few counters left, 4 malformed), ECN bits. Returns the number of segments.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)] // Only numbers can be passed.
pub unsafe extern "C" fn seal_batch(
    slot: u32,
    from: u32,
    length: u32,
    to: u32,
    capacity: u32,
    mtu: u32,
    first: u32,
    max_segments: u32,
) -> u32 {
    let (keypair, packet, out) = unsafe { (keypair(slot), bytes(from, length), bytes_mut(to, capacity)) };
    let sealed =
        transport::seal_batch(keypair, packet, out, mtu as usize, first as usize, max_segments as usize);
    let flags = u32::from(keypair.rekey_due())
        | u32::from(keypair.spent() || sealed.spent) << 1
        | u32::from(sealed.malformed) << 2;
    result([
        sealed.written as u32,
        sealed.stride as u32,
        sealed.segments as u32,
        sealed.total as u32,
        flags,
        sealed.ecn.into(),
    ]);
    sealed.segments as u32
}

/// How many packets a super-packet becomes; 1 if it could not be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packet_count(from: u32, length: u32) -> u32 {
    Segments::parse(unsafe { bytes(from, length) }).map_or(1, |segments| segments.count() as u32)
}

/// Seals an empty packet. Returns its length, or 0 if the counters are used up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seal_keepalive(slot: u32, to: u32) -> u32 {
    unsafe { transport::seal_keepalive(keypair(slot), &mut *(to as *mut [u8; OVERHEAD])) as u32 }
}

/// Opens datagrams in place. `flags`: 1 the outer header has "congestion experienced", 2 join TCP, 4 join UDP. Results:
/// packets, authenticated, keepalives, bytes authenticated, bad tags, replays, malformed, too short. Returns the number of
/// packets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open_batch(slot: u32, from: u32, length: u32, stride: u32, flags: u32) -> u32 {
    let (keypair, data) = unsafe { (keypair(slot), bytes_mut(from, length)) };
    let join = Join { tcp: flags & 2 != 0, udp: flags & 4 != 0 };
    // SAFETY: the module has one thread.
    let output = unsafe { (&raw mut OUTPUT).as_mut_unchecked() };
    tell(transport::open_batch(keypair, data, stride as usize, flags & 1 != 0, join, output))
}

fn tell(opened: Opened) -> u32 {
    result([
        opened.entries as u32,
        opened.authenticated as u32,
        opened.keepalives as u32,
        opened.wire_bytes as u32,
        opened.bad_tag as u32,
        opened.replayed as u32,
        opened.malformed as u32,
        opened.too_short as u32,
    ]);
    opened.entries as u32
}

/// Opens datagrams in place without checking a replay window. Returns how many are authentic.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn authenticate(slot: u32, from: u32, length: u32, stride: u32) -> u32 {
    // SAFETY: the module has one thread.
    let found = unsafe { (&raw mut FOUND).as_mut_unchecked() };
    unsafe { found.authenticate(&keypair(slot).receive_key, bytes_mut(from, length), stride as usize) as u32 }
}

/// Drops those opened by `authenticate` that the window at `window_address` has seen. Returns how many are left.
#[unsafe(no_mangle)]
pub extern "C" fn admit() -> u32 {
    // SAFETY: the module has one thread.
    unsafe { (&raw mut FOUND).as_mut_unchecked().admit((&raw mut SEEN).as_mut_unchecked()) as u32 }
}

/// Joins the packets that `admit` left. Parameters, results and lists are the same as those of `open_batch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn join_batch(from: u32, length: u32, flags: u32) -> u32 {
    let join = Join { tcp: flags & 2 != 0, udp: flags & 4 != 0 };
    // SAFETY: the module has one thread.
    let (found, output) =
        unsafe { ((&raw const FOUND).as_ref_unchecked(), (&raw mut OUTPUT).as_mut_unchecked()) };
    tell(found.join(unsafe { bytes_mut(from, length) }, flags & 1 != 0, join, output))
}

/// Undoes the joining of a packet in `open_batch`'s list: each of its parts becomes a packet again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn separate(from: u32, length: u32, packet: u32) {
    // SAFETY: the module has one thread.
    let (data, output) = unsafe { (bytes_mut(from, length), (&raw mut OUTPUT).as_mut_unchecked()) };
    let entry = output.entries[packet as usize];
    joining::separate(data, &mut output.parts[entry.first..entry.first + entry.count]);
}
