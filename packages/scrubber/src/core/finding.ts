import type { KeyRange, Position, SourceKind } from "./source.js";

/** When a finding came to be: after the position of the last pass that saw nothing wrong there, if any did, and by the one that saw it first. */
export interface Since {
  readonly after: Position | undefined;
  readonly by: Position;
}

/** One key on one source that is not as it should be. */
export interface Divergence {
  readonly key: Uint8Array;
  /** The odd one out; with `against: "none"` each source has a divergence of its own. May be the reference. */
  readonly replica: string;
  readonly against: "reference" | "majority" | "none";
  /** `missing`: it lacks the key. `extra`: it alone has it (a delete that was lost). `different`: other bytes. */
  readonly kind: "missing" | "extra" | "different";
  /** The sources whose word was taken; empty with `against: "none"`. */
  readonly agreed: readonly string[];
  /** What the odd one is: a tree, a log, an archive, or the reference. */
  readonly where: SourceKind;
  /**
   * `rot`: what lies there is not what was written. `applied`: it is, so something else was applied there (a skipped or repeated command, a bug).
   * `unknown`: the source cannot tell; checksums in its values or a `MerkleIndex` would.
   */
  readonly cause: "rot" | "applied" | "unknown";
  readonly since: Since;
  readonly at: Position;
}

/** A range that one source could not read: rot below the data itself, or a failing disk. */
export interface Unreadable {
  readonly replica: string;
  readonly where: SourceKind;
  readonly since: Since;
  readonly range: KeyRange;
  readonly cause: unknown;
}

/** A source that took no part, or not until the end. Not a finding about its data. */
export interface Absent {
  readonly replica: string;
  /**
   * `behind`: it cannot answer at the position (yet, or any more). `unreachable`: it failed to give a snapshot at all, or did not answer in
   * `answerTimeoutMs`. `incompatible`: it makes its digests in another version's way.
   */
  readonly why: "behind" | "unreachable" | "incompatible";
  readonly cause: unknown;
}

export interface PassReport {
  readonly at: Position;
  /** The sources compared to the end, the reference among them. */
  readonly compared: readonly string[];
  readonly absent: readonly Absent[];
  /** Whole pass done. False when fewer than two sources could be compared. */
  readonly complete: boolean;
  readonly divergences: readonly Divergence[];
  readonly unreadable: readonly Unreadable[];
  /** Ranges that differ and were not narrowed any more, because `findingsMax` was reached. */
  readonly unexamined: readonly KeyRange[];
  /** Ranges whose digests differed and whose entries then agreed: a source that does not answer the same twice. */
  readonly unstable: readonly KeyRange[];
  /** As the source with the most holds them. */
  readonly keys: number;
  readonly bytes: number;
  /** Calls of `digests` to one source: what agreement and narrowing cost in round trips. */
  readonly exchanges: number;
}
