//! Memory for decompressed bodies that is used again: it has to be filled with zeros once, not with each request.

use parking_lot::Mutex;

/// Buffers that are kept. As many requests are rarely decoded at one time.
const KEPT: usize = 4;

/// Larger ones are given back.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// The buffers that wait.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Works with a buffer, whose content is left over from the work before.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut buffer = self.0.lock().pop().unwrap_or_default();
        let result = work(&mut buffer);
        if buffer.capacity() <= MAX_KEPT_BYTES {
            let mut waiting = self.0.lock();
            if waiting.len() < KEPT {
                waiting.push(buffer);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ones_come_again_and_large_ones_go() {
        let buffers = Buffers::default();
        buffers.with(|buffer| buffer.resize(1_000, 7));
        assert_eq!(buffers.with(|buffer| (buffer.len(), buffer.capacity() >= 1_000)), (1_000, true));
        buffers.with(|buffer| buffer.resize(MAX_KEPT_BYTES + 1, 0));
        assert_eq!(buffers.with(|buffer| buffer.capacity()), 0);
    }
}
