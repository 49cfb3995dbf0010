//! The fingerprint of a label set as Alertmanager prints it.

use sonde_model::Labels;

/// FNV-1a over names and values in order, each followed by the byte 255 (`LabelSet.Fingerprint` of prometheus/common).
///
/// Good for showing and for finding again, not for identity: compare labels where it matters.
pub fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    for (name, value) in labels.iter() {
        name.bytes().for_each(&mut add);
        add(255);
        value.bytes().for_each(&mut add);
        add(255);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set and its value are from the tests of prometheus/common, `model/signature_test.go`.
    #[test]
    fn it_is_that_of_prometheus() {
        let labels = Labels::from_pairs([("name", "garland, briggs"), ("fear", "love is not enough")]);
        assert_eq!(fingerprint(&labels), 5_799_056_148_416_392_346);
        assert_eq!(fingerprint(&Labels::empty()), 0xcbf2_9ce4_8422_2325);
    }

    #[test]
    fn sets_that_join_to_one_text_differ() {
        let one = Labels::from_pairs([("a", "bc")]);
        let other = Labels::from_pairs([("ab", "c")]);
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}
