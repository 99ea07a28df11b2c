import { describe, expect, it } from "vitest";
import { walStorage } from "../src/storage/index.js";
import { FakeWal } from "./support/fake-wal.js";

const ballot = { round: 1, node: "n1" };
const torn = (batch: number) => ({ file: "1.log", offset: 7, batch });

/** A log with two groups in it, that is opened again and again. */
class TornLog extends FakeWal {
  settled = 0;
  settleUncertain = async (): Promise<void> => {
    this.settled++;
    this.uncertainFrom = null;
  };

  /** Whether these groups are in doubt, as a process finds them that opens this log now. */
  async doubtful(...groups: string[]): Promise<boolean[]> {
    const storage = walStorage(this);
    return Promise.all(groups.map(async (group) => (await storage(group).load()).doubtful === true));
  }

  get notes() {
    return this.stream("doubts of paxos/");
  }
}

async function written(): Promise<TornLog> {
  const wal = new TornLog();
  for (const group of ["g", "h"]) await walStorage(wal)(group).write({ promised: ballot });
  wal.uncertainFrom = torn(5);
  return wal;
}

describe("what a log notes about its torn end", () => {
  it("is of all groups at once, and of each until it is made good", async () => {
    const wal = await written();
    expect(await wal.doubtful("g", "h")).toEqual([true, true]);
    const storage = walStorage(wal)("g");
    await storage.load();
    await storage.assured?.();
    expect(await wal.doubtful("g", "h")).toEqual([false, true]);
  });

  it("holds again of who had made good an earlier one, also when the crash left both notes there", async () => {
    for (const crashed of [false, true]) {
      const wal = await written();
      const storage = walStorage(wal)("g");
      await storage.load();
      await storage.assured?.();
      wal.uncertainFrom = torn(9);
      if (crashed) {
        // Nothing of what stands before the new note is let go of, and the log has not heard that it is written.
        wal.notes.truncateBefore = () => Promise.reject(new Error("power cut"));
        await expect(wal.doubtful("g")).rejects.toMatchObject({ code: "ERR_PAXOS_STORAGE" });
        expect(wal.settled).toBe(1);
      }
      expect(await wal.doubtful("g", "h")).toEqual([true, true]);
      expect(wal.settled).toBe(2);
      expect(await wal.doubtful("g", "h")).toEqual([true, true]);
    }
  });

  it("is on disk before the log is told so, and takes the place of what was noted before", async () => {
    const wal = await written();
    const { append } = wal.notes;
    let finish = () => {};
    wal.notes.append = async (records) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return append.call(wal.notes, records);
    };
    const opened = wal.doubtful("g");
    await new Promise((resolve) => setImmediate(resolve));
    expect(wal.settled).toBe(0);
    finish();
    expect(await opened).toEqual([true]);
    expect(wal.settled).toBe(1);
    wal.notes.append = append;
    for (let batch = 6; batch < 20; batch++) {
      wal.uncertainFrom = torn(batch);
      expect(await wal.doubtful("g")).toEqual([true]);
    }
    expect(wal.notes.firstSequence).toBe(wal.notes.lastSequence);
  });

  it("is not guessed at when a later release has written it", async () => {
    for (const note of [Uint8Array.of(2, 1, 5, 7, 0), Uint8Array.of(1, 3)]) {
      const wal = await written();
      wal.uncertainFrom = null;
      await wal.notes.append([note]);
      await expect(wal.doubtful("g")).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
    }
  });
});
