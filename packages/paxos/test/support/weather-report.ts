import { forEachSeed } from "@evenkeel/simulation";
import { expect } from "vitest";
import { runScenario } from "./scenario.js";
import { Tally } from "./tally.js";

export const replay = (seed: number) => `PAXOS_SEED=${seed} npx vitest run test/simulation.test.ts`;
/** Of all files together; each takes half of them, for there are two workers. */
const seeds = Number(process.env.PAXOS_SEEDS ?? 2000);
export const half = Math.ceil(seeds / 2);

/** What is done in the worst moments. */
const moments = [
  "leader crashes",
  "everybody lets go of the log",
  "hand-over",
  "leader cut off",
  "leader cut off, its clock as slow and the others' as fast as is allowed",
  "leader asked for another change, or the same again",
  "leader suspended",
  "a disk is full",
  "a disk stands still",
  "a clock jumps",
];

/** What must have been seen, over all seeds of a half together, for a green run to mean anything. */
const expected = [
  "messages lost",
  "messages duplicated",
  "messages reordered",
  "messages late",
  "messages cut",
  "one-way partitions, deaf",
  "one-way partitions, mute",
  "links cut one way",
  "nodes cut off",
  "crashes",
  "two crashed at once",
  "all crashed at once",
  "leader crashes",
  "crashes with a lease",
  "records lost by crashes",
  "trims",
  "state machines ahead of the log",
  "logs that bring only what is not chosen",
  "failed writes",
  "slow disks",
  "leaders cut off while a follower restarts",
  "answers slow, then none",
  "clocks skewed",
  "pauses",
  "pauses beyond a lease",
  "hand-overs",
  "reigns",
  "pre-votes refused",
  "refused for a running grant",
  "suffixes cut",
  "gaps reported",
  "ships",
  "leaders packed",
  "followers packed",
  "sent learn",
  "sent fetch",
  "sent resign",
  "unknown outcomes",
  "overloaded",
  "batches",
  "calls timed out",
  "reads by lease",
  "reads by round",
  "reads without a lease",
  "replacements by a log replica",
  "storage replicas added",
  "members taken out",
  "changes of members done",
  "changes refused, unsafe",
  "changes refused, unchosen",
  "changes refused, behind",
  "direct swaps asked for",
  "leaders lost while members change",
  "configurations appended or cut",
  "departures noticed",
  "logs begun at a base",
  "logs begun at a snapshot",
  "snapshots offered",
  "snapshots installed",
  "snapshots below what is applied",
  "snapshots lost on the way",
  "installs finished after a crash",
  "sent base",
  "sent releasable",
  "sent departed",
  "sent takeOver",
  "torn logs",
  "torn logs that had been on disk",
  "accepted entries torn off",
  "promises torn off",
  "doubts settled",
  "beats of nodes",
  "leaders fell asleep",
  "followers fell asleep",
  "reads by lease while all sleep",
  "woken by propose",
  "woken by accept",
  "woken by heartbeat",
  "woken by read",
  "woken by wake",
  "woken by resign",
  "sleeping followers woken by a lost bond",
  "sleeping leaders woken by a change of bonds",
  "reigns ended while others slept in them",
  "clients registered",
  "clients forgotten",
  "requests carried out before",
  "requests answered at a later attempt",
  "reads of a state with an age",
  "bounded reads at once",
  "bounded reads that waited",
  "bounded reads refused, ERR_PAXOS_STALE",
  "hand-overs to one that lags",
  "hand-overs to one that sleeps",
  "hand-overs to one that is down",
  "hand-overs to a log replica",
  "hand-overs while members change",
  "led within 15 ms of the end of another's lease",
  "two snapshots on their way to one",
  "snapshots of a leader deposed meanwhile",
  "snapshots of members of before",
  "snapshots whose sender has let go of the log behind them",
  "snapshots installed while members change",
  "snapshots installed below the log's end",
  "states lost",
  "states found again",
  "promotions",
  "leaders of log replicas fell asleep",
  "leaders lost while a storage replica takes a log replica's place",
  "requests of two nodes at once",
  "requests chosen twice",
  "requests chosen in two reigns",
  "requests known from a snapshot to be carried out before",
  "requests ahead of their turn",
  ...["a snapshot", "a change", "sleep", "work"].flatMap((what) =>
    moments.map((action) => `during ${what}: ${action}`),
  ),
  "during a snapshot: receiver crashes",
];

/** Runs the seeds of one half. All that can go wrong must have occurred in either. */
export function weather(first: number): void {
  const tally = new Tally();
  let operations = 0;
  forEachSeed({ first, count: half, replay }, (seed) => {
    const report = runScenario({ seed });
    tally.merge(report.tally);
    operations += report.operations;
  });
  expect(operations).toBeGreaterThan(half * 50);
  expect(expected.filter((what) => !((tally.counts[what] as number) > 0))).toEqual([]);
}
