//! Sequence numbers. In segments they have 32 bits and wrap around. Here, a stream's bytes are counted from 0 with 64 bits.

/// A 32-bit sequence number, compared modulo 2^32 (RFC 9293 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seq(pub u32);

impl Seq {
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes as u32))
    }

    /// Distance from `other` to this one; negative if this one is older.
    pub fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

/// Turns the sequence numbers of one direction into stream offsets.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The sequence number of byte 0: one after the SYN.
    pub first: Seq,
}

impl Origin {
    pub fn seq(&self, offset: u64) -> Seq {
        self.first.plus(offset)
    }

    /// The offset of a sequence number that is within 2^31 of `near`. Negative before the stream's first byte.
    pub fn offset(&self, seq: Seq, near: u64) -> i64 {
        near as i64 + i64::from(seq.since(self.seq(near)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_survive_every_wrap() {
        let origin = Origin { first: Seq(0xffff_fff0) };
        for near in [0u64, 15, 16, 17, 0xffff_ffff, 0x1_0000_0000, 0x5_1234_5678] {
            for distance in [-70_000i64, -1, 0, 1, 70_000, 0x7fff_ffff] {
                let offset = near as i64 + distance;
                if offset >= 0 {
                    assert_eq!(origin.offset(origin.seq(offset as u64), near), offset);
                }
            }
        }
        assert_eq!(origin.offset(Seq(0xffff_ffef), 0), -1);
    }
}
