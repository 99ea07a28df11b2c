import { Disk, PAGE_BYTES } from "./disk.js";
import {
  applyCommand,
  type Command,
  type ModelGroup,
  type ModelReplica,
  type Place,
  RECORDS_PER_OBJECT,
} from "./model-group.js";
import type { Random } from "./random.js";

/** What has to be found, and nothing else. */
export interface Expected {
  readonly where: "tree" | "log" | "archive" | "reference";
  /** Who is at fault; every one of them must be named. */
  readonly replicas: readonly string[];
  /** Exactly these keys of a tree, or these sequences of a log, which a finding may surround where they cannot be read. */
  readonly keys: readonly string[];
  readonly causes: readonly ("rot" | "applied" | "unknown" | "unreadable")[];
}

export type Fault = (group: ModelGroup, random: Random) => Expected;

const flipBit = (bytes: Buffer, at: number, random: Random): void => {
  bytes[at] = (bytes[at] as number) ^ (1 << random.int(8));
};
const changeByte = (bytes: Buffer, at: number, random: Random): void => {
  bytes[at] = (bytes[at] as number) ^ (1 + random.int(255));
};

function placesOf(replica: ModelReplica) {
  return [...replica.tree.peek().range(new Uint8Array(0), undefined)];
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString();
const RECORD_HEADER_BYTES = 8;

/** Damages bytes of one live record, and says which keys are not as they were. */
function inTree(damage: (disk: Disk, at: number, random: Random) => void): Fault {
  return (group, random) => {
    const replica = random.pick(group.replicas);
    const before = contents(replica);
    const { offset, dataLength } = random.pick(placesOf(replica));
    damage(replica.disk, offset + random.int(RECORD_HEADER_BYTES + dataLength), random);
    return { where: "tree", replicas: [replica.name], keys: changed(before, contents(replica)), causes: ["rot"] };
  };
}

function contents(replica: ModelReplica): Map<string, string> {
  return new Map(
    placesOf(replica).map(({ key, offset, dataLength }) => [
      textOf(key),
      replica.disk.raw(offset, dataLength).toString("latin1"),
    ]),
  );
}

function changed(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key)).sort();
}

function inLog(damage: (disk: Disk, at: number, random: Random) => void): Fault {
  return (group, random) => {
    const replica = random.pick(group.replicas);
    const { offset, dataLength } = random.pick(replica.log) as Place;
    damage(replica.logDisk, offset + random.int(RECORD_HEADER_BYTES + dataLength), random);
    const keys = replica.log.flatMap((record, index) =>
      record === undefined || Disk.isSound(replica.logDisk.raw(record.offset, record.dataLength))
        ? []
        : [`${index + 1}`],
    );
    return { where: "log", replicas: [replica.name], keys, causes: ["unreadable"] };
  };
}

function inArchive(damage: (object: Buffer, random: Random) => void): Fault {
  return (group, random) => {
    const index = random.int(group.archive.objects.length);
    damage(group.archive.objects[index] as Buffer, random);
    const keys = Array.from({ length: RECORDS_PER_OBJECT }, (_, i) => `${index * RECORDS_PER_OBJECT + i + 1}`);
    return { where: "archive", replicas: ["archive"], keys, causes: ["unreadable"] };
  };
}

const zeroPage = (disk: Disk, at: number): void => {
  const start = at - (at % PAGE_BYTES);
  disk.bytes.fill(0, start, Math.min(start + PAGE_BYTES, disk.length));
};

/** One more command, which a victim applies in a wrong way; the bytes that it writes are all valid. */
function inApply(
  command: (key: string, random: Random) => Command,
  wrong: (replica: ModelReplica, command: Command, apply: () => void) => void,
): Fault {
  return (group, random) => {
    const victim = random.pick(group.replicas);
    const key = random.pick(victim.keys());
    const made = command(key, random);
    group.writeWith(made, victim, (apply) => wrong(victim, made, apply));
    group.avoided.add(key);
    return { where: "tree", replicas: [victim.name], keys: [key], causes: ["applied"] };
  };
}

const put = (key: string, random: Random): Command => ({ op: "put", key, value: `new ${random.int(1e9)}` });
const append = (key: string, random: Random): Command => ({ op: "append", key, value: ` and ${random.int(1e9)}` });

