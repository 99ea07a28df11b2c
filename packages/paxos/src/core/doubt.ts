import { BALLOT_ZERO, type Ballot, compareBallots } from "./ballot.js";
import { type Configuration, markIn } from "./configuration.js";
import type { DoubtMessage, Rank, Standing } from "./messages.js";
import type { Replica } from "./replica.js";

export const RANK_ZERO: Rank = Object.freeze({ accepted: BALLOT_ZERO, logEnd: 0 });

export function compareRanks(a: Rank, b: Rank): number {
  return compareBallots(a.accepted, b.accepted) || a.logEnd - b.logEnd;
}

export function rankOf(replica: Replica): Rank {
  return { accepted: replica.accepted, logEnd: replica.log.end };
}

/**
 * Of an acceptor whose log may lack its very last write: torn, and nobody could have been told; or rotten, and somebody may have been told that it was
 * there. It asks **all** other members where they stand, in this life: whoever the forgotten promise was made to, or whoever sent the forgotten
 * entries, had promised and appended as much before. Then it promises no less than the highest of them, and speaks again; but until its own
 * log is as good as the best of theirs, nobody may lead with its promise unless the log that is adopted is. (To ask a quorum would not do: a promise from
 * before may still be on its way to the one who was not asked.) Nobody is asked who has left by what is known here as chosen; while somebody does not answer, what is chosen is fetched
 * from those who did. ARCHITECTURE.md has the argument.
 */
