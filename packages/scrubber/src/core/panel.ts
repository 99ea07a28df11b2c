import { checkOrder, copyOf } from "./bytes.js";
import { DIGEST_VERSION } from "./digest.js";
import { whyGone } from "./errors.js";
import type { Absent } from "./finding.js";
import { KEPT_DIGEST_VERSION } from "./run-digest.js";
import type {
  Digest,
  Entry,
  KeyRange,
  Position,
  ReplicaSnapshot,
  ReplicaSource,
  SourceKind,
  SplitOptions,
} from "./source.js";

interface Member {
  readonly name: string;
  readonly snapshot: ReplicaSnapshot;
}

/** What one source says about one range: a digest, or why it cannot. */
export type Answer = { readonly name: string } & (
  | { readonly digest: Digest; readonly cause?: undefined }
  | { readonly digest: undefined; readonly cause: unknown }
);

/**
 * The sources of one pass, each with its snapshot. One that turns out to be behind, or does not answer, leaves the panel for the rest of the
 * pass; one that fails to read stays, because that is what the pass is looking for.
 */
export class Panel {
  readonly absent: Absent[] = [];
  exchanges = 0;
  #members: Member[] = [];
  readonly #kinds = new Map<string, SourceKind>();

  /** Sources that keep digests along with their writes are asked for those, and all others for such as they would be. */
  #kept = false;

  static async open(sources: readonly ReplicaSource[], at: Position, kept = false): Promise<Panel> {
    const panel = new Panel();
    const opened = await Promise.allSettled(sources.map(async (source) => source.snapshot(at)));
    for (const [index, result] of opened.entries()) {
      const { name, kind = "tree" } = sources[index] as ReplicaSource;
      panel.#kinds.set(name, kind);
      if (result.status === "fulfilled") panel.#members.push({ name, snapshot: result.value });
      else
        panel.absent.push({
          replica: name,
          why: whyGone(result.reason) ?? "unreachable",
          cause: result.reason,
        });
    }
    panel.#kept =
      kept && panel.#members.every(({ snapshot }) => (snapshot.kept ?? snapshot.digestsAsKept) !== undefined);
    return panel;
  }

  /** Whether digests are compared that are kept: not, whatever was asked for, where a source can say nothing in that form. */
  get kept(): boolean {
    return this.#kept;
  }

  /** Whether all of them keep digests along with their writes. */
  get keeps(): boolean {
    return this.#members.every((member) => member.snapshot.kept !== undefined);
  }

  get names(): string[] {
    return this.#members.map((member) => member.name);
  }

  /** For each range, what each source says. */
  async digests(ranges: readonly KeyRange[]): Promise<Answer[][]> {
    const members = this.#members;
    const said = await Promise.all(members.map(async (member) => this.#ask(member, ranges)));
    return ranges.map((_, index) =>
      said.flatMap((answers, m) => {
        const answer = answers?.[index];
        return answer === undefined || !this.#members.includes(members[m] as Member) ? [] : [answer];
      }),
    );
  }

  /**
   * From the first source, in the order of `preferred`, that knows where to cut. One that holds too little in the range to cut it has no
   * say: the others may hold much. Empty when nobody would cut.
   */
  async splits(
    range: KeyRange,
    options: SplitOptions,
    preferred: readonly string[] = [],
  ): Promise<readonly Uint8Array[]> {
    const rank = (member: Member): number =>
      (preferred.indexOf(member.name) + preferred.length + 1) % (preferred.length + 1);
    for (const member of [...this.#members].sort((a, b) => rank(a) - rank(b))) {
      try {
        const splits = await this.#cutterOf(member).splits(range, options);
        if (splits.length > 0) return splits;
      } catch (error) {
        this.#leaveIfGone(member, error);
      }
    }
    return [];
  }

  /** All entries of a narrow range, from each source; the cause where one cannot read them. */
  async entries(range: KeyRange): Promise<{ name: string; entries: Entry[] | undefined; cause: unknown }[]> {
    const members = this.#members;
    const read = await Promise.all(
      members.map(async (member) => {
        try {
          const entries: Entry[] = [];
          for await (const { key, value } of member.snapshot.entries(range)) {
            checkOrder(entries.at(-1)?.key, key);
            entries.push({ key: copyOf(key), value: copyOf(value) });
          }
          return { name: member.name, entries, cause: undefined };
        } catch (cause) {
          this.#leaveIfGone(member, cause);
          return { name: member.name, entries: undefined, cause };
        }
      }),
    );
    return read.filter((_, m) => this.#members.includes(members[m] as Member));
  }

  kindOf(name: string): SourceKind {
    return this.#kinds.get(name) ?? "tree";
  }

  /** What a source says about its own bytes; a source that fails to say has not said it. */
  async intact(name: string, range: KeyRange): Promise<boolean | undefined> {
    const snapshot = this.#members.find((member) => member.name === name)?.snapshot;
    try {
      return snapshot?.intact === undefined ? await snapshot?.kept?.intact(range) : await snapshot.intact(range);
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    // A source that cannot even close has nothing to add to the report.
    await Promise.allSettled(this.#members.map(async (member) => member.snapshot.close()));
    this.#members = [];
  }

  #cutterOf({ snapshot }: Member): Pick<ReplicaSnapshot, "splits"> {
    return this.#kept ? (snapshot.kept ?? snapshot) : snapshot;
  }

  async #digestsOf({ snapshot }: Member, ranges: readonly KeyRange[]): Promise<readonly Digest[]> {
    if (!this.#kept) return snapshot.digests(ranges);
    return snapshot.kept?.digests(ranges) ?? snapshot.digestsAsKept?.(ranges) ?? [];
  }

  async #ask(member: Member, ranges: readonly KeyRange[]): Promise<Answer[] | undefined> {
    this.exchanges++;
    try {
      const digests = await this.#digestsOf(member, ranges);
      if (digests.length !== ranges.length) throw new Error(`${digests.length} digests for ${ranges.length} ranges`);
      const wanted = this.#kept ? KEPT_DIGEST_VERSION : DIGEST_VERSION;
      const foreign = digests.find((digest) => digest.version !== wanted);
      if (foreign !== undefined) {
        this.#leave(member, "incompatible", new Error(`digests of version ${foreign.version}, not ${wanted}`));
        return undefined;
      }
      return digests.map((digest) => ({ name: member.name, digest }));
    } catch (cause) {
      if (this.#leaveIfGone(member, cause)) return undefined;
      if (ranges.length === 1) return [{ name: member.name, digest: undefined, cause }];
    }
    // One bad range fails the whole batch: ask for each alone, to keep what can be read.
    const answers: Answer[] = [];
    for (const range of ranges) {
      const one = await this.#ask(member, [range]);
      if (one === undefined) return undefined;
      answers.push(...one);
    }
    return answers;
  }

  #leaveIfGone(member: Member, cause: unknown): boolean {
    const why = whyGone(cause);
    if (why !== undefined) this.#leave(member, why, cause);
    return why !== undefined;
  }

  #leave(member: Member, why: Absent["why"], cause: unknown): void {
    if (!this.#members.includes(member)) return;
    this.#members = this.#members.filter((other) => other !== member);
    this.absent.push({ replica: member.name, why, cause });
    // Whether it can still close is nobody's concern here.
    void member.snapshot.close().catch(() => {});
  }
}
