//! Which agent takes a task. See [`quorate_benches::placement`].

use quorate_benches::placement::{CONDITIONS, Office, SIZES, Way};
use quorate_benches::report::{Row, publish};
use quorate_benches::rounds::interleaved;

fn main() -> std::io::Result<()> {
    let mut rows = Vec::new();
    for agents in SIZES {
        let office = Office::new(agents);
        for way in Way::ALL {
            let looks = if way == Way::RoundRobin { 100_000 } else { (20_000_000 / agents).min(100_000) };
            let spreads =
                interleaved(7, &mut [&mut || way.ours(&office, 100_000), &mut || way.scan(&office, looks)]);
            let name = format!("{}, {agents} agents", way.name());
            let (ours, peer) = (spreads[0].median, spreads[1].median);
            rows.push(Row::new(name, ours, "a look at every agent", peer, CONDITIONS));
        }
    }
    publish("placement", &rows)
}
