//! Resources and scopes of a block, each once.

use std::collections::HashMap;
use std::sync::Arc;

use super::cells::piece;
use crate::codec::text::Interner;

/// Resources or scopes, each once.
#[derive(Debug)]
pub(super) struct Table<T> {
    pub(super) list: Vec<Arc<T>>,
    /// By address; the value keeps what lies there alive, so that no other can take its place.
    by_address: HashMap<usize, (Arc<T>, u64), foldhash::fast::RandomState>,
    by_content: HashMap<Vec<u8>, u64, foldhash::fast::RandomState>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { list: Vec::new(), by_address: HashMap::default(), by_content: HashMap::default() }
    }
}

impl<T> Table<T> {
    /// The number of a value.
    pub(super) fn id<'a>(&mut self, value: &'a Arc<T>, put: fn(&mut Vec<u8>, &mut Interner<'a>, &'a T)) -> u64 {
        let address = Arc::as_ptr(value) as usize;
        if let Some((_, id)) = self.by_address.get(&address) {
            return *id;
        }
        let mut texts = Interner::new();
        let mut content = piece(|out| put(out, &mut texts, value));
        texts.finish(&mut content);
        let next = self.list.len() as u64;
        let id = *self.by_content.entry(content).or_insert(next);
        if id == next {
            self.list.push(Arc::clone(value));
        }
        self.by_address.insert(address, (Arc::clone(value), id));
        id
    }
}
