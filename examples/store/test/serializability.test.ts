import { expect, test } from "vitest";
import { assertSerializable, type Operation } from "./support/serializability.js";

let clock = 0;
const operation = (name: string, rest: Partial<Operation>): Operation => ({
  name,
  startedAt: ++clock,
  endedAt: ++clock,
  outcome: "done",
  appends: [],
  reads: new Map(),
  inRealTime: false,
  ...rest,
});

test("what one order explains is fine", () => {
  const operations = [
    operation("t1", { appends: ["a", "b"] }),
    operation("t2", { appends: ["b", "a"] }),
    operation("r", {
      reads: new Map([
        ["a", ["t1"]],
        ["b", ["t1"]],
      ]),
    }),
  ];
  assertSerializable(
    operations,
    new Map([
      ["a", ["t1", "t2"]],
      ["b", ["t1", "t2"]],
    ]),
  );
});

test("half of a transaction seen is told", () => {
  const operations = [
    operation("t1", { appends: ["a", "b"] }),
    operation("r", {
      reads: new Map([
        ["a", ["t1"]],
        ["b", []],
      ]),
    }),
  ];
  const lists = new Map([
    ["a", ["t1"]],
    ["b", ["t1"]],
  ]);
  expect(() => assertSerializable(operations, lists)).toThrow(/r comes before t1: it read b before the other wrote it/);
});

test("two orders at two keys are told", () => {
  const operations = [operation("t1", { appends: ["a", "b"] }), operation("t2", { appends: ["a", "b"] })];
  const lists = new Map([
    ["a", ["t1", "t2"]],
    ["b", ["t2", "t1"]],
  ]);
  expect(() => assertSerializable(operations, lists)).toThrow(/no order explains this/);
});

test("two reads that see two writes in two orders are told", () => {
  const operations = [
    operation("t1", { appends: ["a"] }),
    operation("t2", { appends: ["b"] }),
    operation("r1", {
      reads: new Map([
        ["a", ["t1"]],
        ["b", []],
      ]),
    }),
    operation("r2", {
      reads: new Map([
        ["a", []],
        ["b", ["t2"]],
      ]),
    }),
  ];
  const lists = new Map([
    ["a", ["t1"]],
    ["b", ["t2"]],
  ]);
  expect(() => assertSerializable(operations, lists)).toThrow(/no order explains this/);
});

test("a read of the past is told where it stands in real time", () => {
  const lists = new Map([["a", ["t1"]]]);
  const late = (inRealTime: boolean) => [
    operation("t1", { appends: ["a"], inRealTime }),
    operation("r", { reads: new Map([["a", []]]), inRealTime }),
  ];
  assertSerializable(late(false), lists);
  expect(() => assertSerializable(late(true), lists)).toThrow(/moment/);
});

test.each([
  ["done", [[], ["t1"]]],
  [
    "done",
    [
      ["t1", "t1"],
      ["t1", "t1"],
    ],
  ],
  ["refused", [["t1"], ["t1"]]],
  ["unknown", [["t1"], []]],
] as const)("%s, and there %j, is told", (outcome, [a, b]) => {
  const operations = [operation("t1", { appends: ["a", "b"], outcome })];
  expect(() =>
    assertSerializable(
      operations,
      new Map([
        ["a", [...a]],
        ["b", [...b]],
      ]),
    ),
  ).toThrow(/t1, .*, is there/);
});
