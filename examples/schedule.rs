//! The task graph alone, without any cluster: closures in this process, with a retry, a fallback, and the answer to
//! "why does this not run?".

use quorate::work::graph::Retry;
use quorate::work::{Local, TaskSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut tries = 0;
    let mut local = Local::new();
    local.task(TaskSpec::new("cook").after(["chop", "water"]), |inputs| {
        let with = inputs.get("chop").unwrap_or_default();
        Ok([with, b" soup"].concat())
    });
    local.task(TaskSpec::new("chop").after(["market"]), |_| Ok(b"vegetable".to_vec()));
    local.task(TaskSpec::new("water").retry(Retry { retries_max: 3, ..Retry::default() }), |_| {
        tries += 1;
        if tries < 3 { Err("the tap is stuck".into()) } else { Ok(Vec::new()) }
    });
    local
        .task(TaskSpec::new("market").fallback("garden").retry(Retry::NEVER), |_| Err("it is closed".into()));
    local.task(TaskSpec::new("garden"), |_| Ok(Vec::new()));

    let done = local.run()?;
    for task in done.graph().topological_order() {
        let output = done.output(task).map(String::from_utf8_lossy).unwrap_or_default();
        println!("{:<8} {:?} {output}", done.graph().name(task), done.state(task));
    }
    println!("\n{:?}\n\n{}", done.counts(), done.graph().to_dot("dinner"));
    Ok(())
}
