import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Coordinator, Grant, Settlement } from "../core/protocol.js";

export interface ConformanceCase {
  readonly name: string;
  /** Rejects with an AssertionError where the coordinator does not keep the contract. */
  run(): Promise<void>;
}

/** What a case asks a coordinator to be made with. */
export interface CoordinatorTerms {
  readonly leaseMs: number;
  readonly learnForMs: number;
  readonly learningShare: number;
}

export interface CoordinatorUnderTest {
  readonly coordinator: Coordinator;
  /** Lets so much of the coordinator's time pass: a staged clock steps, a real one is waited for. */
  pass(ms: number): Promise<void>;
  close(): Promise<void> | void;
}

const LIMIT = { ratePerSecond: 1000, burstSeconds: 2 };
const terms: CoordinatorTerms = { leaseMs: 60_000, learnForMs: 0, learningShare: 0.05 };
/** Long enough for a few round trips on a busy machine, short enough to be waited for. */
const SHORT_LEASE_MS = 500;

let made = 0;

/** A member that does as it is told: spends nothing, holds what it was granted last. */
class Member {
  readonly #coordinator: Coordinator;
  readonly #limit: string;
  readonly #incarnation: string;
  sequence = 0;
  holds = 0;
  granted: Grant | undefined;

  constructor(coordinator: Coordinator, limit: string) {
    made += 1;
    this.#coordinator = coordinator;
    this.#limit = limit;
    this.#incarnation = `incarnation-${made}`;
  }

  says(change: Partial<Settlement> = {}): Settlement {
    this.sequence += 1;
    return {
      limit: this.#limit,
      member: "member",
      incarnation: this.#incarnation,
      sequence: this.sequence,
      ...LIMIT,
      wantedPerSecond: 0,
      weight: 1,
      guaranteedPerSecond: 0,
      holdsPerSecond: this.holds,
      usedTotal: 0,
      returnedTotal: 0,
      closing: false,
      ...change,
    };
  }