export const FAULTS: Record<string, Fault> = {
  "tree: a bit": inTree((disk, at, random) => flipBit(disk.bytes, at, random)),
  "tree: a byte": inTree((disk, at, random) => changeByte(disk.bytes, at, random)),
  "tree: a page": inTree(zeroPage),
  "tree: a record lost": (group, random) => {
    const replica = random.pick(group.replicas);
    const { key } = random.pick(placesOf(replica));
    // Behind the replica's back: nobody deleted it.
    replica.tree.delete(key);
    return { where: "tree", replicas: [replica.name], keys: [textOf(key)], causes: ["rot"] };
  },
  "tree: a subtree lost": (group, random) => {
    const replica = random.pick(group.replicas);
    const places = placesOf(replica);
    const from = random.int(places.length);
    const gone = places.slice(from, from + 2 + random.int(120));
    for (const { key } of gone) replica.tree.delete(key);
    return { where: "tree", replicas: [replica.name], keys: gone.map(({ key }) => textOf(key)), causes: ["rot"] };
  },
  "tree: an old record came back": (group, random) => {
    const replica = random.pick(group.replicas);
    const [one, other] = [random.pick(placesOf(replica)), random.pick(placesOf(replica))];
    const before = contents(replica);
    replica.tree.set({ ...other, key: one.key });
    const keys = changed(before, contents(replica));
    if (keys.length === 0) return (FAULTS["tree: a bit"] as Fault)(group, random);
    // All its checksums are right; only what is kept along with the writes knows.
    return { where: "tree", replicas: [replica.name], keys, causes: ["rot"] };
  },
  "two replicas rot alike": (group, random) => {
    const [odd, ...alike] = shuffled(group.replicas, random);
    const key = random.pick((odd as ModelReplica).keys());
    for (const replica of alike) {
      const place = replica.tree.peek().get(Buffer.from(key));
      if (place !== undefined) flipFirstBit(replica.disk.bytes, place.offset + 1);
    }
    return { where: "tree", replicas: alike.map(({ name }) => name).sort(), keys: [key], causes: ["rot"] };
  },
  "all three rot differently": (group, random) => {
    const key = random.pick((group.replicas[0] as ModelReplica).keys());
    for (const [index, replica] of group.replicas.entries()) {
      const place = replica.tree.peek().get(Buffer.from(key));
      if (place !== undefined)
        replica.disk.bytes[place.offset] = (replica.disk.bytes[place.offset] as number) ^ (index + 1);
    }
    // No two agree: everybody is named, the reference among them, and nobody is convicted.
    return {
      where: "tree",
      replicas: ["a", "b", "c", "reference"],
      keys: [key],
      causes: ["rot", "applied", "unknown"],
    };
  },
  "log: a bit": inLog((disk, at, random) => flipBit(disk.bytes, at, random)),
  "log: a byte": inLog((disk, at, random) => changeByte(disk.bytes, at, random)),
  "log: a page": inLog(zeroPage),
  "log: another record in its place": (group, random) => {
    const replica = random.pick(group.replicas);
    const sequence = 1 + random.int(replica.log.length);
    replica.logged(
      sequence,
      Buffer.from(JSON.stringify({ op: "put", key: "misdirected", value: `${random.int(1e9)}` })),
    );
    return { where: "log", replicas: [replica.name], keys: [`${sequence}`], causes: ["unknown"] };
  },
  "log: a record lost": (group, random) => {
    const replica = random.pick(group.replicas);
    const sequence = 1 + random.int(replica.log.length);
    replica.log[sequence - 1] = undefined;
    return { where: "log", replicas: [replica.name], keys: [`${sequence}`], causes: ["unknown"] };
  },
  "log: two of them alike": (group, random) => {
    const [, ...alike] = shuffled(group.replicas, random);
    const sequence = 1 + random.int(group.slot);
    const record = Buffer.from(JSON.stringify({ op: "put", key: "misdirected", value: `${random.int(1e9)}` }));
    for (const replica of alike) replica.logged(sequence, record);
    return { where: "log", replicas: alike.map(({ name }) => name).sort(), keys: [`${sequence}`], causes: ["unknown"] };
  },
  "archive: a bit": inArchive((object, random) => flipBit(object, random.int(object.length), random)),
  "archive: a byte": inArchive((object, random) => changeByte(object, random.int(object.length), random)),
  "archive: a page": inArchive((object, random) => {
    const at = random.int(object.length);
    object.fill(0xff, at - (at % PAGE_BYTES), Math.min(object.length, at - (at % PAGE_BYTES) + PAGE_BYTES));
  }),
  "archive: a record lost": (group, random) => {
    const sequence = 1 + random.int(group.archive.through);
    group.archive.rewrite(sequence, () => undefined);
    return { where: "archive", replicas: ["archive"], keys: [`${sequence}`], causes: ["unknown"] };
  },
  "archive: another record in its place": (group, random) => {
    const sequence = 1 + random.int(group.archive.through);
    const data = Buffer.from(JSON.stringify({ op: "put", key: "misdirected", value: `${random.int(1e9)}` }));
    // Whoever wrote it made all its checksums right.
    group.archive.rewrite(sequence, () => data);
    return { where: "archive", replicas: ["archive"], keys: [`${sequence}`], causes: ["unknown"] };
  },
  "apply: skipped": inApply(put, () => {}),
  "apply: twice": inApply(append, (_, __, apply) => {
    apply();
    apply();
  }),
  "apply: a wrong value": inApply(put, (replica, command) =>
    applyCommand(replica.state, { op: "put", key: command.key, value: "something else" }),
  ),
  "apply: a delete lost": inApply(
    (key) => ({ op: "delete", key }),
    () => {},
  ),
  "apply: a wrong value in two replicas": (group, random) => {
    const [odd, ...alike] = shuffled(group.replicas, random);
    const key = random.pick((odd as ModelReplica).keys());
    for (const { state } of alike) applyCommand(state, { op: "put", key, value: "something else" });
    return { where: "tree", replicas: alike.map(({ name }) => name).sort(), keys: [key], causes: ["applied"] };
  },
  "a wrong reference": (group, random) => {
    // Whoever builds the reference comes to another value for this key: a bug there, or rot in what it was built from.
    const key = random.pick((group.replicas[0] as ModelReplica).keys());
    return { where: "reference", replicas: ["reference"], keys: [key], causes: ["applied"] };
  },
};

function flipFirstBit(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] as number) ^ 1;
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const left = [...list];
  return list.map(() => left.splice(random.int(left.length), 1)[0] as T);
}
