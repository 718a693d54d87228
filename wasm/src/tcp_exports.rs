//! The module's functions for TCP in userspace. Only `tcp.ts` calls them.
//!
//! A stack is an address that `tcp_new` returned. Times are microseconds; a 64-bit float is exact for 285 years.

use crate::exports::{bytes, bytes_mut, result};
use crate::tcp::seq::Seq;
use crate::tcp::stack::{Refused, Stack};
use crate::tcp::wire::{Address, Endpoint, Tuple};

/// Bytes of a 4-tuple in memory: both addresses with 16 bytes each, remote first, and both ports in little-endian order.
const TUPLE: u32 = 36;

unsafe fn stack<'a>(at: u32) -> &'a mut Stack {
    unsafe { &mut *(at as *mut Stack) }
}

unsafe fn address(at: u32, v6: bool) -> Address {
    unsafe {
        if v6 {
            Address::V6(bytes(at, 16).try_into().expect("sixteen bytes"))
        } else {
            Address::V4(bytes(at, 4).try_into().expect("four bytes"))
        }
    }
}

unsafe fn tuple(at: u32, v6: bool) -> Tuple {
    unsafe {
        let ports = bytes(at + 32, 4);
        Tuple {
            remote: Endpoint { address: address(at, v6), port: u16::from_le_bytes([ports[0], ports[1]]) },
            local: Endpoint { address: address(at + 16, v6), port: u16::from_le_bytes([ports[2], ports[3]]) },
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_new(secret: u32, mtu: u32, memory: u32, connections: u32) -> u32 {
    let secret = unsafe { bytes(secret, 32) }.try_into().expect("32 bytes");
    Box::into_raw(Box::new(Stack::new(secret, mtu.into(), memory as usize, connections as usize))) as u32
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_free(at: u32) {
    unsafe { drop(Box::from_raw(at as *mut Stack)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_add_address(at: u32, address_at: u32, v6: u32) {
    unsafe { stack(at).add_address(address(address_at, v6 != 0)) }
}

/// Handles a packet that consists of `count` parts: pairs of an offset from `origin` and a length, as `open_batch` lists
/// them. The first has a virtio header of `skip` bytes. Returns whether it was a segment for this host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_receive(
    at: u32,
    origin: u32,
    parts: u32,
    count: u32,
    skip: u32,
    summed: u32,
    now: f64,
) -> u32 {
    unsafe {
        let pairs = core::slice::from_raw_parts(parts as *const [u32; 2], count as usize);
        let part = |&[offset, length]: &[u32; 2]| bytes(origin + offset, length);
        let Some((first, rest)) = pairs.split_first() else { return 0 };
        let more: Vec<&[u8]> = rest.iter().map(part).collect();
        let Some(packet) = part(first).get(skip as usize..) else { return 0 };
        stack(at).receive(packet, &more, summed != 0, now as u64).into()
    }
}

/// Writes the next packet, beginning with its virtio header. `to` has space for 65,545 bytes. Returns its bytes, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_transmit(at: u32, to: u32, capacity: u32, now: f64) -> u32 {
    unsafe { stack(at).transmit(bytes_mut(to, capacity), now as u64) as u32 }
}

/// Returns a connection's name, or 1: in use, 2: too many, 3: unusable addresses. Names are larger numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_connect(at: u32, tuple_at: u32, v6: u32, now: f64) -> u32 {
    match unsafe { stack(at).connect(tuple(tuple_at, v6 != 0), now as u64) } {
        Ok(id) => id,
        Err(Refused::InUse) => 1,
        Err(Refused::TooMany) => 2,
        Err(Refused::Unusable) => 3,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_listen(at: u32, port: u32) -> u32 {
    unsafe { stack(at).listen(port as u16).into() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_unlisten(at: u32, port: u32) {
    unsafe { stack(at).unlisten(port as u16) }
}

/// Returns the next open connection to a port, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_accept(at: u32, port: u32) -> u32 {
    unsafe { stack(at).accept(port as u16).unwrap_or(0) }
}

/// Result: the address of the next bytes to read. Returns their number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_peek(at: u32, id: u32) -> u32 {
    let Some(connection) = (unsafe { stack(at).get(id) }) else { return 0 };
    let piece = connection.peek();
    result([piece.as_ptr() as u32]);
    piece.len() as u32
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_consume(at: u32, id: u32, length: u32, now: f64) {
    let now = now as u64;
    unsafe { stack(at).with(id, |connection, shared| connection.consume(length.into(), shared, now)) };
}

/// Result: where bytes to send may be written. Returns how many fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_reserve(at: u32, id: u32) -> u32 {
    let room = unsafe {
        stack(at).with(id, |connection, shared| {
            let room = connection.reserve(shared);
            (room.as_ptr() as u32, room.len() as u32)
        })
    };
    let (address, length) = room.unwrap_or((0, 0));
    result([address]);
    length
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_commit(at: u32, id: u32, length: u32) {
    unsafe { stack(at).with(id, |connection, _| connection.commit(length.into())) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_finish(at: u32, id: u32) {
    unsafe { stack(at).with(id, |connection, _| connection.finish()) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_keep_alive(at: u32, id: u32, on: u32) {
    unsafe { stack(at).with(id, |connection, _| connection.keep_alive(on != 0)) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_abort(at: u32, id: u32) {
    unsafe { stack(at).with(id, |connection, _| connection.abort()) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_release(at: u32, id: u32, now: f64) {
    unsafe { stack(at).release(id, now as u64) }
}

/// Results: state, failure or 0, bytes to read, bytes that may be written, whether everything was read, whether everything
/// that was written is acknowledged. Returns 0 if there is no such connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_state(at: u32, id: u32) -> u32 {
    let Some(connection) = (unsafe { stack(at).get(id) }) else { return 0 };
    result([
        connection.state() as u32,
        connection.failure().map_or(0, |failure| failure as u32),
        connection.readable() as u32,
        connection.writable() as u32,
        connection.at_end().into(),
        connection.is_flushed().into(),
    ]);
    1
}

/// Writes a connection's 4-tuple. Returns 4 or 6, or 0 if there is no such connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_endpoints(at: u32, id: u32, to: u32) -> u32 {
    let Some(connection) = (unsafe { stack(at).get(id) }) else { return 0 };
    let out = unsafe { bytes_mut(to, TUPLE) };
    let Tuple { remote, local } = connection.tuple;
    for (offset, port, endpoint) in [(0, 32, remote), (16, 34, local)] {
        match endpoint.address {
            Address::V4(address) => out[offset..offset + 4].copy_from_slice(&address),
            Address::V6(address) => out[offset..offset + 16].copy_from_slice(&address),
        }
        out[port..port + 2].copy_from_slice(&endpoint.port.to_le_bytes());
    }
    if local.address.is_v4() { 4 } else { 6 }
}

/// Result: the events (bits of `connection`). Returns the name of the connection, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_event(at: u32) -> u32 {
    let (id, events) = unsafe { stack(at).event() }.unwrap_or((0, 0));
    result([events]);
    id
}

/// When to call `tcp_expire` next; infinity for never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_deadline(at: u32) -> f64 {
    match unsafe { stack(at).deadline() } {
        u64::MAX => f64::INFINITY,
        deadline => deadline as f64,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_expire(at: u32, now: f64) {
    unsafe { stack(at).expire(now as u64) }
}

/// An ICMP error quotes a segment that we sent. `mtu` is 0 unless the packet was too long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_icmp(at: u32, tuple_at: u32, v6: u32, seq: u32, mtu: u32, now: f64) {
    let mtu = (mtu > 0).then_some(u64::from(mtu));
    unsafe { stack(at).icmp(&tuple(tuple_at, v6 != 0), Seq(seq), mtu, now as u64) }
}

/// Results: connections, bytes in buffers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_usage(at: u32) {
    let stack = unsafe { stack(at) };
    result([stack.len() as u32, stack.memory() as u32]);
}
