import { describe, expect, it } from "vitest";
import { missing, type Shown } from "./support/titles.js";

/** What the package must survive, and where that is shown; of the mutants `shipped-bugs.test.ts` says who catches them. */
const cases: Readonly<Record<string, readonly Shown[]>> = {
  "an acceptor answers before its log is on disk": [["mutants", "a replica that $name"]],
  "it restarts and forgets a promise": [["explore", "of leaders that crash and come back"]],
  "it restarts with a lease still running elsewhere": [
    ["leases", "refuses every candidate for a whole lease after a restart"],
  ],
  "it comes back with an older copy of its disk": [["torn-log", "puts its groups in doubt, through every restart"]],
  "it comes back with an empty disk": [
    ["members", "never votes under the old name again"],
    ["births", "who knocks again is not told that he is remembered before that is on disk"],
  ],

  "a message twice, late, out of order": [["explore", "of two that compete to lead"]],
  "a message from a previous life of the sender": [
    ["falling-asleep", "stays awake when the question is from before the leader's node was reborn"],
    ["explore", "of leaders that crash and come back"],
    ["freshness", "knows nothing from an answer that is not applied yet, to a question of another life"],
  ],
  "a message from a removed member": [["members", "who was replaced comes back, and is told"]],
  "a message from another group": [
    ["group-host", "survive messages that nobody can read, and for groups that are not here"],
  ],

  "two leaders at once through one-way partitions": [
    ["explore", "of two that compete to lead"],
    ["real-networks", "are linearizable on loopback, through proxies that hold one direction back"],
  ],
  "a leader cut off from clients and not from followers": [["bad-days", "from its clients and not from its followers"]],
  "a leader cut off from followers and not from clients": [
    ["bad-days", "from its followers and not from its clients"],
    ["elections", "steps down when no quorum answers, and tells the others"],
  ],
  "a slow leader whose heartbeats still arrive": [
    ["elections", "gives leadership away when its own disk stands still"],
  ],
  "a follower with a flapping link": [
    ["gray-failures", "causes no election in"],
    ["elections", "does not disturb a leader that the others hear, whichever single link is cut"],
  ],

  "one clock 20 % fast": [["bad-days", "20 % fast on the followers"]],
  "a clock stopped": [["bad-days", "that stand still on a follower depose nobody"]],
  "a clock jumping": [["bad-days", "%s on one node: nobody is deposed"]],
  "a process suspended for ten lease times that wakes up as if it still led": [
    ["bad-days", "of a leader that was suspended for ten leases"],
    ["sigkill", "elect another, and the one that wakes up never answers from what it believed"],
  ],
  "a long pause between checking the lease and answering the read": [
    ["sigkill", "elect another, and the one that wakes up never answers from what it believed"],
    ["mutants", "a replica that $name"],
  ],

  "a read right after a leadership change": [
    ["leases", "lets no read through before an entry of the leader's own ballot is chosen"],
  ],
  "a read at a deposed leader": [["leases", "rejects reads that wait when the leadership ends"]],

  "phase 1 finds different values at different ballots in one slot": [
    ["explore", "of the same with prompt disks: all"],
  ],
  "holes between chosen slots": [
    ["elections", "brings a candidate that lacks chosen entries up to date before it leads"],
  ],
  "a value chosen but known to nobody alive but one acceptor": [["explore", "of the same with prompt disks: all"]],

  "a reconfiguration chosen while the leader dies": [
    ["members", "a change under way when its leader is lost has an unknown outcome, and is made again"],
    ["explore", "of the same with a crash, and of hand-overs with refusals"],
  ],
  "two reconfigurations proposed at once": [
    ["members", "are changed by the leader only, one change at a time"],
    ["mutants", "a replica that 'changes members before anything of its own reign is chosen (no G2)'"],
  ],
  "a candidate that does not know of the last reconfiguration": [
    ["mutants", "a replica that 'does not count again under the log that it adopts'"],
    ["explore", "of a change of members, from a storage replica to a log replica, under two leaders: all"],
  ],
  "the removed member keeps campaigning, the replaced one comes back": [
    ["members", "who was replaced comes back, and is told"],
  ],
  "both survivors are a storage and a log replica, and the storage replica is behind": [
    ["members", "never leads, and has what a storage replica that is behind lacks"],
  ],
  "so are a storage and a log replica, and the log replica is behind": [
    ["members", "goes on although it is behind what is kept, and one of two that hold the rest is lost"],
    ["members", "stands still under a new leader that alone holds what it lacks"],
  ],
  "all nodes stand still for longer than a lease, with thousands of groups": [
    ["dormitory", "wakes leaders whose bonds have changed some at a time"],
    ["dormitory", "gives leaders whose beats have come again time to renew their bonds"],
  ],

  "a snapshot for a slot below what is applied": [["snapshots", "has no use for a snapshot below what is applied"]],
  "a crash in the middle of installing": [
    ["snapshots", "before it leaves the old state and the old log"],
    ["resumed-snapshots", "has the old state or the new one when it ends around the switch"],
  ],
  "the sender dies half-way": [["snapshots", "finds another sender when the first one dies half-way"]],
  "log truncated while a follower still needs it": [
    ["snapshots", "takes over a snapshot, then the log behind it"],
    ["snapshots", "catches up although the log behind the snapshot is let go meanwhile"],
  ],
  "apply throws": [["group-host", "stops loudly when apply throws, and the others go on"]],

  "a client retries and the first attempt was chosen": [
    ["clients", "gave up waiting for an answer: the first attempt was chosen"],
  ],
  "so across leaders": [["clients", "finds another leader: what was chosen under the first one is known to it"]],
  "so across a snapshot": [["clients", "hands the table over with a snapshot"]],
  "so of two leaders, again and again, with a snapshot anywhere": [
    ["explore", "of a client that asks two leaders for one command"],
  ],

  "all three nodes lose power at once": [
    ["sigkill", "lose no acknowledged write, carry out none twice, and agree on all of them"],
    ["clients", "comes back after all nodes have been restarted"],
  ],
  "two of three lose their disks": [["members", "is not believed when only those are there who have never voted"]],

  "disk full on the leader, on a follower": [["real-disks", "serve on, give leadership away where it must be"]],
  "a slow disk on one does not slow the group": [["group-host", "is not held up by one slow disk among the followers"]],
  "a failing sync on the leader hands leadership away": [
    ["group-host", "steps down when its log fails, and the others go on"],
  ],

  "a frame of 4 GiB announced, garbage on the port": [
    ["tcp-transport", "ends connections that send garbage, announce 4 GiB"],
  ],
  "a TLS handshake stalled": [["tls", "ends handshakes that stall"]],
  "a peer that reads nothing": [["tcp-transport", "does not grow, and starts anew, when a peer reads nothing"]],
  "ten thousand proposals at once": [
    ["group-host", "refuses what is above its bound, and carries out everything that it took"],
  ],

  "versions N and N-1 in one group, both directions": [
    ["upgrade", "serve together under load, are exchanged one node at a time, and back again"],
    ["upgrade", "keep their leader and understand one another when nothing is asked of them"],
  ],
  "an unknown message type": [
    ["codec", "refuses a version and a type it does not know"],
    ["group-host", "survive messages that nobody can read"],
  ],
  "an unknown record type in the log": [
    ["group-storage", "refuses a log with a hole, and a record of a later version"],
  ],
};

describe("what the package must survive is shown somewhere:", () => {
  it.each(Object.entries(cases))("%s", (_, shown) => {
    expect(shown.length).toBeGreaterThan(0);
    expect(missing(shown)).toEqual([]);
  });
});
