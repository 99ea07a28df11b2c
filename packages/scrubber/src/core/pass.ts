import { cut, equalBytes, joinRange, NO_BYTES, only } from "./bytes.js";
import type { Divergence, PassReport, Unreadable } from "./finding.js";
import type { History } from "./history.js";
import { compareEntries } from "./leaf.js";
import { type Answer, Panel } from "./panel.js";
import type { Digest, KeyRange, Position, ReplicaSource } from "./source.js";

export interface PassOptions {
  readonly replicas: readonly ReplicaSource[];
  readonly reference: ReplicaSource | undefined;
  readonly at: Position;
  /** Takes the word of the digests that sources keep along with their writes, instead of reading all. */
  readonly kept: boolean;
  /** Bytes of one step: what is hashed without a break, and what `take` is asked for at a time. */
  readonly stepBytes: number;
  /** Below so many keys a range is read out and compared key by key. */
  readonly leafKeysMax: number;
  /** Into how many parts a differing range is cut; each level of narrowing costs one exchange with every source. */
  readonly fanout: number;
  readonly findingsMax: number;
  /** What earlier passes have seen. */
  readonly history: History;
  /** Waits until so many more bytes may be read. */
  readonly take: (bytes: number) => Promise<void> | void;
  readonly signal: AbortSignal | undefined;
  /** Called after each step with the key up to which all is compared; undefined at the end. */
  readonly onStep: ((step: StepDone) => Promise<void> | void) | undefined;
  /** Where to begin: what is below was compared by a pass that was interrupted. */
  readonly from: Uint8Array | undefined;
  /** Asked after each step: true ends it there, and somebody goes on from where it ended. */
  readonly isEnough: (() => Promise<boolean> | boolean) | undefined;
}

/** What a part of a pass came to, and where the next part begins; undefined: nothing is left, or it cannot go on. */
export interface PassPart {
  readonly report: PassReport;
  readonly next: Uint8Array | undefined;
}

export interface StepDone {
  readonly through: Uint8Array | undefined;
  /** Compared in this step, as the source with the most holds it. */
  readonly bytes: number;
  /** Found in this pass so far, ranges that were not examined and unstable ones counted. */
  readonly findings: number;
}

/** Compares all sources over all keys at one position, and narrows every difference to its keys. */
export async function comparePass(options: PassOptions): Promise<PassPart> {
  const { replicas, reference, at, kept } = options;
  const panel = await Panel.open(reference === undefined ? replicas : [...replicas, reference], at, kept);
  const pass = new Pass(options, panel);
  try {
    return await pass.run();
  } finally {
    await panel.close();
  }
}

class Pass {
  readonly #options: PassOptions;
  readonly #panel: Panel;
  readonly #divergences: Divergence[] = [];
  readonly #unreadable: Unreadable[] = [];
  readonly #unexamined: KeyRange[] = [];
  readonly #unstable: KeyRange[] = [];
  #guides: readonly string[] = [];
  #keys = 0;
  #bytes = 0;

  constructor(options: PassOptions, panel: Panel) {
    this.#options = options;
    this.#panel = panel;
  }

