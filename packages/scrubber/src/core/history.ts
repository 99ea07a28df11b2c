import { equalBytes } from "./bytes.js";
import type { PassReport, Since } from "./finding.js";
import type { Position } from "./source.js";

interface Open {
  readonly replica: string;
  readonly key: Uint8Array;
  readonly since: Since;
}

export interface SavedHistory {
  readonly read: readonly { readonly replica: string; readonly at: Position }[];
  readonly kept: readonly { readonly replica: string; readonly at: Position }[];
  readonly open: readonly Open[];
}

/** What passes before the one that runs have seen: from when on a finding may date. Bounded by the findings of one pass. */
export class History {
  /** By replica, the last position at which all of it was compared; and the last at which what it had written was. */
  readonly #read = new Map<string, Position>();
  readonly #kept = new Map<string, Position>();
  readonly #open = new Map<number, Open[]>();
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
    if (known !== undefined) return known.since;
    const read = this.#read.get(replica);
    const kept = this.#keptPass ? this.#kept.get(replica) : undefined;
    return { after: kept === undefined || (read ?? -1) > kept ? read : kept, by: this.#at };
  }

  /** For the next process. */
  saved(): SavedHistory {
    const positions = (of: ReadonlyMap<string, Position>) => [...of].map(([replica, at]) => ({ replica, at }));
    return { read: positions(this.#read), kept: positions(this.#kept), open: [...this.#open.values()].flat() };
  }

  recall({ read, kept, open }: SavedHistory): void {
    for (const { replica, at } of read) this.#read.set(replica, at);
    for (const { replica, at } of kept) this.#kept.set(replica, at);
    for (const one of open) {
      const at = slot(one.replica, one.key);
      this.#open.set(at, [...(this.#open.get(at) ?? []), one]);
    }
  }

  /** A pass has ended. One that did not compare everything proves nothing about what it did not find. */
  end({ complete, compared, divergences, unreadable, unexamined, at }: PassReport, partly: boolean): void {
    if (!complete) return;
    if (!this.#keptPass && !partly) this.#open.clear();
    const found = [...divergences, ...unreadable.map((one) => ({ ...one, key: one.range.from }))];
    for (const { replica, key, since } of found) {
      const at = slot(replica, key);
      const there = this.#open.get(at)?.filter((one) => one.replica !== replica || !equalBytes(one.key, key)) ?? [];
      this.#open.set(at, [...there, { replica, key, since }]);
    }
    if (unexamined.length > 0 || partly) return;
    for (const replica of compared) (this.#keptPass ? this.#kept : this.#read).set(replica, at);
  }
}

/** Keys of bytes in a Map: by a small hash, with the few that share it side by side. */
function slot(replica: string, key: Uint8Array): number {
  let hash = replica.length;
  for (let i = 0; i < replica.length; i++) hash = Math.imul(hash, 31) + replica.charCodeAt(i);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash, 31) + (key[i] as number);
  return hash | 0;
}
