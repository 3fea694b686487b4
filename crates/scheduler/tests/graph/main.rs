//! The graph alone: loading, refusing, changing, ranking, importing.

mod change;
mod load;
mod wfformat;
