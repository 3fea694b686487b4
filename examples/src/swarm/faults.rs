//! What is done to the swarm, and when.

use super::agents::Blow;
use super::cluster::Cluster;
use super::options::Faults;
use super::story::Story;
use quorate::{AgentId, NodeId, NodeStatus, Rng};
use std::io;
use std::time::Duration;

/// Seconds that a zombie has to report once it moves again.
const TO_REPORT_S: f64 = 0.5;

/// A thing to be done.
#[derive(Clone, Debug)]
enum Deed {
    KillLeader { down: f64 },
    Restart(u64),
    KillAgents { share: f64, revive_after: Option<f64> },
    Revive(Vec<AgentId>),
    CutOff { seconds: f64 },
    Heal(NodeId),
    Zombie { seconds: f64 },
}

/// Deeds in the order of their times, in seconds since the work began.
pub struct Plan {
    deeds: Vec<(f64, Deed)>,
    faults: Faults,
    round: u32,
    agents: u64,
    /// Agents that stand still, and until when: they are to come back with old work, so nothing else befalls them.
    zombies: Vec<(f64, AgentId)>,
    rng: Rng,
    /// Figures of coordinators that were killed.
    pub killed: Vec<NodeStatus>,
}

impl Plan {
    /// The plan of this seed for a work that should take so many seconds in calm.
    pub fn draw(faults: Faults, agents: u64, seed: u64, calm_s: f64) -> Plan {
        let mut rng = Rng::from_seed(seed ^ 0x5aa3_f417);
        let (rng, zombies) = (rng.fork(), Vec::new());
        let mut plan = Plan { deeds: Vec::new(), faults, round: 0, agents, zombies, rng, killed: Vec::new() };
        if faults != Faults::None {
            plan.add_round(0.0, calm_s.clamp(2.0, 12.0));
        }
        plan
    }

    /// One of each kind within so many seconds.
    fn add_round(&mut self, from: f64, span: f64) {
        self.round += 1;
        let harsh = self.faults == Faults::Harsh;
        let mut at = |share: f64| from + span * (share + 0.05 * self.rng.unit());
        let share = 0.2;
        let mut deeds = vec![
            (at(0.10), Deed::KillLeader { down: 1.5 }),
            (at(0.25), Deed::Zombie { seconds: 3.0 }),
            (at(0.35), Deed::KillAgents { share, revive_after: harsh.then_some(2.0) }),
            (at(0.50), Deed::CutOff { seconds: 1.5 }),
        ];
        if harsh {
            deeds.push((at(0.70), Deed::KillLeader { down: 0.8 }));
            deeds.push((at(0.75), Deed::Zombie { seconds: 2.0 }));
            deeds.push((at(0.80), Deed::KillAgents { share, revive_after: Some(1.5) }));
        }
        self.deeds.extend(deeds);
        self.sort();
    }

