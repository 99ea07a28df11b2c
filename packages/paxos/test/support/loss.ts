import { markIn } from "../../src/core/configuration.js";
import { Births } from "../../src/host/births.js";
import { encodeHostMessage } from "../../src/host/host-messages.js";
import { Violation } from "./observer.js";
import type { SimReplica } from "./replica.js";
import type { Folded } from "./storage.js";
import type { Tally } from "./tally.js";

/** What was on the disks of a node before they were replaced: as good as there for whoever was told so then. */
export interface Before {
  readonly log: Folded;
  readonly appliedThrough: number;
}

export interface BirthOfReplica {
  readonly replica: SimReplica;
  readonly members: () => readonly string[];
  readonly founders: readonly string[];
  readonly mute: boolean;
  readonly remembered: (by: string) => void;
  readonly mark: string;
  readonly tally: Tally;
  /** This replica's disk is another one than that of its first life: it must never vote. Undefined: nobody looks. */
  readonly lost: boolean | undefined;
  readonly writesDown: (nodeId: string) => boolean;
  readonly diskFailed: () => void;
  readonly voice: () => void;
  readonly refused: () => void;
}

/** The shipped `Births`, on a simulated node. */
export function birthOf(o: BirthOfReplica): Births {
  const { replica, tally, lost } = o;
  const { node, name, storage } = replica;
  const { life } = node;
  const births = new Births({
    ids: { nodeId: name, groupId: "g" },
    births: new Map(storage.written.births),
    mute: o.mute,
    founders: o.founders,
    markOf: (node) => replica.core && markIn(replica.core.configuration, node),
    marked: () => replica.core?.marked ?? false,
    stranger: () => replica.core?.stranger,
    remembered: (by) => {
      tally.add("newcomers that are remembered by who leads");
      o.remembered(by);
    },
    born: (mark) => replica.core?.born(mark),
    blank: () => replica.core?.promised.round === 0,
    remember: (nodeId, mark, done) => {
      if (!o.writesDown(nodeId)) {
        done();
        return;
      }
      storage.append({ birth: [nodeId, mark] }, (error) => {
        if (life !== node.life || !node.up) return;
        if (error === undefined) done();
        else o.diskFailed();
      });
    },
    members: o.members,
    mark: () => o.mark,
    post: (to, message) => {
      if (to === "gone") return;
      tally.add(message.type === "knock" ? "knocks" : "answers to knocks");
      node.send(to, encodeHostMessage(message));
    },
    voice: () => {
      if (lost === true) throw new Violation(`${name} votes under its old name with another disk`);
      tally.add("newborn acceptors that begin to vote");
      o.voice();
    },
    fail: (error) => {
      if (lost === false) throw new Violation(`${name} has lost nothing and is refused: ${error}`);
      tally.add("emptied disks found out");
      o.refused();
    },
  });
  const tick = () => {
    if (replica.births !== births) return;
    births.tick(node.now);
    // While its own mark is not on disk there is nothing to ask; and a leader that must be told of it may come at any time.
    node.timer(Math.max(10, Math.min(20, births.wakeAtMs - node.now)), tick);
  };
  node.timer(1, tick);
  return births;
}