  async run(): Promise<PassPart> {
    const { stepBytes, take, signal, onStep, isEnough } = this.#options;
    let next: Uint8Array | undefined;
    let from: Uint8Array | undefined = this.#options.from ?? NO_BYTES;
    while (from !== undefined && this.#panel.names.length > 1) {
      signal?.throwIfAborted();
      // Where all know their digests, one step is all: agreement then costs one digest from each.
      const known = this.#panel.kept && this.#panel.keeps;
      if (!known) await take(stepBytes);
      const to: Uint8Array | undefined = known ? undefined : await this.#stepEnd(from);
      const bytes = await this.#step({ from, to });
      from = to;
      await onStep?.({ through: to, bytes, findings: this.#found() });
      if (to === undefined || this.#panel.names.length < 2 || !(await isEnough?.())) continue;
      next = to;
      break;
    }
    const compared = this.#panel.names;
    const complete = from === undefined && compared.length > 1;
    // It may have been the end of the pass that a source had no more time to answer.
    if (!complete && next === undefined) signal?.throwIfAborted();
    const report: PassReport = {
      at: this.#options.at,
      compared: compared.length > 1 ? compared : [],
      absent: this.#panel.absent,
      complete,
      divergences: this.#divergences,
      unreadable: this.#unreadable,
      unexamined: this.#unexamined,
      unstable: this.#unstable,
      keys: this.#keys,
      bytes: this.#bytes,
      exchanges: this.#panel.exchanges,
    };
    return { report, next };
  }

  /** Where a step that starts here ends, in the eyes of the source that held most in the step before. */
  async #stepEnd(from: Uint8Array): Promise<Uint8Array | undefined> {
    const range: KeyRange = { from, to: undefined };
    const splits = await this.#panel.splits(range, { bytes: this.#options.stepBytes, splitsMax: 1 }, this.#guides);
    return cut(range, splits)[0]?.to;
  }

  async #step(range: KeyRange): Promise<number> {
    const [answers = []] = await this.#panel.digests([range]);
    const widest = largest(answers);
    this.#guides = byKeys(answers);
    this.#keys += widest?.keys ?? 0;
    this.#bytes += widest?.bytes ?? 0;
    if (!agree(answers)) await this.#narrow(range, answers);
    return widest?.bytes ?? 0;
  }

  /** Cuts a differing range again and again, each level in one exchange, and reads out what is left. */
  async #narrow(range: KeyRange, answers: readonly Answer[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (this.#findings() >= this.#options.findingsMax) {
      joinRange(this.#unexamined, range);
      return;
    }
    const widest = largest(answers);
    if (widest === undefined || widest.keys <= this.#options.leafKeysMax) {
      await this.#readOut(range);
      return;
    }
    if (!this.#panel.kept) await this.#options.take(widest.bytes);
    const splits = await this.#panel.splits(
      range,
      { bytes: Math.ceil(widest.bytes / this.#options.fanout), splitsMax: this.#options.fanout - 1 },
      byKeys(answers),
    );
    const pieces = cut(range, splits);
    if (pieces.length === 1) {
      await this.#readOut(range);
      return;
    }
    const said = await this.#panel.digests(pieces);
    const before = this.#found();
    for (const [index, piece] of pieces.entries()) {
      const pieceAnswers = said[index] ?? [];
      if (!agree(pieceAnswers)) await this.#narrow(piece, pieceAnswers);
    }
    if (this.#found() === before) joinRange(this.#unstable, range);
  }

  async #readOut(range: KeyRange): Promise<void> {
    const read = await this.#panel.entries(range);
    const readable: { readonly name: string; readonly entries: NonNullable<(typeof read)[number]["entries"]> }[] = [];
    for (const { name, entries, cause } of read) {
      if (entries === undefined) this.#addUnreadable(name, range, cause);
      else readable.push({ name, entries });
    }
    const found = compareEntries(readable, this.#options.reference?.name);
    for (const one of found) {
      const intact = await this.#panel.intact(one.replica, only(one.key));
      const cause = intact === undefined ? "unknown" : intact ? "applied" : "rot";
      const since = this.#options.history.since(one.replica, one.key);
      const { at } = this.#options;
      this.#divergences.push({ ...one, where: this.#panel.kindOf(one.replica), cause, since, at });
    }
    if (found.length === 0 && readable.length === read.length && read.length > 1) joinRange(this.#unstable, range);
  }

  #addUnreadable(replica: string, range: KeyRange, cause: unknown): void {
    const index = this.#unreadable.findIndex(
      (other) => other.replica === replica && other.range.to !== undefined && equalBytes(other.range.to, range.from),
    );
    const before = this.#unreadable[index];
    const since = this.#options.history.sinceRange(replica, range);
    const where = this.#panel.kindOf(replica);
    if (before === undefined) this.#unreadable.push({ replica, where, since, range, cause });
    else this.#unreadable[index] = { ...before, range: { from: before.range.from, to: range.to } };
  }

  #findings(): number {
    return this.#divergences.length + this.#unreadable.length;
  }

  #found(): number {
    return this.#findings() + this.#unexamined.length + this.#unstable.length;
  }
}

/** Of two parts of one pass, as of the earlier position: what was right then may have become wrong since. */
export function joined(first: PassReport, second: PassReport): PassReport {
  const compared = first.compared.filter((name) => second.compared.includes(name));
  const absent = [...first.absent, ...second.absent];
  return {
    at: first.at,
    compared,
    absent: absent.filter(({ replica }, index) => absent.findIndex((other) => other.replica === replica) === index),
    complete: second.complete && compared.length > 1,
    divergences: [...first.divergences, ...second.divergences],
    unreadable: [...first.unreadable, ...second.unreadable],
    unexamined: [...first.unexamined, ...second.unexamined],
    unstable: [...first.unstable, ...second.unstable],
    keys: first.keys + second.keys,
    bytes: first.bytes + second.bytes,
    exchanges: first.exchanges + second.exchanges,
  };
}

function agree(answers: readonly Answer[]): boolean {
  const first = answers[0]?.digest;
  return answers.every(({ digest }) => digest !== undefined && first !== undefined && sameDigest(digest, first));
}

function sameDigest(a: Digest, b: Digest): boolean {
  return a.keys === b.keys && a.bytes === b.bytes && equalBytes(a.hash, b.hash);
}

/** Names of the sources, the one with most keys first; those that could not read are last. */
function byKeys(answers: readonly Answer[]): string[] {
  return [...answers].sort((a, b) => (b.digest?.keys ?? -1) - (a.digest?.keys ?? -1)).map((answer) => answer.name);
}

function largest(answers: readonly Answer[]): Digest | undefined {
  return answers.reduce<Digest | undefined>(
    (most, { digest }) => (digest !== undefined && (most === undefined || digest.keys > most.keys) ? digest : most),
    undefined,
  );
}
