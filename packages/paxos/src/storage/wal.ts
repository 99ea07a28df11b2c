import { BALLOT_ZERO, type Ballot } from "../core/ballot.js";
import { checkOptions } from "../core/check-options.js";
import type { Configuration } from "../core/configuration.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import type { Entry, PersistWrite, Position } from "../core/types.js";
import { type AppendCaller, Appends, type AppendsOwner } from "./appends.js";
import { ConfigurationLog } from "./configuration-log.js";
import { Doubts } from "./doubts.js";
import { Gate } from "./gate.js";
import { trimmed } from "./memory.js";
import { decodeRecord, type LogRecord } from "./record.js";
import { SlotIndex } from "./slot-index.js";
import { splitWrite } from "./split-write.js";
import type { GroupStorage, LoadedState, LogWeight, StorageMemory, WriteCaller } from "./storage.js";
import type { WalLike, WalStorageOptions, WalStreamLike } from "./wal-like.js";

const optionNames: Record<keyof WalStorageOptions, 0> = { prefix: 0, bytesInFlightMax: 0, uncertainTail: 0 };

/**
 * All groups of a node in the node's one log, each a stream of it, so that one sync serves them all. The log's owner opens and closes it.
 * In memory stays an index of about 16 bytes for each 64 KiB of a group's log; entries are read back from the log itself.
 */
export function walStorage(wal: WalLike, options: WalStorageOptions = {}): (groupId: string) => GroupStorage {
  checkOptions("walStorage", options, optionNames);
  const { prefix = "paxos/", bytesInFlightMax = 32 * 1024 * 1024, uncertainTail = "ask" } = options;
  if (typeof wal?.stream !== "function") throw badArgument("wal", "an open Wal", wal);
  const gate = new Gate(checkInteger("bytesInFlightMax", bytesInFlightMax, 1, Number.MAX_SAFE_INTEGER));
  if (uncertainTail !== "ask" && uncertainTail !== "trust") {
    throw badArgument("uncertainTail", '"ask" or "trust"', uncertainTail);
  }
  const own = `doubts of ${prefix}`;
  const tail = wal.uncertainFrom ?? undefined;
  const doubts = uncertainTail === "ask" ? new Doubts(wal.stream(own), tail, () => wal.settleUncertain?.()) : undefined;
  return (groupId) => {
    if (prefix + groupId === own) throw badArgument("groupId", `another name than ${own}`, groupId);
    return new WalGroup(wal.stream(prefix + groupId), groupId, gate, doubts);
  };
}

/** Of the index of a packed group: of a log of 256 MiB one for each 4 MiB is left. */
const packedPointsMax = 64;

class WalGroup implements GroupStorage, AppendsOwner {
  readonly #stream: WalStreamLike;
  readonly #groupId: string;
  readonly #appends: Appends;
  #index = new SlotIndex();
  #promised: Ballot = BALLOT_ZERO;
  #accepted: Ballot = BALLOT_ZERO;
  #chosenThrough = 0;
  #trimmedThrough = 0;
  /** Last slot of the log, of what has been handed to the stream (durable or not). */
  #lastSlot = 0;
  /** Last slot that the index knows, so that `read` need not wait for writes that do not concern it. */
  #indexedThrough = 0;
  #installing: Position | undefined;
  #births: ReadonlyMap<string, string> = new Map();
  readonly #configurations = new ConfigurationLog();

  readonly #doubts: Doubts | undefined;

  constructor(stream: WalStreamLike, groupId: string, gate: Gate, doubts: Doubts | undefined) {
    this.#doubts = doubts;
    this.#stream = stream;
    this.#groupId = groupId;
    this.#appends = new Appends(stream, gate, this);
  }

  get trimmedThrough(): number {
    return this.#trimmedThrough;
  }

  get weight(): LogWeight {
    return this.#index.weight;
  }

  get base(): Position | undefined {
    const { base } = this.#configurations;
    return base?.slot === this.#trimmedThrough ? base : undefined;
  }

