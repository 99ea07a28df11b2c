import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Configuration, configurationOf, encodeConfiguration } from "../src/core/configuration.js";
import { Configurations } from "../src/core/configurations.js";
import { Departure } from "../src/core/departure.js";
import type { Replica } from "../src/core/replica.js";
import type { Entry } from "../src/core/types.js";

const ballot = { round: 1, node: "a" };

function change(slot: number, departed: readonly string[] = []): Entry {
  const command = encodeConfiguration({ slot, storage: ["a", "b", "c"], log: [], departed });
  return { slot, ballot, kind: "config", command };
}

const command = (slot: number): Entry => ({ slot, ballot, kind: "command", command: new Uint8Array(1) });

/** What `Configurations` is to be: a list, looked through from its end. */
class Plain {
  all: Configuration[] = [{ slot: 0, storage: ["a", "b", "c"], log: [], departed: [] }];

  at(slot: number): Configuration {
    return (this.all.findLast((one) => one.slot <= slot) ?? this.all[0]) as Configuration;
  }
}

describe("the configurations of a log", () => {
  it("are at every slot what the entries say, however they come and go", () => {
    const call = fc.record({
      what: fc.constantFrom("command", "change", "change", "truncate", "forget", "reset"),
      back: fc.nat({ max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
        const plain = new Plain();
        const configurations = new Configurations("a", plain.at(0));
        let end = 0;
        let forgotten = 0;
        for (const { what, back } of calls) {
          if (what === "command" || what === "change") {
            const entry = what === "change" ? change(++end) : command(++end);
            configurations.appended([entry]);
            if (what === "change") plain.all.push(configurationOf(entry));
          } else if (what === "truncate") {
            end = Math.max(forgotten, end - back);
            configurations.truncatedFrom(end + 1);
            plain.all = plain.all.filter(({ slot }, i) => i === 0 || slot <= end);
          } else if (what === "forget") {
            forgotten = Math.max(forgotten, end - back);
            configurations.forgetBelow(forgotten);
          } else {
            end += back;
            forgotten = end;
            plain.all = [{ ...plain.at(end), slot: end }];
            configurations.reset(plain.at(end));
          }
          expect(configurations.current.configuration).toEqual(plain.all.at(-1));
          for (let slot = forgotten; slot <= end; slot++) {
            expect(configurations.at(slot).configuration).toEqual(plain.at(slot));
          }
        }
      }),
    );
  });

  it("tell of a departure when the change that brings it is chosen, and once", () => {
    const configurations = new Configurations("a", new Plain().at(0));
    const replica = { configurations, knownChosen: 0, self: "a", departed: false } as unknown as Replica;
    const departure = new Departure(replica);
    expect(departure.noticed()).toBe(false);
    configurations.appended([change(1), command(2), change(3, ["a"])]);
    for (const slot of [0, 1, 2]) {
      replica.knownChosen = slot;
      expect(departure.noticed()).toBe(false);
    }
    replica.knownChosen = 3;
    expect(departure.noticed()).toBe(true);
    expect(departure.noticed()).toBe(false);
    configurations.forgetBelow(3);
    expect(departure.noticed()).toBe(false);
  });
});
