//! How the series of the two sides of a binary operation find each other.

/// How many series of a side may meet how many of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// Each series meets at most one.
    #[default]
    OneToOne,
    /// `group_left`: many on the left meet one on the right.
    ManyToOne,
    /// `group_right`: one on the left meets many on the right.
    OneToMany,
    /// The set operators.
    ManyToMany,
}

/// The clauses `on`, `ignoring`, `group_left`, `group_right` and `fill`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many may meet.
    pub cardinality: Cardinality,
    /// Whether `labels` are those compared (`on`) or those left out (`ignoring`, also when nothing was written).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels of `group_left` or `group_right`: copied from the side of the one.
    pub include: Vec<String>,
    /// The values that stand in for series that meet none.
    pub fill: Fill,
}

/// The values that stand in for a missing series of a side (experimental).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fill {
    /// For a series missing on the left.
    pub left: Option<f64>,
    /// For a series missing on the right.
    pub right: Option<f64>,
}