  async settles(change: Partial<Settlement> = {}): Promise<Grant> {
    const grants = await send(this.#coordinator, [this.says(change)]);
    const grant = grants[0];
    ok(grant !== undefined, "a settlement that makes sense is answered");
    strictEqual(grant.sequence, this.sequence);
    strictEqual(grant.limit, this.#limit);
    this.holds = grant.ratePerSecond;
    this.granted = grant;
    return grant;
  }
}

function send(coordinator: Coordinator, settlements: readonly Settlement[]): Promise<readonly Grant[]> {
  return coordinator.settle(settlements, { signal: AbortSignal.timeout(30_000) });
}

function near(actual: number | undefined, expected: number, within = expected * 1e-6 + 1e-6): void {
  ok(actual !== undefined && Math.abs(actual - expected) <= within, `${actual} is not ${expected} within ${within}`);
}

type Check = (under: CoordinatorUnderTest, member: () => Member, limit: string) => Promise<void>;

const cases: Record<string, { readonly terms?: Partial<CoordinatorTerms>; readonly check: Check }> = {
  "gives a member that is alone all of the limit, and all that was saved": {
    async check(_under, member) {
      const grant = await member().settles();
      near(grant.ratePerSecond, 1000);
      near(grant.tokensTotal, 2000);
      near(grant.leaseMs, terms.leaseMs);
      near(grant.evenPerSecond, 1000);
      strictEqual(grant.short, false);
    },
  },
  "never hands out what another may still be spending": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      await one.settles({ wantedPerSecond: 1000 });
      const early = await two.settles({ wantedPerSecond: 1000 });
      near(early.ratePerSecond, 0);
      strictEqual(early.short, true);
      // One learns of its smaller share, and until it has confirmed that it still counts as holding the larger.
      near((await one.settles({ wantedPerSecond: 1000 })).ratePerSecond, 500);
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 0);
      await one.settles({ wantedPerSecond: 1000 });
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 500);
    },
  },
  "follows demand: who takes the traffic over has it when the other has settled": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      await one.settles({ wantedPerSecond: 900 });
      await two.settles({ wantedPerSecond: 900 });
      await one.settles({ wantedPerSecond: 0 });
      await one.settles({ wantedPerSecond: 0 });
      const grant = await two.settles({ wantedPerSecond: 900 });
      ok(grant.ratePerSecond >= 900, `${grant.ratePerSecond} of 1000 for who wants 900 of it alone`);
      ok(one.holds + two.holds <= 1000 + 1e-6);
    },
  },
  "is max-min fair: the modest have what they want, the rest is even": {
    async check(_under, member) {
      const fleet = [member(), member(), member()];
      const wants = [100, 2000, 3000];
      for (let round = 0; round < 4; round += 1) {
        for (const [i, one] of fleet.entries()) await one.settles({ wantedPerSecond: wants[i] as number });
      }
      near(fleet[0]?.holds, 100);
      near(fleet[1]?.holds, 450);
      near(fleet[2]?.holds, 450);
    },
  },
  "divides by weight, and keeps guarantees for members that want nothing": {
    async check(_under, member) {
      const fleet = [member(), member(), member()];
      const standing = [{ weight: 1 }, { weight: 3 }, { guaranteedPerSecond: 200 }];
      for (let round = 0; round < 4; round += 1) {
        for (const [i, one] of fleet.entries()) {
          await one.settles({ wantedPerSecond: i === 2 ? 0 : 5000, ...standing[i] });
        }
      }
      near(fleet[0]?.holds, 200);
      near(fleet[1]?.holds, 600);
      near(fleet[2]?.holds, 200);
    },
  },
  "starves nobody beside a wish above its guarantee by less than a division can say": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      // 400 and the next double above it are the same when divided by three.
      const hair = { wantedPerSecond: 400 + 2 ** -44, weight: 3, guaranteedPerSecond: 400 };
      for (let round = 0; round < 4; round += 1) {
        await one.settles(hair);
        await two.settles({ wantedPerSecond: 5000, weight: 0.001 });
      }
      near(one.holds, 400);
      near(two.holds, 600);
    },
  },
  "answers a settlement that comes twice as before, and changes nothing": {
    async check({ coordinator }, member) {
      const one = member();
      const settlement = one.says({ wantedPerSecond: 100 });
      const first = await send(coordinator, [settlement]);
      deepStrictEqual(await send(coordinator, [settlement]), first);
      const [second] = await send(coordinator, [one.says({ holdsPerSecond: 1000, returnedTotal: 500 })]);
      near(second?.tokensTotal, 2000);
      const [late] = await send(coordinator, [settlement]);
      strictEqual(late?.sequence, second?.sequence);
    },
  },
  "hands saved tokens over once, however many answers are lost": {
    async check({ coordinator }, member) {
      const one = member();
      for (let lost = 0; lost < 3; lost += 1) {
        const [grant] = await send(coordinator, [one.says({ holdsPerSecond: 0 })]);
        near(grant?.tokensTotal, 2000, 200);
      }
    },
  },
  "takes back what a leaving member had, its tokens too": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      const grant = await one.settles({ wantedPerSecond: 1000 });
      await two.settles({ wantedPerSecond: 10 });
      const left = await one.settles({ closing: true, holdsPerSecond: 0, returnedTotal: grant.tokensTotal });
      near(left.ratePerSecond, 0);
      const all = await two.settles({ wantedPerSecond: 10 });
      near(all.ratePerSecond, 1000);
      ok(all.tokensTotal > 1500, `${all.tokensTotal} tokens of 2000`);
    },
  },
  "takes a killed member's share back when its lease has ended": {
    terms: { leaseMs: SHORT_LEASE_MS },
    async check({ pass }, member) {
      await member().settles({ wantedPerSecond: 1000 });
      const two = member();
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 0);
      await pass(SHORT_LEASE_MS / 2);
      await two.settles({ wantedPerSecond: 1000 });
      await pass(SHORT_LEASE_MS * 0.7);
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 1000);
    },
  },
  "keeps two members of one name apart": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      await one.settles({ wantedPerSecond: 400 });
      await two.settles({ wantedPerSecond: 400 });
      await one.settles({ wantedPerSecond: 400 });
      await one.settles({ wantedPerSecond: 400 });
      const grant = await two.settles({ wantedPerSecond: 400 });
      near(grant.evenPerSecond, 500);
      ok(grant.ratePerSecond >= 400 && one.holds >= 400);
    },
  },
  "learns for a lease: believes what members hold, and lets newcomers have a small part": {
    terms: { leaseMs: SHORT_LEASE_MS * 3, learnForMs: SHORT_LEASE_MS * 3 },
    async check({ pass }, member) {
      const [newcomer, old, other] = [member(), member(), member()];
      const small = await newcomer.settles({ wantedPerSecond: 1000 });
      near(small.ratePerSecond, 50);
      ok(small.tokensTotal <= 100 + 1e-6, `${small.tokensTotal} tokens while learning`);
      old.holds = 700;
      near((await old.settles({ wantedPerSecond: 10 })).ratePerSecond, 700);
      // Another that claims more than can be: there is no more than the rest.
      other.holds = 700;
      ok((await other.settles({ wantedPerSecond: 700 })).ratePerSecond <= 250 + 1e-6);
      for (let quarter = 0; quarter < 5; quarter += 1) {
        await pass((SHORT_LEASE_MS * 3) / 4);
        await newcomer.settles({ wantedPerSecond: 1000 });
        await old.settles({ wantedPerSecond: 10 });
      }
      ok((await newcomer.settles({ wantedPerSecond: 1000 })).ratePerSecond > 900);
    },
  },
  "a cut of the limit reaches every member with its next settlement, and a raise the next grant": {
    async check(_under, member) {
      const [one, two] = [member(), member()];
      for (let round = 0; round < 3; round += 1) {
        for (const any of [one, two]) await any.settles({ wantedPerSecond: 1000 });
      }
      one.holds = 50;
      const cut = { ...LIMIT, ratePerSecond: 100 };
      near((await one.settles({ wantedPerSecond: 1000, ...cut })).evenPerSecond, 50);
      // Two has not heard of it, and says what it always said: that is no news.
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 50);
      near((await two.settles({ wantedPerSecond: 1000 })).ratePerSecond, 50);
      const raised = { ...LIMIT, ratePerSecond: 4000 };
      for (let round = 0; round < 3; round += 1) {
        await two.settles({ wantedPerSecond: 4000, ...raised });
        await one.settles({ wantedPerSecond: 4000, ...cut });
      }
      near(one.holds, 2000);
      near(two.holds, 2000);
    },
  },
  "leaves settlements out that make no sense, and answers the others": {
    async check({ coordinator }, member) {
      const nonsense: Partial<Settlement>[] = [
        { ratePerSecond: Number.NaN },
        { burstSeconds: -1 },
        { returnedTotal: Number.NaN },
        { sequence: 1.5 },
        { ratePerSecond: 1e308 },
      ];
      const good = member();
      const all = [...nonsense.map((change) => member().says(change)), good.says({ wantedPerSecond: Number.NaN })];
      const grants = await send(coordinator, all);
      strictEqual(grants.length, 1);
      near(grants[0]?.ratePerSecond, 1000);
      for (const wantedPerSecond of [-1, 1e308, Number.POSITIVE_INFINITY]) {
        ok((await good.settles({ wantedPerSecond })).ratePerSecond <= 1000 + 1e-6);
      }
    },
  },
  "knows limits of any name apart": {
    async check({ coordinator }, _member, limit) {
      const names = ["{", "}", "{}", "a{b}c", "new\nline", "naïve ☃", "\u0000", "x".repeat(900)].map((n) => limit + n);
      const settlements = names.map((name) => new Member(coordinator, name).says({ wantedPerSecond: 10 }));
      const grants = await send(coordinator, settlements);
      deepStrictEqual([...grants.map((grant) => grant.limit)].sort(), [...names].sort());
      for (const grant of grants) near(grant.ratePerSecond, 1000);
    },
  },
  "answers hundreds of limits in one message": {
    async check({ coordinator }, _member, limit) {
      const settlements = Array.from({ length: 300 }, (_, i) => new Member(coordinator, `${limit}${i}`).says());
      strictEqual((await send(coordinator, settlements)).length, 300);
    },
  },
  "keeps to the limit among members that come and go at random": {
    async check(_under, member) {
      let seed = 7;
      const random = () => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return seed / 2 ** 32;
      };
      let fleet = Array.from({ length: 5 }, member);
      for (let step = 0; step < 150; step += 1) {
        const one = fleet[Math.floor(random() * fleet.length)] as Member;
        const what = random();
        if (what < 0.1 && fleet.length > 2) {
          await one.settles({ closing: true, holdsPerSecond: 0 });
          fleet = fleet.filter((other) => other !== one);
        } else if (what < 0.2 && fleet.length < 12) fleet.push(member());
        else await one.settles({ wantedPerSecond: random() * 1500, weight: 0.5 + random() });
        const sum = fleet.reduce((total, { holds }) => total + holds, 0);
        ok(sum <= 1000 * (1 + 1e-9), `step ${step}: ${sum} of 1000 are in use`);
      }
    },
  },
};

/**
 * What every `Coordinator` must do, as cases for any test runner:
 * `for (const { name, run } of coordinatorCases(make)) test(name, run)`. `make` gives a coordinator on the terms that it is
 * told; limits are named anew in each case, so it may stand on a store that holds others.
 */
export function coordinatorCases(
  make: (terms: CoordinatorTerms) => CoordinatorUnderTest | Promise<CoordinatorUnderTest>,
): ConformanceCase[] {
  return Object.entries(cases).map(([name, { terms: own, check }]) => ({
    name,
    async run() {
      const under = await make({ ...terms, ...own });
      made += 1;
      const limit = `conformance-${made}-${process.hrtime.bigint()}`;
      try {
        await check(under, () => new Member(under.coordinator, limit), limit);
      } finally {
        await under.close();
      }
    },
  }));
}
