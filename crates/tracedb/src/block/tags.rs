//! The keys and values of a block.

use super::columns::{self as c};
use super::group::value_at;
use super::page::{Page, Values};
use super::reader::{Block, Caching};
use crate::Error;
use crate::codec::DecodeError;
use crate::codec::raw::{RawValue, visit_attributes, visit_event_attributes, visit_link_attributes};
use crate::query::{TagScope, Target};
use crate::tags::Values as Found;

impl Block {
    /// Visits the keys of all scopes.
    pub(crate) fn tag_names(&self, see: &mut dyn FnMut(TagScope, &str)) {
        let tables = &self.tables;
        tables.resources.iter().flat_map(|r| &r.attributes).for_each(|(key, _)| see(TagScope::Resource, key));
        tables.scopes.iter().flat_map(|s| &s.attributes).for_each(|(key, _)| see(TagScope::Instrumentation, key));
        tables.columns.iter().for_each(|column| see(TagScope::Span, &column.key));
        for (scope, keys) in [TagScope::Span, TagScope::Event, TagScope::Link].into_iter().zip(&tables.loose_keys) {
            keys.iter().for_each(|key| see(scope, key));
        }
    }

    /// Visits the values of an attribute, of the names or of the status messages until there are enough.
    pub(crate) fn tag_values(&self, target: &Target, found: &mut Found) -> Result<(), Error> {
        let (scope, key) = match target {
            Target::Attribute(scope, key) => (*scope, &**key),
            Target::Name => return self.column_values(&[c::NAME], found),
            Target::StatusMessage => return self.column_values(&[c::STATUS_MESSAGE], found),
            Target::Duration | Target::Status | Target::Kind => return Ok(()),
        };
        let tables = &self.tables;
        if matches!(scope, TagScope::Any | TagScope::Resource) {
            tables.resources.iter().for_each(|r| found.see_key(&r.attributes, key));
        }
        if scope == TagScope::Instrumentation {
            tables.scopes.iter().for_each(|s| found.see_key(&s.attributes, key));
        }
        if matches!(scope, TagScope::Any | TagScope::Span) {
            let of_key = tables.columns.iter().zip(c::FIRST_ATTRIBUTE..).filter(|(column, _)| &*column.key == key);
            self.column_values(&of_key.map(|(_, number)| number).collect::<Vec<_>>(), found)?;
        }
        let pieces = match scope {
            TagScope::Any | TagScope::Span => c::LOOSE_ATTRIBUTES,
            TagScope::Event => c::EVENTS,
            TagScope::Link => c::LINKS,
            TagScope::Resource | TagScope::Instrumentation => return Ok(()),
        };
        for group in &tables.groups {
            if found.is_full() {
                break;
            }
            if let Some(page) = self.column(group, pieces, Caching::Keep)? {
                see_pieces(&page, scope, key, found).map_err(|e| self.undecodable(e))?;
            }
        }
        Ok(())
    }

    fn column_values(&self, columns: &[u32], found: &mut Found) -> Result<(), Error> {
        for column in columns {
            let of = self.tables.columns.get((*column as usize).wrapping_sub(c::FIRST_ATTRIBUTE as usize));
            for group in &self.tables.groups {
                if found.is_full() {
                    return Ok(());
                }
                let Some(page) = self.column(group, *column, Caching::Keep)? else { continue };
                let seen = match (&page.values, of) {
                    (Values::Texts(_, texts), _) => (1..texts.len() as u32)
                        .try_for_each(|id| texts.get(id).map(|text| found.see(&RawValue::String(text)))),
                    (_, Some(of)) => {
                        let mut seen = Ok(());
                        page.visit_rows(|_, at| match value_at(&page, of.of, at) {
                            Ok(value) => found.see(&RawValue::of(&value)),
                            Err(error) => seen = Err(error),
                        });
                        seen
                    }
                    _ => Ok(()),
                };
                seen.map_err(|e| self.undecodable(e))?;
            }
        }
        Ok(())
    }
}

fn see_pieces(page: &Page, scope: TagScope, key: &str, found: &mut Found) -> Result<(), DecodeError> {
    let Values::Pieces { texts, .. } = &page.values else { return Ok(()) };
    let Some(number) = texts.find(key) else { return Ok(()) };
    let mut seen = Ok(());
    page.visit_rows(|_, at| {
        let mut see = |key: u32, value: RawValue<'_>| {
            if key == number {
                found.see(&value);
            }
        };
        let visited = page.piece_at(at).and_then(|(mut reader, texts)| match scope {
            TagScope::Event => visit_event_attributes(&mut reader, texts, &mut see),
            TagScope::Link => visit_link_attributes(&mut reader, texts, &mut see),
            _ => visit_attributes(&mut reader, texts, &mut see),
        });
        if let Err(error) = visited {
            seen = Err(error);
        }
    });
    seen
}
