//! Argon2id (RFC 9106) by RustCrypto. `wasm/argon2id.ts` gives it types.

use argon2::{Algorithm, Argon2, Block, ParamsBuilder, Version};
use zeroize::Zeroize;

/// Bytes of all inputs together, and of the result.
const BUFFER: usize = 4_096;

static mut ARGUMENTS: [u8; BUFFER] = [0; BUFFER];

/// Here the caller writes password, salt, secret and associated data, one after the other. The result replaces them.
#[unsafe(no_mangle)]
pub extern "C" fn arguments_address() -> u32 {
    (&raw const ARGUMENTS) as usize as u32
}

/// The most bytes that all inputs together may have.
#[unsafe(no_mangle)]
pub extern "C" fn arguments_capacity() -> u32 {
    BUFFER as u32
}

/// Hashes the inputs. Writes `tag` bytes over them and wipes the rest.
///
/// Returns 0, or 1 if RFC 9106 does not allow a length or a cost, or 2 if there is not enough memory.
#[unsafe(no_mangle)]
pub extern "C" fn argon2id(
    password: u32,
    salt: u32,
    secret: u32,
    data: u32,
    memory: u32,
    passes: u32,
    lanes: u32,
    tag: u32,
) -> u32 {
    // SAFETY: the module has one thread, and nothing else holds the buffer during a call.
    let buffer = unsafe { core::slice::from_raw_parts_mut((&raw mut ARGUMENTS).cast::<u8>(), BUFFER) };
    let lengths = [password, salt, secret, data].map(|length| length as usize);
    if lengths.iter().sum::<usize>() > BUFFER || tag as usize > BUFFER {
        return 1;
    }
    let mut out = [0; BUFFER];
    let result = hash(buffer, lengths, [memory, passes, lanes], &mut out[..tag as usize]);
    buffer.zeroize();
    buffer[..tag as usize].copy_from_slice(&out[..tag as usize]);
    match result {
        Ok(()) => 0,
        Err(Failure::Refused) => 1,
        Err(Failure::Memory) => 2,
    }
}

enum Failure {
    Refused,
    Memory,
}

impl From<argon2::Error> for Failure {
    fn from(_: argon2::Error) -> Self {
        Failure::Refused
    }
}

fn hash(input: &[u8], lengths: [usize; 4], costs: [u32; 3], out: &mut [u8]) -> Result<(), Failure> {
    let (password, rest) = input.split_at(lengths[0]);
    let (salt, rest) = rest.split_at(lengths[1]);
    let (secret, rest) = rest.split_at(lengths[2]);
    let data = argon2::AssociatedData::new(&rest[..lengths[3]])?;
    let [memory, passes, lanes] = costs;
    let params = ParamsBuilder::new()
        .m_cost(memory)
        .t_cost(passes)
        .p_cost(lanes)
        .output_len(out.len())
        .data(data)
        .build()?;
    let mut blocks: Vec<Block> = Vec::new();
    blocks.try_reserve_exact(params.block_count()).map_err(|_| Failure::Memory)?;
    blocks.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params)?;
    let result = argon2.hash_password_into_with_memory(password, salt, out, &mut blocks);
    blocks.iter_mut().for_each(Zeroize::zeroize);
    Ok(result?)
}
