import { compareBytes, equalBytes } from "./bytes.js";
import type { PassReport, Since } from "./finding.js";
import type { KeyRange, Position } from "./source.js";

/** What is wrong on one replica: a key that differs. */
interface OpenKey {
  readonly replica: string;
  readonly key: Uint8Array;
  readonly since: Since;
}

/** A range that cannot be read. */
interface OpenRange {
  readonly replica: string;
  readonly range: KeyRange;
  readonly since: Since;
}

export interface SavedHistory {
  readonly read: readonly { readonly replica: string; readonly at: Position }[];
  readonly kept: readonly { readonly replica: string; readonly at: Position }[];
  readonly open: readonly OpenKey[];
  readonly openRanges: readonly OpenRange[];
}

/** Of what the last passes had no look at: past so many the others are forgotten, and date from when they are seen again. */
const UNSEEN_MAX = 100_000;

/** What passes before the one that runs have seen: from when on a finding may date. Bounded by the findings of one pass, and UNSEEN_MAX. */
export class History {
  /** By replica, the last position at which all of it was compared; and the last at which what it had written was. */
  readonly #read = new Map<string, Position>();
  readonly #kept = new Map<string, Position>();
  readonly #open = new Map<number, OpenKey[]>();
  #openRanges: OpenRange[] = [];
  #at: Position = 0;
  #keptPass = false;

  begin(at: Position, keptPass: boolean): void {
    this.#at = at;
    this.#keptPass = keptPass;
  }

  since(replica: string, key: Uint8Array): Since {
    const known = this.#open
      .get(slot(replica, key))
      ?.find((one) => one.replica === replica && equalBytes(one.key, key));
    return known?.since ?? this.#now(replica);
  }

  /** Where a range that cannot be read begins and ends depends on what lies around it: it is the same one as long as they have a part in common. */
  sinceRange(replica: string, range: KeyRange): Since {
    const known = this.#openRanges.find((one) => one.replica === replica && overlap(one.range, range));
    return known?.since ?? this.#now(replica);
  }

  /** For the next process. */
  saved(): SavedHistory {
    const positions = (of: ReadonlyMap<string, Position>) => [...of].map(([replica, at]) => ({ replica, at }));
    return {
      read: positions(this.#read),
      kept: positions(this.#kept),
      open: [...this.#open.values()].flat(),
      openRanges: this.#openRanges,
    };
  }

  recall({ read, kept, open, openRanges }: SavedHistory): void {
    for (const { replica, at } of read) this.#read.set(replica, at);
    for (const { replica, at } of kept) this.#kept.set(replica, at);
    for (const one of open) this.#add(one);
    this.#openRanges = [...openRanges];
  }

  /** A pass has ended. One that did not compare everything proves nothing about what it did not find. */
  end(report: PassReport, partly: boolean): void {
    const { complete, compared, divergences, unreadable, unexamined, at } = report;
    if (!complete) return;
    if (!this.#keptPass && !partly) this.#forgetSeen(report);
    for (const { replica, key, since } of divergences) this.#add({ replica, key, since });
    const found = unreadable.map(({ replica, range, since }) => ({ replica, range, since }));
    const before = this.#openRanges.filter(
      (one) => !found.some((other) => other.replica === one.replica && overlap(other.range, one.range)),
    );
    this.#openRanges = [...before, ...found];
    if (unexamined.length > 0 || partly) return;
    for (const replica of compared) (this.#keptPass ? this.#kept : this.#read).set(replica, at);
  }

  #now(replica: string): Since {
    const read = this.#read.get(replica);
    const kept = this.#keptPass ? this.#kept.get(replica) : undefined;
    return { after: kept === undefined || (read ?? -1) > kept ? read : kept, by: this.#at };
  }

  #add(open: OpenKey): void {
    const { replica, key } = open;
    const at = slot(replica, key);
    const there = this.#open.get(at)?.filter((one) => one.replica !== replica || !equalBytes(one.key, key)) ?? [];
    this.#open.set(at, [...there, open]);
  }

  /** What this pass has looked at is right now, or found again. What it had no look at is as it was. */
  #forgetSeen({ absent, unreadable, unexamined }: PassReport): void {
    const away = new Set(absent.map(({ replica }) => replica));
    const unseen = (replica: string, key: Uint8Array): boolean =>
      away.has(replica) ||
      unexamined.some((range) => within(range, key)) ||
      unreadable.some((one) => one.replica === replica && within(one.range, key));
    const open = [...this.#open.values()].flat().filter(({ replica, key }) => unseen(replica, key));
    this.#open.clear();
    for (const one of open.slice(0, UNSEEN_MAX)) this.#add(one);
    this.#openRanges = this.#openRanges
      .filter(({ replica, range }) => unseen(replica, range.from))
      .slice(0, UNSEEN_MAX);
  }
}

function within({ from, to }: KeyRange, key: Uint8Array): boolean {
  return compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0);
}

function overlap(a: KeyRange, b: KeyRange): boolean {
  return within(a, b.from) || within(b, a.from);
}

/** Keys of bytes in a Map: by a small hash, with the few that share it side by side. */
function slot(replica: string, key: Uint8Array): number {
  let hash = replica.length;
  for (let i = 0; i < replica.length; i++) hash = Math.imul(hash, 31) + replica.charCodeAt(i);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash, 31) + (key[i] as number);
  return hash | 0;
}
