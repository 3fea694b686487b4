//! The words of commands: nodes, times, roads.

use quorate_core::NodeId;
use std::time::Duration;

pub type Done = Result<(), String>;

pub fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

pub fn id(word: &str) -> Result<NodeId, String> {
    number(word).map(NodeId)
}

pub fn ids(words: &[&str]) -> Result<Vec<NodeId>, String> {
    words.iter().map(|word| id(word)).collect()
}

pub fn duration(word: &str) -> Result<Duration, String> {
    let ms = word.strip_suffix("ms").ok_or_else(|| format!("`{word}` is no time in ms"))?;
    number(ms).map(Duration::from_millis)
}

/// `1->2`, with `*` for anybody, and `:n` behind it for the first n messages only.
pub struct Road {
    pub from: Option<NodeId>,
    pub to: Option<NodeId>,
    pub left: u64,
}

pub fn roads(words: &[&str]) -> Result<Vec<Road>, String> {
    let end = |word: &str| if word == "*" { Ok(None) } else { id(word).map(Some) };
    let road = |word: &&str| {
        let (road, left) =
            word.split_once(':').map_or(Ok((*word, u64::MAX)), |(r, n)| number(n).map(|n| (r, n)))?;
        let (from, to) = road.split_once("->").ok_or_else(|| format!("`{road}` is no road"))?;
        Ok(Road { from: end(from)?, to: end(to)?, left })
    };
    match words {
        [] => Ok(vec![Road { from: None, to: None, left: u64::MAX }]),
        words => words.iter().map(road).collect(),
    }
}
