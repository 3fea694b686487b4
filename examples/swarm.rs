//! The main job: many agents work through a real task graph, coordinated by a replicated scheduler, while nodes,
//! agents and links fail. Nothing may be lost or committed twice.

use quorate_examples::swarm::options::{HELP, Options};
use quorate_examples::swarm::{Ended, run, workflow};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    let options = match Options::parse(&mut lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => return refuse(&format!("{why}\n\n{HELP}")),
    };
    let workflow = match workflow(&options) {
        Ok(workflow) => workflow,
        Err(why) => return refuse(&why),
    };
    // What cannot be written is better known before the run than after it.
    for path in options.html.iter().chain(&options.json) {
        if let Err(why) = std::fs::File::create(path) {
            return refuse(&format!("{}: {why}", path.display()));
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = stop.clone();
    if let Err(why) = ctrlc::set_handler(move || pressed.store(true, Ordering::Relaxed)) {
        return refuse(&format!("Ctrl-C cannot be caught: {why}"));
    }
    match run(&options, &workflow, &stop) {
        Ok(ended) => tell(&options, &ended),
        Err(why) => {
            eprintln!("the swarm could not run: {why}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

fn tell(options: &Options, ended: &Ended) -> ExitCode {
    println!();
    for (name, value) in &ended.rows {
        println!("  {name:<32} {value}");
    }
    println!("\n  {}", ended.page.display());
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&ended.figures).map_err(std::io::Error::other);
        if let Err(why) = json.and_then(|json| std::fs::write(path, json)) {
            return refuse(&format!("{}: {why}", path.display()));
        }
    }
    let figures = &ended.figures;
    if figures.interrupted {
        println!("\n  interrupted: the table is of what was done so far");
        return ExitCode::from(130);
    }
    if figures.is_good() {
        println!("\n  nothing lost, nothing committed twice, the digest is that of a sequential run");
        return ExitCode::SUCCESS;
    }
    println!("\n  THE RUN IS NOT AS IT SHOULD BE");
    ExitCode::FAILURE
}
