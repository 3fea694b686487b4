//! Rounds: contenders take turns, so that a slow minute of the machine hits all of them, and the median of each
//! is quoted.

/// What one contender's rounds came to.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The middle round.
    pub median: f64,
    /// The fastest round.
    pub least: f64,
    /// The slowest round.
    pub most: f64,
}

impl Spread {
    /// Of at least one round.
    pub fn of(mut rounds: Vec<f64>) -> Spread {
        assert!(!rounds.is_empty(), "nothing was measured");
        rounds.sort_by(f64::total_cmp);
        Spread { median: rounds[rounds.len() / 2], least: rounds[0], most: rounds[rounds.len() - 1] }
    }
}

/// Runs every contender once a round, in order, `rounds` times. A contender answers with its figure.
pub fn interleaved(rounds: usize, contenders: &mut [&mut dyn FnMut() -> f64]) -> Vec<Spread> {
    let mut figures = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
            figures.push(contender());
        }
    }
    figures.into_iter().map(Spread::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_take_turns_and_the_middle_round_is_quoted() {
        let order = std::cell::RefCell::new(Vec::new());
        let mut next = [5.0, 1.0, 9.0].into_iter();
        let mut a = || {
            order.borrow_mut().push('a');
            next.next().unwrap()
        };
        let mut b = || {
            order.borrow_mut().push('b');
            2.0
        };
        let spreads = interleaved(3, &mut [&mut a, &mut b]);
        assert_eq!(spreads[0], Spread { median: 5.0, least: 1.0, most: 9.0 });
        assert_eq!(spreads[1].median, 2.0);
        assert_eq!(*order.borrow(), ['a', 'b', 'a', 'b', 'a', 'b']);
    }
}
