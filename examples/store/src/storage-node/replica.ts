import type { Applier } from "./applier.js";
import { Backlog } from "./backlog.js";
import { decodeCommand, type Write } from "./command.js";
import { DESCRIPTION_KEY, decodeDescription, type PartitionDescription } from "./description.js";
import { StoreError } from "./errors.js";
import { keyNamed, keyText } from "./key-text.js";
import { type MarkedSnapshot, Marks, SNAPSHOT_KEPT_MS } from "./marks.js";
import { Overlay } from "./overlay.js";
import { isOwnKey } from "./own-keys.js";
import { type StateEntry, type StateHeader, stateEntryBytes } from "./partition-state.js";
import { STORED_HEADER_BYTES, type StoredValue } from "./stored-value.js";
import { assertPartition, type Tree, type TreeEntry, type TreeRange } from "./tree.js";

/**
 * A write that is applied. One object for all that is to be known of it, since it outlives some collections of garbage: its key stands in its name, and a view of the key would be larger than all the rest.
 */
class OverlayEntry {
  readonly name: string;
  readonly slot: number;
  readonly timeMs: number;
  readonly itemSizeBytes: number;
  /** Undefined: deleted. */
  readonly json: Uint8Array | undefined;

  constructor(write: Write, slot: number, timeMs: number) {
    const isPut = write.op === "put";
    this.name = keyText(write.key);
    this.slot = slot;
    this.timeMs = timeMs;
    this.itemSizeBytes = isPut ? write.itemSizeBytes : 0;
    this.json = isPut ? write.bytes : undefined;
  }

  /** Made anew for each who asks. */
  get key(): Uint8Array {
    return keyNamed(this.name);
  }
}

type OverlayItem = OverlayEntry & StoredValue;

const isItem = (entry: OverlayEntry): entry is OverlayItem => entry.json !== undefined;

/** What it will take in a state as `partition-state.ts` writes it. */
const stateBytesOf = ({ name, json }: OverlayEntry): number =>
  json === undefined ? 0 : stateEntryBytes(name.length, STORED_HEADER_BYTES + json.length);

const bytesOf = ({ name, json }: OverlayEntry): number => name.length + (json?.length ?? 0);

export interface Move {
  readonly through: number;
  /** Time of the entry in slot `through`, or of the last one before it that had one. */
  readonly timeMs: number;
  readonly reign: number;
  readonly entries: readonly OverlayEntry[];
  /** Of these what the tree is to be told: not what another one of them writes over. */
  readonly puts: readonly OverlayEntry[];
}

/** The whole partition as of one slot, in the B-tree. */
export interface ReplicaState extends StateHeader {
  pages(bytesMax: number): Generator<StateEntry[], void, undefined>;
  close(): void;
}

/**
 * One partition on one node: the state machine of its Paxos group. `apply` is synchronous and in memory (the overlay); the applier moves the
 * overlay into the B-tree in large transactions. Reads look through the overlay at the tree, so they see every applied slot at once.
 */
export class Replica {
  readonly partition: number;
  /** What is applied and not yet in the B-tree. */
  readonly backlog: Backlog;
  readonly #tree: Tree;
  readonly #applier: Applier;
  readonly #overlay = new Overlay<OverlayEntry>();
  /** Applied and not yet handed to the tree, in slot order. */
  #queue: OverlayEntry[] = [];
  #queuedMarks: { slot: number; timeMs: number }[] = [];
  /** Raised when a whole state is taken over: moves from before it mean nothing any more. */
  #reign = 0;
  #switching = false;
  #takenBytes = 0;
  #movedBytes = 0;
  #appliedBytes = 0;
  #appliedThrough: number;
  #committedThrough: number;
  #durableThrough: number;
  #lastTimeMs = 0;
  #lastDeleteSlot: number;
  #closed = false;
  /** Undefined: to be read anew. */
  #description: PartitionDescription | undefined;
  readonly #marks: Marks;
  readonly #takeOverObservers = new Set<() => void>();
  readonly #observers = new Set<
    (writes: readonly { key: Uint8Array; json: Uint8Array | undefined }[], slot: number) => void
  >();

  constructor(partition: number, tree: Tree, applier: Applier, backlog = new Backlog(partition)) {
    assertPartition(partition);
    this.partition = partition;
    this.backlog = backlog;
    this.#tree = tree;
    this.#applier = applier;
    this.#marks = new Marks(partition, tree);
    const { slot, timeMs } = tree.applied(partition);
    this.#appliedThrough = slot;
    this.#lastTimeMs = timeMs;
    this.#lastDeleteSlot = slot;
    this.#committedThrough = this.#appliedThrough;
    this.#durableThrough = this.#appliedThrough;
  }

  /** Slot through which reads here are up to date. */
  get appliedThrough(): number {
    return this.#appliedThrough;
  }

  /** Slot through which the B-tree is on disk: the log above it must stay. */
  get durableThrough(): number {
    return this.#durableThrough;
  }

  /** Time of the last applied entry, Unix ms; never goes back along the log. */
  get lastTimeMs(): number {
    return this.#lastTimeMs;
  }

