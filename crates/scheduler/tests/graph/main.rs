//! The graph alone: loading, refusing, changing, ranking, importing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod change;
mod load;
mod wfformat;
