//! One run of the swarm, from the workflow to the figures.

use super::cluster::{Cluster, Coordinator, Worker};
use super::faults::Plan;
use super::figures::Figures;
use super::options::Options;
use super::story::{Story, Told};
use super::timeline::{AgentLane, Timeline};
use super::{page, sample};
use quorate::NodeStatus;
use quorate::work::engine::{Audit, Command, Counts, EVENTS_KEPT, Event, Reply};
use quorate::work::graph::wfformat::{self, Workflow};
use quorate::work::run_sequential;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How it ended.
pub struct Ended {
    /// The figures.
    pub figures: Figures,
    /// The table for people.
    pub rows: Vec<(String, String)>,
    /// Where the page is.
    pub page: PathBuf,
}

/// The work takes at least this long in calm unless a speed-up is given.
const CALM_S: f64 = 8.0;
/// A run that takes longer has lost something.
const PATIENCE: Duration = Duration::from_secs(300);
/// So often the books are looked at: a makespan is known to within this.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads and checks the workflow, before anything starts. The error names file, place and tasks.
pub fn workflow(options: &Options) -> Result<Workflow, String> {
    let (name, text) = match &options.workflow {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
            (path.display().to_string(), text)
        }
        None => ("the sample".to_owned(), sample::workflow(options.seed).to_string()),
    };
    let workflow = wfformat::read(&name, &text).map_err(|why| why.to_string())?;
    if workflow.graph.is_empty() {
        return Err(format!("{name}: there are no tasks in it"));
    }
    Ok(workflow)
}

/// What one coordinator's books say.
struct Books {
    counts: Counts,
    audit: Audit,
    digest: u64,
    open: u32,
}

/// Runs it. `stop` ends it early, in order.
pub fn run(options: &Options, workflow: &Workflow, stop: &Arc<AtomicBool>) -> std::io::Result<Ended> {
    let critical_s = workflow.graph.critical_path().length_ms as f64 / 1000.0;
    let least_s = critical_s.max(work_s(workflow) / options.agents as f64);
    let speedup = options.speedup.unwrap_or((least_s / CALM_S).max(0.001));
    let story = Story::begin();
    let journals = tempfile::tempdir()?;
    println!(
        "{}: {} tasks, critical path {critical_s:.0} s, run {speedup:.1} times faster, by {} agents under {} coordinators",
        workflow.name,
        workflow.graph.len(),
        options.agents,
        options.nodes
    );
    let mut cluster = Cluster::start(options, journals.path().to_owned(), speedup, story.clone())?;
    submit(&cluster, workflow, stop)?;
    let mut plan = Plan::draw(options.faults, options.agents, options.seed, least_s / speedup);
    let course = drive(&mut cluster, &mut plan, workflow, &story, stop)?;
    let mut figures = Figures {
        workflow: workflow.name.clone(),
        seed: options.seed,
        makespan_s: course.makespan_s,
        interrupted: course.interrupted,
        ..Figures::default()
    };
    settle(&cluster, workflow, &mut figures);
    let committed = committed(&cluster);
    let mut nodes: Vec<NodeStatus> = std::mem::take(&mut plan.killed);
    let running =
        cluster.coordinators.values().map(|c| &c.running).chain(cluster.workers.iter().map(|w| &w.running));
    nodes.extend(running.map(|running| running.status()));
    let agents = lanes(&cluster);
    stop_all(cluster);
    let mut told = story.end();
    told.judge(&committed);
    figures.times(&told, &nodes, course.commits_ms);
    let rows = figures.rows(&told);
    let page = write_page(options, &figures, told, agents, course.over_ms)?;
    Ok(Ended { figures, rows, page })
}

/// What the agents have to do all together, in traced seconds.
fn work_s(workflow: &Workflow) -> f64 {
    workflow.graph.tasks().map(|task| f64::from(workflow.graph.expected_ms(task)) / 1000.0).sum()
}

/// How the work went.
struct Course {
    makespan_s: f64,
    /// When it was over, by the story's clock.
    over_ms: f64,
    interrupted: bool,
    commits_ms: Vec<f64>,
}