    fn sort(&mut self) {
        self.deeds.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn later(&mut self, at: f64, deed: Deed) {
        self.deeds.push((at, deed));
        self.sort();
    }

    /// Whether everything that was broken has been put right.
    pub fn is_over(&self) -> bool {
        !self.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Restart(_) | Deed::Heal(_)))
    }

    /// Does what is due. `done`: nothing new is broken any more, and what is broken is put right at once.
    pub fn act(&mut self, now_s: f64, cluster: &mut Cluster, story: &Story, done: bool) -> io::Result<()> {
        if done {
            self.deeds.retain(|(_, deed)| matches!(deed, Deed::Restart(_) | Deed::Heal(_)));
        } else if self.faults == Faults::Harsh && self.deeds.is_empty() {
            // Harsh goes on until the work is done.
            self.add_round(now_s, 6.0);
        }
        while let Some((at, _)) = self.deeds.first()
            && (*at <= now_s || done)
        {
            let (_, deed) = self.deeds.remove(0);
            self.carry_out(deed, now_s, cluster, story)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, deed: Deed, now_s: f64, cluster: &mut Cluster, story: &Story) -> io::Result<()> {
        let again = deed.clone();
        let done = match deed {
            Deed::KillLeader { down } => self.kill_leader(down, now_s, cluster, story),
            Deed::Restart(id) => {
                cluster.start_coordinator(id)?;
                story.recovery(format!("coordinator {id} restarts on its journal"));
                true
            }
            Deed::KillAgents { share, revive_after } => {
                self.kill_agents(share, revive_after, now_s, cluster, story)
            }
            Deed::Revive(victims) => {
                cluster.strike(Blow::Revive, &victims);
                story.recovery(format!("{} agents are replaced", victims.len()));
                true
            }
            Deed::CutOff { seconds } => self.cut_off(seconds, now_s, cluster, story),
            Deed::Heal(id) => {
                cluster.network.heal(id);
                story.recovery(format!("{} is connected again", describe(id, cluster)));
                true
            }
            Deed::Zombie { seconds } => {
                let time = Duration::from_secs_f64(seconds);
                let victim = self.worth_striking(story).into_iter().next();
                cluster.strike(|agents| Blow::Zombie { agents, time }, victim.as_slice());
                self.zombies.extend(victim.map(|victim| (now_s + seconds + TO_REPORT_S, victim)));
                victim.is_some()
            }
        };
        if !done {
            self.later(now_s + 0.1, again);
        }
        Ok(())
    }

    /// The first round is aimed at agents that work, the one with the longest way to go first: on a small workflow
    /// few do. Later rounds are blind, or a long task of a small workflow would be struck for ever.
    fn worth_striking(&mut self, story: &Story) -> Vec<AgentId> {
        if self.round <= 1 {
            return story.busy();
        }
        let mut all: Vec<AgentId> = (1..=self.agents).map(AgentId).collect();
        self.rng.shuffle(&mut all);
        all
    }

    /// False if there is no leader, or none to spare.
    fn kill_leader(&mut self, down: f64, now_s: f64, cluster: &mut Cluster, story: &Story) -> bool {
        let spare = cluster.coordinators.len() > 2;
        let Some(leader) = cluster.leader().filter(|_| spare) else { return false };
        story.leader_lost();
        story.fault(format!("coordinator {leader}, the leader, is killed without flushing"), down * 1000.0);
        self.killed.extend(cluster.kill(leader));
        self.later(now_s + down, Deed::Restart(leader));
        true
    }

    /// Some that have something to do, one told and one silent, and others as it comes. False if nobody has.
    /// So many agents, up to two that work among them; none if nobody works that may be struck.
    fn victims(&mut self, mut busy: Vec<AgentId>, count: usize, now_s: f64) -> Vec<AgentId> {
        self.zombies.retain(|(until, _)| *until > now_s);
        let is_spared = |agent: &AgentId| self.zombies.iter().any(|(_, zombie)| zombie == agent);
        busy.retain(|agent| !is_spared(agent));
        if busy.is_empty() {
            return Vec::new();
        }
        let others = (1..=self.agents).map(AgentId).filter(|agent| !is_spared(agent));
        let mut others: Vec<AgentId> = others.collect();
        self.rng.shuffle(&mut busy);
        busy.truncate(2.min(count));
        others.retain(|agent| !busy.contains(agent));
        self.rng.shuffle(&mut others);
        others.truncate(count - busy.len());
        busy.iter().skip(1).chain(&others).chain(busy.first()).copied().collect()
    }

    fn kill_agents(
        &mut self,
        share: f64,
        revive_after: Option<f64>,
        now_s: f64,
        cluster: &Cluster,
        story: &Story,
    ) -> bool {
        // The only agent may not die for good.
        let least = usize::from(self.agents > 1 || revive_after.is_some());
        let count = ((self.agents as f64 * share) as usize).max(least);
        if count == 0 {
            return true;
        }
        let busy = self.worth_striking(story);
        let victims = self.victims(busy, count, now_s);
        if victims.is_empty() {
            return false;
        }
        story.fault(format!("{} agents die, half of them silently", victims.len()), 0.0);
        let (told, silent) = victims.split_at(victims.len() / 2);
        cluster.strike(|agents| Blow::Kill { agents, told: true }, told);
        cluster.strike(|agents| Blow::Kill { agents, told: false }, silent);
        if let Some(after) = revive_after {
            self.later(now_s + after, Deed::Revive(victims));
        }
        true
    }

    /// A worker node with agents at work, and a coordinator while the others are a majority without it. False if
    /// nobody works.
    fn cut_off(&mut self, seconds: f64, now_s: f64, cluster: &Cluster, story: &Story) -> bool {
        let busy = self.worth_striking(story);
        let Some(agent) = self.rng.pick(&busy) else { return false };
        let worker = cluster.workers.iter().find(|worker| worker.agents.contains(agent));
        let leader = cluster.leader();
        let ids: Vec<u64> = cluster.coordinators.keys().copied().collect();
        let majority = (cluster.founders() / 2 + 1) as usize;
        let coordinator = self.rng.pick(&ids).copied().filter(|_| ids.len() > majority);
        for id in worker.map(|worker| worker.id).into_iter().chain(coordinator.map(NodeId)) {
            if Some(id.0) == leader {
                story.leader_lost();
            }
            story.fault(format!("{} is cut off", describe(id, cluster)), seconds * 1000.0);
            cluster.network.cut_off(id);
            self.later(now_s + seconds, Deed::Heal(id));
        }
        true
    }
}

fn describe(id: NodeId, cluster: &Cluster) -> String {
    let what = if id.0 > cluster.founders() { "worker" } else { "coordinator" };
    format!("{what} {}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_to_come_back_as_a_zombie_is_not_killed_before() {
        for seed in 0..100 {
            let mut plan = Plan::draw(Faults::Default, 10, seed, 5.0);
            plan.zombies.push((4.0, AgentId(3)));
            let killed = plan.victims(vec![AgentId(3), AgentId(7)], 9, 2.0);
            assert_eq!(killed.len(), 9, "all the others");
            assert!(!killed.contains(&AgentId(3)));
            assert_eq!(plan.victims(vec![AgentId(3)], 2, 2.0), [], "nobody else works");
            assert!(plan.victims(vec![AgentId(3)], 2, 4.5).contains(&AgentId(3)), "it has reported");
        }
    }
}
