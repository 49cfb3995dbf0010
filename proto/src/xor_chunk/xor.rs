//! A float as what differs, bit for bit, from the one before it.

use super::bits::{BitReader, BitWriter, OutOfBits};

/// The value before, and the window of bits that was last written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xor {
    value: u64,
    /// Zeros before and behind the window; `None` before the first one.
    window: Option<(u32, u32)>,
}

impl Xor {
    /// After a first value, which is written in full.
    pub(super) fn after(value: f64) -> Self {
        Xor { value: value.to_bits(), window: None }
    }

    pub(super) fn write(&mut self, out: &mut BitWriter, value: f64) {
        let differs = value.to_bits() ^ self.value;
        self.value = value.to_bits();
        out.bit(differs != 0);
        if differs == 0 {
            return;
        }
        // Five bits hold no more than 31.
        let (leading, trailing) = (differs.leading_zeros().min(31), differs.trailing_zeros());
        if let Some((l, t)) = self.window
            && leading >= l
            && trailing >= t
        {
            out.bit(false);
            out.bits(differs >> t, 64 - l - t);
            return;
        }
        self.window = Some((leading, trailing));
        out.bit(true);
        out.bits(u64::from(leading), 5);
        // 64 significant bits are written as 0, because six bits do not hold 64.
        let significant = 64 - leading - trailing;
        out.bits(u64::from(significant), 6);
        out.bits(differs >> trailing, significant);
    }

    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Result<f64, OutOfBits> {
        if bits.bit()? {
            let (leading, trailing) = if bits.bit()? {
                let leading = bits.bits(5)? as u32;
                let significant = match bits.bits(6)? as u32 {
                    0 => 64,
                    n => n,
                };
                let trailing = 64u32.checked_sub(leading + significant).ok_or(OutOfBits)?;
                *self.window.insert((leading, trailing))
            } else {
                self.window.unwrap_or_default()
            };
            self.value ^= bits.bits(64 - leading - trailing)? << trailing;
        }
        Ok(f64::from_bits(self.value))
    }
}