  async load(): Promise<LoadedState> {
    const stream = this.#stream;
    const doubtful = await this.#inDoubt();
    let entries: Entry[] = [];
    this.#index = new SlotIndex();
    this.#lastSlot = 0;
    this.#configurations.clear();
    let empty = true;
    if (stream.lastSequence >= stream.firstSequence) {
      for await (const { sequence, data } of stream.read()) {
        const record = this.#decode(sequence, data);
        const first = record.entries?.[0]?.slot;
        // The first record kept may lie in the middle of the log: what is below was trimmed.
        if (empty && first !== undefined) this.#lastSlot = first - 1;
        if (record.truncateFrom !== undefined)
          while ((entries.at(-1)?.slot ?? -1) >= record.truncateFrom) entries.pop();
        if (record.reset) {
          entries = [];
          empty = false;
        }
        this.#note(record, `record ${sequence}`);
        this.place(record, sequence, data.length);
        if (first !== undefined) {
          empty = false;
          for (const entry of record.entries as readonly Entry[]) entries.push(entry);
        }
        // What is known as chosen is read from the log when needed: memory holds little more than the unchosen end.
        const keepFrom = this.#chosenThrough;
        if ((entries[0]?.slot ?? keepFrom) + 1024 < keepFrom)
          entries = entries.filter((entry) => entry.slot >= keepFrom);
      }
    }
    // The last chosen one comes along where it is still there: its ballot is what a snapshot of that slot has to tell.
    const first = Math.max(this.#trimmedThrough + 1, Math.min(this.#chosenThrough, this.#lastSlot + 1));
    entries = entries.filter((entry) => entry.slot >= first);
    this.#indexedThrough = this.#lastSlot;
    if (entries.length !== this.#lastSlot - first + 1) {
      throw this.#corrupt("the entries do not reach from what is chosen to the log's end");
    }
    const { base } = this;
    const configuration = this.#configurations.at(first - 1);
    return {
      ...(doubtful ? { doubtful } : {}),
      ...(this.#births.size === 0 ? {} : { births: this.#births }),
      ...(base === undefined ? {} : { base }),
      ...(configuration === undefined ? {} : { configuration }),
      ...(this.#installing === undefined ? {} : { installing: this.#installing }),
      promised: this.#promised,
      accepted: this.#accepted,
      trimmedThrough: this.#trimmedThrough,
      chosenThrough: Math.min(this.#chosenThrough, this.#lastSlot),
      entries,
    };
  }

  memory(): StorageMemory | undefined {
    if (this.#indexedThrough !== this.#lastSlot || this.#installing !== undefined) return undefined;
    return {
      promised: this.#promised,
      accepted: this.#accepted,
      trimmedThrough: this.#trimmedThrough,
      chosenThrough: this.#chosenThrough,
      lastSlot: this.#lastSlot,
      base: this.#configurations.base,
      configurations: this.#configurations.all,
      index: this.#index.memory(packedPointsMax),
    };
  }

  resume(memory: StorageMemory, births: ReadonlyMap<string, string>): void {
    this.#promised = memory.promised;
    this.#accepted = memory.accepted;
    this.#trimmedThrough = memory.trimmedThrough;
    this.#chosenThrough = memory.chosenThrough;
    this.#lastSlot = this.#indexedThrough = memory.lastSlot;
    this.#configurations.resume(memory.base, memory.configurations);
    this.#index.load(memory.index);
    this.#births = births;
  }

  write(write: PersistWrite): Promise<void> {
    return new Promise((written, notWritten) => this.writeThen(write, { written, notWritten }));
  }

  writeThen(write: PersistWrite, caller: WriteCaller): void {
    try {
      if (write.reset === undefined) this.#appendThen(splitWrite(write), caller);
      else
        this.#beginAnew(write, write.reset).then(
          () => caller.written(),
          (cause: unknown) => caller.notWritten(cause),
        );
    } catch (cause) {
      queueMicrotask(() => caller.notWritten(cause));
    }
  }

  async assured(): Promise<void> {
    try {
      await this.#doubts?.assured(this.#groupId);
    } catch (cause) {
      throw this.failure(cause);
    }
  }

  /** Whether this group may have lost its last write. One that has none cannot tell, and is asked for its birth. */
  async #inDoubt(): Promise<boolean> {
    try {
      await this.#doubts?.noted();
      if (!this.#doubts?.has(this.#groupId)) return false;
      if (this.#stream.lastSequence >= this.#stream.firstSequence) return true;
      await this.#doubts.assured(this.#groupId);
      return false;
    } catch (cause) {
      throw cause instanceof PaxosError ? cause : this.failure(cause);
    }
  }

  async remember(nodeId: string, birth: string): Promise<void> {
    await this.#append([{ births: new Map([[nodeId, birth]]) }]);
  }

  async markInstall(position: Position): Promise<void> {
    await this.#append([{ installing: position }]);
  }

  /** One record says everything that has to survive; all before it can go. */
  async #beginAnew(write: PersistWrite, reset: Position): Promise<void> {
    const { promised = this.#promised, accepted = this.#accepted } = write;
    const [first, ...rest] = splitWrite({ ...write, promised, accepted });
    const last = await this.#append([
      { ...first, reset, trimmedThrough: reset.slot, base: reset, births: this.#births },
      ...rest,
    ]);
    await this.#cutBefore(last - rest.length);
  }

  async read(from: number, through: number, bytesMax: number): Promise<Entry[]> {
    if (from <= this.#trimmedThrough) throw trimmed(from, this.#trimmedThrough);
    const last = Math.min(through, this.#lastSlot);
    // Whoever asked for the write sees its failure.
    while (last > this.#indexedThrough && (await this.#appends.another()));
    const entries: Entry[] = [];
    let bytes = 0;
    const start = this.#index.seek(from) ?? this.#stream.firstSequence;
    if (from > last) return entries;
    try {
      for await (const { sequence, data } of this.#stream.read({ from: start })) {
        const record = this.#decode(sequence, data);
        for (const entry of record.entries ?? []) {
          if (entry.slot !== from + entries.length || !this.#index.live(entry.slot, sequence)) continue;
          bytes += entry.command.length;
          if (entries.length > 0 && bytes > bytesMax) return entries;
          entries.push(entry);
          if (entry.slot >= last || bytes >= bytesMax) return entries;
        }
      }
    } catch (cause) {
      // A trim may take away what is being read; anything else is the log's own trouble.
      if (from <= this.#trimmedThrough) throw trimmed(from, this.#trimmedThrough);
      throw cause instanceof PaxosError ? cause : this.failure(cause);
    }
    if (from <= this.#trimmedThrough) throw trimmed(from, this.#trimmedThrough);
    throw this.#corrupt(`slots ${from + entries.length} to ${last} are missing from the log`);
  }

  async trim(throughSlot: number, founders?: Configuration): Promise<void> {
    if (throughSlot > this.#lastSlot) {
      throw badArgument("throughSlot", `at most the last slot of the log, ${this.#lastSlot}`, throughSlot);
    }
    if (throughSlot <= this.#trimmedThrough) return;
    const last = await this.#lastBefore(throughSlot);
    if (!last) return;
    const configuration = this.#configurations.at(throughSlot) ?? founders;
    // The small state goes in front of the cut: what promised and accepted were must survive the records that first said so.
    const state = await this.#append([
      {
        promised: this.#promised,
        accepted: this.#accepted,
        chosenThrough: Math.max(this.#chosenThrough, throughSlot),
        trimmedThrough: throughSlot,
        ...(configuration ? { base: { slot: throughSlot, ballot: last.ballot, configuration } } : {}),
        ...(this.#installing === undefined ? {} : { installing: this.#installing }),
        births: this.#births,
      },
    ]);
    const found = this.#index.seek(throughSlot + 1);
    if (found === undefined) return;
    // A write called after this trim may already be placed behind the state: never so far, it is all that remembers the promise.
    await this.#cutBefore(Math.min(found, state));
  }

  /** The entry that a trim would leave as the last one gone; undefined when it is gone already. */
  async #lastBefore(slot: number): Promise<Entry | undefined> {
    try {
      const [entry] = await this.read(slot, slot, 1);
      return slot <= this.#trimmedThrough ? undefined : entry;
    } catch (cause) {
      if (slot <= this.#trimmedThrough) return undefined;
      throw cause;
    }
  }

  async #cutBefore(sequence: number): Promise<void> {
    if (sequence <= this.#stream.firstSequence) return;
    await this.#stream.truncateBefore(sequence);
    this.#index.dropBefore(sequence);
  }

  /** Resolves to the sequence of the last record. */
  #append(records: readonly LogRecord[]): Promise<number> {
    return new Promise((written, notWritten) => this.#appendThen(records, { written, notWritten }));
  }

  #appendThen(records: readonly LogRecord[], caller: AppendCaller): void {
    for (const record of records) this.#note(record, "a write");
    this.#appends.append(records, caller);
  }

  /** What a record means for the small state. Called in the order of the stream. */
  #note(record: LogRecord, where: string): void {
    if (record.promised) this.#promised = record.promised;
    if (record.accepted) this.#accepted = record.accepted;
    if (record.reset) {
      this.#configurations.clear();
      this.#lastSlot = record.reset.slot;
    }
    if (record.truncateFrom !== undefined) {
      this.#configurations.truncatedFrom(record.truncateFrom);
      if (record.truncateFrom <= this.#trimmedThrough) throw this.#corrupt(`${where} truncates trimmed slots`);
      this.#lastSlot = Math.min(this.#lastSlot, record.truncateFrom - 1);
    }
    if (record.trimmedThrough !== undefined) {
      this.#trimmedThrough = Math.max(this.#trimmedThrough, record.trimmedThrough);
      this.#lastSlot = Math.max(this.#lastSlot, this.#trimmedThrough);
    }
    const first = record.entries?.[0];
    if (first && record.entries) {
      if (first.slot !== this.#lastSlot + 1) {
        throw this.#corrupt(`${where} begins at slot ${first.slot}, but the log ends at ${this.#lastSlot}`);
      }
      this.#lastSlot += record.entries.length;
      this.#configurations.appended(record.entries);
    }
    if (record.base) this.#configurations.beginsAt(record.base);
    if (record.chosenThrough !== undefined) this.#chosenThrough = Math.max(this.#chosenThrough, record.chosenThrough);
    if (record.births) this.#births = new Map([...this.#births, ...record.births]);
    if (record.installing) this.#installing = record.installing;
    // A log that knows as chosen what it holds there needs no explanation any more.
    if (this.#installing && this.#chosenThrough >= this.#installing.slot) this.#installing = undefined;
  }

  /** Where a record's entries are. Called in the order of the stream, once the record's sequence is known. */
  place(record: LogRecord, sequence: number, bytes: number): void {
    if (record.reset) {
      this.#index.cut(0, sequence);
      this.#indexedThrough = record.reset.slot;
    }
    if (record.truncateFrom !== undefined && record.truncateFrom <= this.#indexedThrough) {
      this.#index.cut(record.truncateFrom, sequence);
      this.#indexedThrough = record.truncateFrom - 1;
    }
    // What is let go of may be all that there is: whatever comes next stands behind this record.
    if ((record.trimmedThrough ?? -1) >= this.#indexedThrough) this.#index.mark(this.#indexedThrough + 1, sequence);
    const last = record.entries?.at(-1);
    if (!last || !record.entries) return;
    this.#index.add((record.entries[0] as Entry).slot, sequence, bytes);
    this.#indexedThrough = last.slot;
  }

  #decode(sequence: number, data: Uint8Array): LogRecord {
    try {
      return decodeRecord(data);
    } catch (cause) {
      const code = cause instanceof PaxosError ? cause.code : "ERR_PAXOS_CORRUPT";
      throw new PaxosError(code, `group ${this.#groupId}, record ${sequence}: ${messageOf(cause)}`, { cause });
    }
  }

  failure(cause: unknown): PaxosError {
    return new PaxosError("ERR_PAXOS_STORAGE", `the log of group ${this.#groupId} failed: ${messageOf(cause)}`, {
      cause,
    });
  }

  #corrupt(what: string): PaxosError {
    return new PaxosError("ERR_PAXOS_CORRUPT", `group ${this.#groupId}: ${what}`);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