  /** No item was deleted after this slot; where that was before this life, a later one is told. */
  get lastDeleteSlot(): number {
    return this.#lastDeleteSlot;
  }

  /** Bytes of all commands applied in this life. */
  get appliedBytes(): number {
    return this.#appliedBytes;
  }

  /** Bytes of entries, as in a state, handed to the B-tree so far: what a reader of the tree may see is in it. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Of these, what is surely seen. */
  get movedBytes(): number {
    return this.#movedBytes;
  }

  /** What the partition says of itself, as of what is applied. Throws ERR_STORE_CORRUPT as `get` does. */
  get description(): PartitionDescription {
    this.#description ??= decodeDescription(this.get(DESCRIPTION_KEY)?.json);
    return this.#description;
  }

  /** What the clock said when something applied before was written: a leader's times do not go back behind it. */
  noteTime(timeMs: number): void {
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs);
  }

  /** Called with each entry's writes, in slot order, also with the empty ones of no-ops and marks. */
  observe(
    observer: (writes: readonly { key: Uint8Array; json: Uint8Array | undefined }[], slot: number) => void,
  ): void {
    this.#observers.add(observer);
  }

  /** Called when the whole state was replaced by another one, further on. */
  observeTakeOver(observer: () => void): void {
    this.#takeOverObservers.add(observer);
  }

  /** The group's state machine: in slot order, exactly once. The command's bytes are kept until they are in the tree. */
  apply(entry: { readonly slot: number; readonly command: Uint8Array }): number {
    this.advance(entry.slot - 1);
    const command = decodeCommand(entry.command);
    this.#lastTimeMs = Math.max(this.#lastTimeMs, command.timeMs);
    this.#appliedBytes += entry.command.length;
    const applied: OverlayEntry[] = [];
    if (command.kind === "mark") {
      // A mark met again while the log is replayed: whoever asked for it is long gone.
      if (Date.now() - command.timeMs < SNAPSHOT_KEPT_MS) {
        this.#queuedMarks.push({ slot: entry.slot, timeMs: command.timeMs });
      }
    } else {
      for (const write of command.writes) this.#take(write, entry.slot, applied);
    }
    this.#advance(entry.slot, applied);
    return entry.slot;
  }

  #take(write: Write, slot: number, applied: OverlayEntry[]): void {
    const { key } = write;
    const isOwn = isOwnKey(key);
    if (write.op === "delete" && !isOwn) this.#lastDeleteSlot = slot;
    const overlay = new OverlayEntry(write, slot, this.#lastTimeMs);
    this.#overlay.set(overlay);
    this.#queue.push(overlay);
    this.backlog.applied(bytesOf(overlay));
    applied.push(overlay);
    if (isOwn && Buffer.compare(key, DESCRIPTION_KEY) === 0) this.#description = undefined;
  }

  /** Slots through here that had no command change nothing, and count as applied. */
  advance(slot: number): void {
    while (this.#appliedThrough < slot) this.#advance(this.#appliedThrough + 1, []);
  }

  #advance(slot: number, writes: readonly { key: Uint8Array; json: Uint8Array | undefined }[]): void {
    this.#appliedThrough = slot;
    this.#applier.schedule(this, writes.length);
    if (this.#queuedMarks.length > 0) this.#applier.hurry();
    for (const observer of this.#observers) observer(writes, slot);
  }

  get(key: Uint8Array): StoredValue | undefined {
    const overlay = this.#overlay.get(keyText(key));
    if (overlay === undefined) return this.#tree.get(this.partition, key);
    return isItem(overlay) ? overlay : undefined;
  }

  /** In key order, the overlay laid over the tree. Use it within one turn: a write in between may or may not be seen. */
  *range(range: TreeRange): IterableIterator<TreeEntry> {
    const before = range.reverse ? (a: string, b: string) => a > b : (a: string, b: string) => a < b;
    const overlay = this.#overlay.range({
      from: range.from && keyText(range.from),
      to: range.to && keyText(range.to),
      reverse: range.reverse === true,
    });
    let over = overlay.next();
    for (const entry of this.#tree.range(this.partition, range)) {
      const key = keyText(entry.key);
      while (!over.done && before(over.value.name, key)) {
        if (isItem(over.value)) yield { key: over.value.key, value: over.value };
        over = overlay.next();
      }
      if (!over.done && over.value.name === key) {
        if (isItem(over.value)) yield { key: over.value.key, value: over.value };
        over = overlay.next();
      } else yield entry;
    }
    while (!over.done) {
      if (isItem(over.value)) yield { key: over.value.key, value: over.value };
      over = overlay.next();
    }
  }

  /** The applier's side: what to commit next. Stops at a mark, whose snapshot has to see its own slot and nothing after it. */
  takeMove(operationsMax: number): Move | undefined {
    if (this.#closed || this.#switching) return undefined;
    if (this.#committedThrough === this.#appliedThrough && this.#queue.length === 0) return undefined;
    const mark = this.#queuedMarks[0];
    const barrier = mark?.slot ?? Number.POSITIVE_INFINITY;
    let count = 0;
    while (count < this.#queue.length) {
      const slot = this.#queue[count]?.slot ?? 0;
      if (slot > barrier) break;
      // Entries are atomic: a slot's writes go together even past the bound.
      if (count >= operationsMax && slot !== this.#queue[count - 1]?.slot) break;
      count++;
    }
    const entries = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    for (const entry of entries) this.#takenBytes += stateBytesOf(entry);
    const lastSlot = entries.at(-1)?.slot ?? 0;
    const puts = entries.filter((entry) => {
      const newest = this.#overlay.get(entry.name);
      return newest === undefined || newest === entry || newest.slot > lastSlot;
    });
    const move = { reign: this.#reign, entries, puts };
    if (this.#queue.length > 0 && (this.#queue[0]?.slot ?? 0) <= barrier) {
      const { slot: through, timeMs } = entries.at(-1) as OverlayEntry;
      return { through, timeMs, ...move };
    }
    if (mark !== undefined && mark.slot <= this.#appliedThrough)
      return { through: mark.slot, timeMs: mark.timeMs, ...move };
    return { through: this.#appliedThrough, timeMs: this.#lastTimeMs, ...move };
  }

  /** The move is committed. True when there is more to move. */
  moved(move: Move): boolean {
    if (move.reign !== this.#reign) return this.#committedThrough < this.#appliedThrough;
    this.#committedThrough = move.through;
    for (const entry of move.entries) {
      this.#movedBytes += stateBytesOf(entry);
      this.backlog.move(bytesOf(entry));
    }
    this.#overlay.remove(move.entries);
    this.backlog.moved();
    const mark = this.#queuedMarks[0];
    if (mark !== undefined && mark.slot === move.through) {
      this.#queuedMarks.shift();
      this.#marks.take(mark.slot);
      // Somebody waits for the next one as well.
      if (this.#queuedMarks.length > 0) this.#applier.hurry();
    }
    this.#tree.flushed().then(
      () => {
        if (move.reign === this.#reign) this.#durableThrough = Math.max(this.#durableThrough, move.through);
      },
      // A later commit failed, and says so itself; this one is not known to be on disk.
      () => undefined,
    );
    return !this.#closed && this.#committedThrough < this.#appliedThrough;
  }

  /**
   * The tree exactly as of a mark's slot. Throws ERR_STORE_BEHIND where the mark is not reached in time, or its snapshot is gone: released,
   * too old, or from before a restart.
   */
  async marked(slot: number, timeoutMs: number): Promise<MarkedSnapshot> {
    return await this.#marks.at(slot, this.#committedThrough, timeoutMs);
  }

  /** Nothing more is applied here: who waits for a mark is told so. */
  endMarks(): void {
    this.#marks.end();
  }

  releaseMark(slot: number): void {
    this.#marks.release(slot);
  }

  /** Raw values of a marked snapshot, unverified. */
  rawRange(range: TreeRange, marked: MarkedSnapshot): IterableIterator<{ key: Buffer; bytes: Buffer }> {
    return this.#tree.rawRange(this.partition, range, marked.snapshot);
  }

  /** The state as the B-tree has it now, which may be a moment behind what is applied. Close it soon: lmdb keeps every page that it can still see. */
  state(): ReplicaState {
    const snapshot = this.#tree.snapshot();
    const { slot, timeMs } = this.#tree.applied(this.partition, snapshot);
    let open = true;
    return {
      slot,
      timeMs,
      pages: (bytesMax) => this.#tree.rawPages(this.partition, snapshot, bytesMax),
      close: () => {
        if (open) snapshot.transaction.done();
        open = false;
      },
    };
  }

  /**
   * What was staged in the tree takes the place of the whole state, by one durable step. Nothing is applied meanwhile. Rejects where it did not
   * come to that: the old state stands.
   */
  async takeOver(staged: StateHeader): Promise<void> {
    this.#switching = true;
    try {
      // What is on its way into the tree belongs to the state as it was.
      await this.#applier.settled();
      if (this.#closed || staged.slot <= this.#appliedThrough)
        throw new StoreError("ERR_STORE_CLOSED", `partition ${this.partition} does not need slot ${staged.slot}`);
      await this.#tree.switchOver(this.partition, staged, () => this.#forgetAllBefore(staged));
      this.#durableThrough = staged.slot;
    } finally {
      this.#switching = false;
      this.#applier.schedule(this, 0);
    }
    for (const observer of this.#takeOverObservers) observer();
  }

  #forgetAllBefore({ slot, timeMs }: StateHeader): void {
    this.#reign++;
    this.#description = undefined;
    this.#overlay.clear();
    this.#queue = [];
    this.#queuedMarks = [];
    this.backlog.clear();
    this.#movedBytes = this.#takenBytes;
    this.#appliedThrough = slot;
    this.#committedThrough = slot;
    this.#lastDeleteSlot = slot;
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs);
    this.#marks.passedOver(slot);
  }

  close(): void {
    this.#closed = true;
    this.#marks.close();
    this.backlog.close();
    this.#applier.forget(this);
  }
}
