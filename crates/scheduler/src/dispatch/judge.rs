//! Who is suspected, who is gone, who is back: from silence and from verdicts, compared with what the engine has.

use super::hint::{Health, Memory};
use super::{DispatchConfig, Lead};
use crate::engine::{Act, AgentSpec, AgentState, Engine, Whom};
use quorate_core::{NodeId, Time};

/// Agents of one act that registers them.
const REGISTERED_AT_ONCE: usize = 512;

/// Compares and proposes. Answers when silence has to be looked at again.
pub(super) fn judge(
    memory: &mut Memory,
    config: &DispatchConfig,
    lead: &Lead,
    engine: &Engine,
    now: Time,
    acts: &mut Vec<Act>,
) -> Time {
    let mut again = Time::NEVER;
    for node in engine.nodes() {
        if acts.len() >= config.ends_max {
            return now;
        }
        let told = memory.nodes.get(&node);
        // Nobody is judged by a silence that began before there was somebody to listen.
        let heard =
            told.and_then(|told| told.heard).map_or(lead.listening, |heard| heard.max(lead.listening));
        let silence = now.since(heard);
        let by_silence = if silence >= config.remove_after {
            Health::Failed
        } else if silence >= config.suspect_after {
            again = again.min(heard + config.remove_after);
            Health::Suspect
        } else {
            again = again.min(heard + config.suspect_after);
            Health::Healthy
        };
        let health = told.and_then(|told| told.health).unwrap_or(Health::Healthy).max(by_silence);
        compare(memory, engine, node, health, acts);
    }
    again
}

/// One act for the node where all of its agents change alike, else one for each that does.
fn compare(memory: &Memory, engine: &Engine, node: NodeId, health: Health, acts: &mut Vec<Act>) {
    let (all, suspected) = engine.agent_count_of(node);
    let as_it_is = match health {
        Health::Healthy => suspected == 0,
        Health::Suspect => suspected == all,
        Health::Failed => false,
    };
    if as_it_is && memory.agents.is_empty() {
        return;
    }
    let mut changes = Vec::new();
    for agent in engine.agents_of(node) {
        let said = memory.agents.get(&agent.id).copied().unwrap_or(Health::Healthy);
        let health = health.max(said);
        let suspected = engine.agent_state(agent.slot) == Some(AgentState::Suspected);
        let differs = match health {
            Health::Healthy => suspected,
            Health::Suspect => !suspected,
            Health::Failed => true,
        };
        if differs {
            changes.push((health, agent.id));
        }
    }
    let act = |health: Health, whom: Whom| match health {
        Health::Healthy => Act::Trust(whom),
        Health::Suspect => Act::Suspect(whom),
        Health::Failed => Act::Down(whom),
    };
    match changes.first() {
        Some((first, _)) if changes.len() == all && changes.iter().all(|(health, _)| health == first) => {
            acts.push(act(*first, Whom::Node(node)));
        }
        _ => acts.extend(changes.into_iter().map(|(health, id)| act(health, Whom::Agent(id)))),
    }
}

/// Registers what nodes that are well say they host, and takes out what they do not host any more. Answers when to
/// look again at what was asked for and did not come about.
pub(super) fn enrol(
    memory: &mut Memory,
    config: &DispatchConfig,
    engine: &Engine,
    now: Time,
    acts: &mut Vec<Act>,
) -> Time {
    let mut again = now + config.remove_after;
    let mut bytes = 0;
    for (id, node) in &mut memory.nodes {
        if bytes > config.block_bytes_max {
            return now;
        }
        let Some(hosts) = &node.hosts else { continue };
        let heard = node.heard.is_some_and(|heard| now.since(heard) < config.suspect_after);
        if !heard || node.health.is_some_and(|health| health > Health::Healthy) {
            // What it hosts is looked at anew when it is back.
            node.hosts_agreed = false;
            continue;
        }
        if node.hosts_agreed && engine.agent_count_of(*id).0 == hosts.len() {
            continue;
        }
        let failed = |agent| memory.agents.get(agent) == Some(&Health::Failed);
        let missing: Vec<_> =
            hosts.iter().filter(|spec| !engine.hosts(*id, spec) && !failed(&spec.id)).collect();
        let mut extra: Vec<_> = engine.agents_of(*id).map(|agent| agent.id).collect();
        if !extra.is_empty() {
            let known: std::collections::BTreeSet<_> = hosts.iter().map(|spec| spec.id).collect();
            extra.retain(|agent| !known.contains(agent));
        }
        let differ = missing.len() + extra.len();
        node.hosts_agreed = differ == 0;
        let (asked, patience) = node.hosts_asked;
        if differ == 0 || (differ == asked && now < patience) {
            if differ > 0 {
                again = again.min(patience);
            }
            continue;
        }
        node.hosts_asked = (differ, now + config.suspect_after);
        again = again.min(now + config.suspect_after);
        if !extra.is_empty() {
            acts.push(Act::Unregister(extra));
        }
        if !missing.is_empty() {
            let mut fits = |spec: &&AgentSpec| {
                bytes += 16 + spec.skills.iter().map(|(name, _)| name.len() + 4).sum::<usize>();
                bytes <= config.block_bytes_max
            };
            let agents = missing.into_iter().take(REGISTERED_AT_ONCE).take_while(|spec| fits(spec));
            let agents = agents.cloned().collect();
            acts.push(Act::Register { node: *id, agents });
        }
    }
    again
}
