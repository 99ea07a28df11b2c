import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { salvage, Wal } from "../src/index.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";
import { History } from "./support/history.js";
import { contents, newTally, opened, powerCuts } from "./support/power-cuts.js";

const subject = { Wal, salvage };
const only = process.env.WAL_SEED;

describe("after power cuts at any write boundary, with any subset of unsynced pages kept", () => {
  it("the log is what was acknowledged, or what calls in flight would have made of it; flipped bits make no difference or are reported", {
    timeout: 240_000,
  }, async () => {
    const tally = newTally();
    if (only !== undefined) {
      await powerCuts(Number(only), subject, tally);
      return;
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0x7fffffff }), async (seed) => {
        await powerCuts(seed, subject, tally).catch((error: unknown) => {
          const replay = `replay: WAL_SEED=${seed} npx vitest run test/crashes.test.ts`;
          throw new Error(`${error instanceof Error ? error.message : String(error)}\n${replay}`, { cause: error });
        });
      }),
      // The examples: killed between a rename and the directory's sync, opened again, and only then the power cut; records carried, truncated and
      // replaced within one batch; a torn batch whose header alone vouches; records carried by the very batch that was hit.
      { numRuns: 60, endOnFailure: true, examples: [[1226699598], [13], [120667525], [805746490], [1601766363]] },
    );
    for (const [trouble, times] of Object.entries(tally)) expect(times, trouble).toBeGreaterThan(0);
  });

  it("at every single boundary of a short life, and again at every single one of the opening that follows", {
    timeout: 240_000,
  }, async () => {
    const [first, last] = ["first", "last"].map((text) => Buffer.from(text));
    let cuts = 0;
    for (let boundary = 0, over = false; !over; boundary++) {
      const random = seeded(boundary);
      const fileSystem = new FaultFileSystem();
      const history = new History(["a"]);
      fileSystem.countdown = boundary;
      const wal = await opened(subject, fileSystem).catch(() => undefined);
      const stream = wal?.stream("a");
      const call = async (next: readonly string[], from: number, made: () => Promise<unknown> | undefined) => {
        const step = history.called("a", { first: from, records: next });
        await made();
        history.acknowledged(step, wal?.stats().durableBatch ?? 0);
      };
      const large = "x".repeat(30_000);
      const short = "x30000";
      const life = async () => {
        await call(["first"], 1, () => stream?.append(first as Buffer));
        await call(["first", short], 1, () => stream?.append(Buffer.from(large)));
        await call(["first", short, short], 1, () => stream?.append(Buffer.from(large)));
        await call([short], 3, () => stream?.truncateBefore(3));
        await call([short, "last", short], 3, () => stream?.append([last as Buffer, Buffer.from(large)]));
        await call([short, "last"], 3, () => stream?.truncateAfter(4));
        await wal?.close();
      };
      if (wal !== undefined) {
        over = await life().then(
          () => fileSystem.countdown > 0,
          () => false,
        );
      }
      fileSystem.crash(random);
      await wal?.close().catch(() => undefined);
      const restore = fileSystem.snapshot();
      for (let again = 0, opening = true; opening; again++) {
        restore();
        fileSystem.countdown = again;
        const second = await opened(subject, fileSystem).catch(() => undefined);
        opening = second === undefined;
        fileSystem.crash(random);
        await second?.close().catch(() => undefined);
        const third = await opened(subject, fileSystem);
        const world = await contents(third);
        expect(() => history.mayBe(world), `cut at ${boundary}, then at ${again}`).not.toThrow();
        await third.close();
        cuts++;
      }
    }
    expect(cuts).toBeGreaterThan(300);
  });
});
