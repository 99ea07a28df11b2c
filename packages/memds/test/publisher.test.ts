import { describe, expect, it } from "vitest";
import { decodeHead, decodeUpdate } from "../src/core/feed-messages.js";
import { frameType } from "../src/core/frame.js";
import { RangeTree, sha256 } from "../src/index.js";
import { Publisher } from "../src/publisher.js";
import { put } from "./helpers.js";

/** A publisher of a growing tree, and a follower that takes as many pushes as it is told to before it asks for patience. */
function setUp(bytesMax: number) {
  let held = { version: 0, tree: RangeTree.empty(sha256) };
  const publisher = new Publisher({ bytesMax, updateBytesMax: 10_000, held: () => held });
  const heard: string[] = [];
  const follower = {
    room: Number.POSITIVE_INFINITY,
    push: (type: number, payload: Uint8Array) => {
      if (type === frameType.update) heard.push(`${decodeUpdate(payload).version}`);
      else {
        const head = decodeHead(payload);
        heard.push(`${head.isGone ? "gone" : "head"} ${head.version}`);
      }
      return --follower.room > 0;
    },
  };
  const apply = (count: number) => {
    for (let i = 0; i < count; i++) {
      const changes = [put("key", `${held.version}`)];
      held = { version: held.version + 1, tree: held.tree.apply(changes) };
      publisher.add(held.version, changes);
    }
  };
  return { publisher, follower, heard, apply };
}

describe("what a server tells its followers", () => {
  it("is each update once, in order, and where it stands", () => {
    const { publisher, follower, heard, apply } = setUp(100_000);
    apply(3);
    publisher.subscribe(follower, 1);
    apply(1);
    publisher.announce();
    expect(heard).toEqual(["2", "3", "head 3", "4", "head 4"]);
  });

  it("is not queued for one that is slow: it goes on from where it was, as far as updates are kept", () => {
    const { publisher, follower, heard, apply } = setUp(100_000);
    publisher.subscribe(follower, 0);
    heard.length = 0;
    follower.room = 2;
    apply(100);
    publisher.announce();
    expect(heard).toEqual(["1", "2"]);
    follower.room = Number.POSITIVE_INFINITY;
    publisher.resume(follower);
    expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => `${i + 1}`));
  });

  it("is that updates are no longer kept, where a slow one asks for too old ones", () => {
    const { publisher, follower, heard, apply } = setUp(500);
    publisher.subscribe(follower, 0);
    heard.length = 0;
    follower.room = 1;
    apply(1000);
    follower.room = Number.POSITIVE_INFINITY;
    publisher.resume(follower);
    expect(heard).toEqual(["1", "gone 1000"]);
  });

  it("keeps as many updates after everything was replaced as before", () => {
    const { publisher, follower, heard, apply } = setUp(100);
    apply(5);
    publisher.clear();
    apply(5);
    publisher.subscribe(follower, 5);
    expect(heard).toEqual(["6", "7", "8", "9", "10", "head 10"]);
  });

  it("ends with the subscription", () => {
    const { publisher, follower, heard, apply } = setUp(500);
    publisher.subscribe(follower, 0);
    publisher.unsubscribe(follower);
    heard.length = 0;
    apply(2);
    publisher.announce();
    publisher.resume(follower);
    expect(heard).toEqual([]);
    expect(publisher.followers).toBe(0);
  });
});
