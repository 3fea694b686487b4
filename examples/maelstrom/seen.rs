//! Which requests came before. A network may bring one twice, and a no that is meant for ever must not be followed by the
//! second copy's yes; so each is taken once, and answered once.

use std::collections::BTreeMap;

/// Clients that are remembered; beyond it the one that was silent longest is forgotten (guess: more than a test has).
const CLIENTS_MAX: usize = 10_000;

/// The last number of each client, and when it came. Numbers of one client grow.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    clients: BTreeMap<String, (u64, u64)>,
    turn: u64,
}

impl Seen {
    /// Whether this is the first of its number, and no later one of its client came before.
    pub(crate) fn is_new(&mut self, client: &str, number: u64) -> bool {
        if self.clients.get(client).is_some_and(|(last, _)| *last >= number) {
            return false;
        }
        self.turn += 1;
        self.clients.insert(client.to_owned(), (number, self.turn));
        if self.clients.len() > CLIENTS_MAX {
            let silent =
                self.clients.iter().min_by_key(|(_, (_, turn))| *turn).map(|(client, _)| client.clone());
            silent.and_then(|client| self.clients.remove(&client));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_new_once_and_the_client_that_was_silent_longest_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.is_new("c1", 1) && seen.is_new("c2", 1));
        assert!(!seen.is_new("c1", 1));
        assert!(seen.is_new("c1", 3) && !seen.is_new("c1", 2));
        (0..CLIENTS_MAX - 1).for_each(|n| assert!(seen.is_new(&format!("d{n}"), 1)));
        assert_eq!(seen.clients.len(), CLIENTS_MAX);
        assert!(!seen.is_new("c1", 3), "c2 was silent longer");
        assert!(seen.is_new("c2", 1));
    }
}