/// Lets faults happen until the work is done and everything is put right, or until nobody wants to wait any more.
fn drive(
    cluster: &mut Cluster,
    plan: &mut Plan,
    workflow: &Workflow,
    story: &Story,
    stop: &AtomicBool,
) -> std::io::Result<Course> {
    let begun = Instant::now();
    let mut commits_ms = Vec::new();
    let mut makespan = None;
    let mut looked = begun;
    loop {
        let over = makespan.is_some() && plan.is_over();
        if over || stop.load(Ordering::Relaxed) || begun.elapsed() >= PATIENCE {
            break;
        }
        plan.act(begun.elapsed().as_secs_f64(), cluster, story, makespan.is_some())?;
        probe(cluster, &mut commits_ms);
        if makespan.is_none() && looked.elapsed() > LOOK_EVERY {
            looked = Instant::now();
            makespan = look(cluster, workflow, story).then(|| (begun.elapsed(), story.now_ms()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = makespan.is_none() && stop.load(Ordering::Relaxed);
    let (makespan, over_ms) = makespan.unwrap_or_else(|| (begun.elapsed(), story.now_ms()));
    Ok(Course { makespan_s: makespan.as_secs_f64(), over_ms, interrupted, commits_ms })
}

/// Shows how far the work is; true if it is done.
fn look(cluster: &Cluster, workflow: &Workflow, story: &Story) -> bool {
    let Some(books) = books(cluster).into_iter().max_by_key(|books| books.counts.committed) else {
        return false;
    };
    let (now_s, done, all) = (story.now_ms() / 1000.0, books.counts.committed, workflow.graph.len());
    let attempts = books.counts.attempts;
    story.progress(&format!("{now_s:>7.2} s    {done} of {all} tasks, {attempts} attempts"));
    books.open == 0
}

/// Writes the page and says where it is.
fn write_page(
    options: &Options,
    figures: &Figures,
    told: Told,
    agents: Vec<AgentLane>,
    end_ms: f64,
) -> std::io::Result<PathBuf> {
    let timeline = Timeline {
        title: format!("{} (seed {}, {:?} faults)", figures.workflow, options.seed, options.faults)
            .to_lowercase(),
        end_ms,
        summary: figures.rows(&told),
        coordinators: (1..=options.nodes).collect(),
        agents,
        runs: told.runs,
        reigns: told.reigns,
        marks: told.marks,
    };
    let page = options.html.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("quorate-swarm-{}-{}.html", options.seed, std::process::id()))
    });
    std::fs::write(&page, page::render(&timeline)?)?;
    Ok(page)
}

/// Submits until it is taken in: a leader may still have to be found.
fn submit(cluster: &Cluster, workflow: &Workflow, stop: &AtomicBool) -> std::io::Result<()> {
    for _ in 0..200 {
        let Some(coordinator) = cluster.coordinators.values().next() else { break };
        match coordinator.work.submit(workflow.spec.clone()).wait() {
            Ok(Reply::Admitted { .. }) => return Ok(()),
            // Its names are taken: an earlier try went through after all.
            Ok(_) => return Ok(()),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    Err(std::io::Error::other("no coordinator took the workflow"))
}

/// One command that changes nothing, through the log: how long a commit takes.
fn probe(cluster: &Cluster, commits_ms: &mut Vec<f64>) {
    let Some(leader) = cluster.leader().and_then(|id| cluster.coordinators.get(&id)) else { return };
    let nothing = Command::AddEdge { from: String::new(), to: String::new() };
    let from = Instant::now();
    if let Ok(Ok(_)) = leader.work.command(nothing).wait_timeout(Duration::from_millis(500)) {
        commits_ms.push(from.elapsed().as_secs_f64() * 1000.0);
    }
}

fn books(cluster: &Cluster) -> Vec<Books> {
    let read = |c: &Coordinator| {
        let books = c.work.inspect(|work| Books {
            counts: work.counts(),
            audit: work.audit(),
            digest: work.digest(),
            open: if work.graph().is_empty() { u32::MAX } else { work.open() },
        });
        books.wait_timeout(Duration::from_secs(2)).ok()?.ok()
    };
    cluster.coordinators.values().filter_map(read).collect()
}

/// Which attempt of each task was committed, as far as the coordinators' events go back: one that was restarted on a
/// snapshot knows the later ones only, so all are asked.
fn committed(cluster: &Cluster) -> BTreeMap<u32, u32> {
    let read = |c: &Coordinator| {
        let events = c.work.inspect(|work| -> Vec<(u32, u32)> {
            let kept =
                std::iter::successors(Some(EVENTS_KEPT as u64), |back| (*back > 0).then_some(back / 2));
            let events = kept
                .map(|back| work.events_next().saturating_sub(back))
                .find_map(|from| work.events_since(from));
            let of = |event: &Event| match event {
                Event::Committed { task, attempt, .. } => Some((task.0, *attempt)),
                _ => None,
            };
            events.into_iter().flatten().filter_map(of).collect()
        });
        events.wait_timeout(Duration::from_secs(2)).ok()?.ok()
    };
    cluster.coordinators.values().filter_map(read).flatten().collect()
}

/// Waits until all coordinators that run say the same, and takes in what they say.
fn settle(cluster: &Cluster, workflow: &Workflow, figures: &mut Figures) {
    let expected = run_sequential(&workflow.graph);
    let mut all = books(cluster);
    for _ in 0..100 {
        let same = all.iter().all(|b| b.digest == all[0].digest && b.counts == all[0].counts);
        if same && all.len() == cluster.coordinators.len() && !all.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        all = books(cluster);
    }
    figures.tasks = workflow.graph.len() as u64;
    let repeated: u64 = cluster.workers.iter().map(|worker| worker.crew.repeated()).sum();
    let Some(one) = all.first() else {
        figures.lost = figures.tasks;
        return;
    };
    let Counts {
        attempts, retries, transfers, stale, duplicate, committed, failed, cancelled, expired, ..
    } = one.counts;
    figures.completed = committed;
    figures.failed = failed + cancelled;
    figures.attempts = attempts;
    figures.retries = retries + transfers;
    figures.stale_refused = stale;
    figures.duplicates_refused = duplicate + repeated;
    figures.digest_ok = all.iter().all(|books| books.digest == expected);
    figures.coordinators_agreeing = all.iter().filter(|b| b.digest == one.digest).count() as u64;
    for books in &all {
        figures.books(books.audit);
    }
    if !figures.interrupted {
        figures.lost += u64::from(one.open);
    }
    let decisions = attempts + committed + failed + retries + transfers + expired + stale + duplicate;
    figures.decisions_per_s = decisions as f64 / figures.makespan_s.max(1e-9);
}

fn lanes(cluster: &Cluster) -> Vec<AgentLane> {
    let of = |worker: &Worker| -> Vec<AgentLane> {
        worker.agents.iter().map(|agent| AgentLane { agent: agent.0, node: worker.id.0 }).collect()
    };
    cluster.workers.iter().flat_map(of).collect()
}

/// Agents first, then workers, then coordinators.
fn stop_all(mut cluster: Cluster) {
    for worker in cluster.workers.drain(..) {
        drop(worker.crew);
        worker.running.stop();
    }
    for id in cluster.coordinators.keys().copied().collect::<Vec<_>>() {
        cluster.stop(id);
    }
}
