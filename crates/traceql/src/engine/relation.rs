//! Which spans stand in a relation to others: the structural operators.

use crate::ast::{Relation, StructuralMode};
use crate::engine::view::View;

/// Applies a structural operator to two sets of spans of one trace, each sorted.
pub(crate) fn apply(
    view: &View<'_>,
    relation: Relation,
    mode: StructuralMode,
    left: &[usize],
    right: &[usize],
) -> Vec<usize> {
    // What no root leads to stands in no relation, not even in a negated one.
    let known = |i: &&usize| view.sets[**i].left > 0;
    let left: Vec<usize> = left.iter().filter(known).copied().collect();
    let right: Vec<usize> = right.iter().filter(known).copied().collect();
    let related = |i: &usize| stands(view, relation, *i, &left);
    match mode {
        StructuralMode::Plain => right.into_iter().filter(|i| related(i)).collect(),
        StructuralMode::Negated => right.into_iter().filter(|i| !related(i)).collect(),
        StructuralMode::Union => {
            let inverse = inverse(relation);
            let from_left = left.iter().filter(|i| stands(view, inverse, **i, &right)).copied();
            let mut all: Vec<usize> = from_left.chain(right.iter().filter(|i| related(i)).copied()).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
    }
}

/// Whether span `i` is the relation (a child, a descendant, ...) of some span of `others`.
fn stands(view: &View<'_>, relation: Relation, i: usize, others: &[usize]) -> bool {
    let set = view.sets[i];
    others.iter().any(|other| {
        let of = view.sets[*other];
        match relation {
            Relation::Child => set.parent == of.left,
            Relation::Parent => of.parent == set.left,
            Relation::Descendant => set.left > of.left && set.right < of.right,
            Relation::Ancestor => of.left > set.left && of.right < set.right,
            Relation::Sibling => *other != i && set.parent == of.parent && set.parent != 0,
        }
    })
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}