export class Doubt {
  readonly #replica: Replica;
  /** So that answers from before we began to ask, in this life or an earlier one, do not count. */
  #id: number;
  /** Whom to ask, and by which mark; a name under two marks is two. */
  readonly #needed = new Map<string, { readonly node: string; readonly mark: string | undefined }>();
  readonly #answers = new Map<string, Standing>();
  /** Who has said that it has left. */
  readonly #left = new Set<string>();
  /** The newest that we knew as chosen when we began to ask. */
  #chosen: Configuration;
  #askAtMs = 0;
  /** The slot that was fetched last. */
  #fetched: number | undefined;
  #floor: Rank | undefined;
  #raised: Ballot = BALLOT_ZERO;

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#id = Math.floor(replica.settings.random() * 2 ** 48);
    this.#chosen = this.#knownChosen;
    this.#begin();
  }

  get #knownChosen(): Configuration {
    const { configurations, knownChosen } = this.#replica;
    return configurations.at(knownChosen).configuration;
  }

  /** All answers count from here on: what they say of promises and logs is no older than what we know of the members. */
  #begin(): void {
    const { configurations, knownChosen, nowMs } = this.#replica;
    this.#id++;
    this.#answers.clear();
    this.#chosen = this.#knownChosen;
    for (const [key, { node }] of this.#needed) if (this.#chosen.departed.includes(node)) this.#needed.delete(key);
    // Who leaves by an entry that is not chosen has not left.
    for (const { peers, configuration } of configurations.since(knownChosen))
      for (const node of peers) this.#need(node, markIn(configuration, node));
    this.#askAtMs = nowMs;
  }

  /** Somebody has not told us yet: nothing that we say may count. */
  get open(): boolean {
    return this.#floor === undefined;
  }

  /** It is asked on until nothing is in doubt: who has left in the meantime takes along what nobody else has. */
  get wakeAtMs(): number {
    return this.#askAtMs;
  }

  /** No less than this had been promised by somebody, perhaps by us. */
  get raised(): Ballot {
    return this.#raised;
  }

  /** Who leads with our help must have adopted a log as good as this. */
  get floor(): Rank {
    return this.#floor ?? RANK_ZERO;
  }

  /** Our log holds whatever it may have forgotten, or what has come in its place. */
  get over(): boolean {
    return this.#floor !== undefined && compareRanks(rankOf(this.#replica), this.#floor) >= 0;
  }

  tick(): void {
    const replica = this.#replica;
    if (replica.nowMs >= this.#askAtMs) {
      this.#askAtMs = replica.nowMs + replica.settings.voteTimeoutMs;
      for (const [key, { node, mark }] of this.#needed) {
        if (this.open && this.#answers.has(key)) continue;
        replica.send(node, { type: "doubt", id: this.#id, ...(mark === undefined ? {} : { mark }) });
      }
      for (const [key, { node }] of this.#needed) if (this.#answers.has(key)) this.#fetch(node);
    }
    this.#conclude();
  }

  /** Chosen entries have come: perhaps who does not answer has left. */
  onLearned(from: string): void {
    if (this.#fetched !== undefined && this.#replica.knownChosen >= this.#fetched) this.#fetch(from);
  }

  #fetch(from: string): void {
    if (!this.open) return;
    this.#fetched = this.#replica.knownChosen + 1;
    this.#replica.send(from, { type: "fetch", fromSlot: this.#fetched, throughSlot: Number.MAX_SAFE_INTEGER });
  }

  onStanding(from: string, message: Standing): void {
    const key = keyOf(from, message.mark);
    if (message.id !== this.#id || !this.#needed.has(key)) return;
    this.#answers.set(key, message);
    // Whom the others count as a member may be one that our lost write would have told us of.
    if (this.open) for (const node of message.members) this.#need(node, markIn(message, node));
    if (this.open && !message.members.includes(from) && !this.#left.has(from)) {
      // It says nothing of its log. Those who took it out do, and have to be asked after they did.
      this.#left.add(from);
      this.#begin();
    }
    this.#conclude();
  }

  #need(node: string, mark: string | undefined): void {
    if (node === this.#replica.self || this.#chosen.departed.includes(node)) return;
    this.#needed.set(keyOf(node, mark), { node, mark });
  }

  /** After each step: what was promised is made good as soon as it is known, and so is the doubt itself once the log holds enough. */
  settle(acceptor: { raise(ballot: Ballot): void }): void {
    if (this.open && this.#knownChosen.slot > this.#chosen.slot) this.#begin();
    if (this.open) return;
    acceptor.raise(this.raised);
    if (!this.over) return;
    this.#replica.doubt = undefined;
    this.#replica.effects.push({ type: "assured" });
  }

  #conclude(): void {
    if (this.#answers.size < this.#needed.size) return;
    const { open } = this;
    let floor = RANK_ZERO;
    for (const answer of this.#answers.values()) {
      if (open && compareBallots(answer.promised, this.#raised) > 0) this.#raised = answer.promised;
      if (compareRanks(answer, floor) > 0) floor = { accepted: answer.accepted, logEnd: answer.logEnd };
    }
    this.#floor = floor;
  }
}

/** Answers as whom it is asked; a log that may have forgotten everything has nothing to say by its name alone. */
export function answerDoubt(replica: Replica, from: string, { id, mark }: DoubtMessage): void {
  const { departed, promised, configurations, knownChosen, mute, birth, self } = replica;
  if (mark === undefined ? mute : mark !== birth) return;
  const named = configurations.since(knownChosen);
  const members = [...new Set(named.flatMap((one) => one.members))].sort();
  // What was chosen with the help of one that has left is held by those who took it out; what else it holds does not count. Who was only told that it has left cannot name them.
  const left = departed && !members.includes(self);
  const { accepted, logEnd } = left ? RANK_ZERO : rankOf(replica);
  const marks = members.flatMap((node) => {
    const of = named.map(({ configuration }) => markIn(configuration, node)).find((known) => known !== undefined);
    return of === undefined ? [] : [[node, of] as const];
  });
  const known = marks.length === 0 ? {} : { marks };
  const as = mark === undefined ? {} : { mark };
  replica.send(from, { type: "standing", id, promised, accepted, logEnd, members, ...known, ...as });
}

const keyOf = (node: string, mark: string | undefined): string => JSON.stringify([node, mark]);
