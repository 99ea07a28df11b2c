import { describe, expect, test } from "vitest";
import { benchTable } from "../bench-table.js";
import { runBench } from "../bench-turns.js";
import type { Bench, Subject } from "../bench-types.js";

const metrics = { throughput: { unit: "ops/s", better: "higher" } } as const;

/** A subject whose turns give these figures, and that tells what is done to it. */
function subject(name: string, figures: readonly number[], calls: string[] = []): Subject {
  let turn = 0;
  return {
    open: () => void calls.push(`${name} open`),
    run: () => {
      calls.push(name);
      turn += 1;
      return { throughput: figures[turn - 1] ?? Number.NaN };
    },
    close: () => void calls.push(`${name} close`),
  };
}

const silent = () => {};

test("subjects take turns, and each round begins with another one", async () => {
  const calls: string[] = [];
  const subjects = { a: subject("a", [1, 1, 1], calls), b: subject("b", [1, 1, 1], calls) };
  await runBench("wal", { name: "x", metrics, subjects }, silent);
  expect(calls).toEqual(["a open", "b open", "a", "b", "b", "a", "a", "b", "b close", "a close"]);
});

test("rows give the median with its spread, and goals what was reached", async () => {
  const bench: Bench = {
    name: "appends",
    metrics,
    subjects: { evenkeel: subject("e", [30, 10, 20]), peer: subject("p", [9, 10, 11]) },
    goals: [
      { metric: "throughput", against: "peer", atLeast: 2 },
      { metric: "throughput", against: "peer", atLeast: 2.5 },
      { metric: "throughput", atMost: 20 },
    ],
  };
  const { rows } = await runBench("wal", bench, silent);
  const heading = { package: "wal", bench: "appends: throughput" };
  expect(rows).toEqual([
    { ...heading, subject: "evenkeel", value: 20, unit: "ops/s", min: 10, max: 30, runs: 3 },
    { ...heading, subject: "peer", value: 10, unit: "ops/s", min: 9, max: 11, runs: 3 },
    { ...heading, goal: "at least 2 x peer", value: 2, met: true },
    { ...heading, goal: "at least 2.5 x peer", value: 2, met: false },
    { ...heading, goal: "at most 20 ops/s", value: 20, met: true },
  ]);
});

test("an even number of turns has the mean of the middle two as its median", async () => {
  const bench: Bench = { name: "x", metrics, runs: 4, subjects: { limit: subject("l", [1, 100, 4, 2]) } };
  expect((await runBench("wal", bench, silent)).rows).toMatchObject([{ value: 3, min: 1, max: 100, runs: 4 }]);
});

test("who cannot run is named and left out, with the goals against it", async () => {
  const calls: string[] = [];
  const bench: Bench = {
    name: "x",
    metrics,
    subjects: {
      evenkeel: { ...subject("e", [1, 1, 1]), note: "syncs before it answers" },
      peer: { ...subject("p", [1, 1, 1], calls), skip: "no binary for this platform" },
    },
    goals: [{ metric: "throughput", against: "peer", atLeast: 1 }],
  };
  const { rows, notes, skips } = await runBench("store", bench, silent);
  expect(rows).toHaveLength(1);
  expect(calls).toEqual([]);
  expect(notes).toEqual(["evenkeel: syncs before it answers"]);
  expect(skips).toEqual(["peer: no binary for this platform"]);
});

describe("what is wrong is said", () => {
  const subjects = { evenkeel: subject("e", [1, 1, 1]) };
  test.each<[string, Bench]>([
    ["at least 3, seen: 2", { name: "x", metrics, subjects, runs: 2 }],
    ["no metric", { name: "x", metrics: {}, subjects }],
    ["no subject", { name: "x", metrics, subjects: {} }],
    ['the metric "p99"', { name: "x", metrics, subjects, goals: [{ metric: "p99", atMost: 1 }] }],
    ['names "peer"', { name: "x", metrics, subjects, goals: [{ metric: "throughput", against: "peer", atLeast: 1 }] }],
    ["neither atLeast nor atMost", { name: "x", metrics, subjects, goals: [{ metric: "throughput" }] }],
    ['gave NaN for "throughput"', { name: "x", metrics, subjects: { evenkeel: subject("e", [1]) } }],
  ])("%s", async (message, bench) => {
    await expect(runBench("wal", bench, silent)).rejects.toThrow(message);
  });
});

test("what was opened is closed when a turn fails", async () => {
  const calls: string[] = [];
  const subjects = { a: subject("a", [1], calls), b: subject("b", [], calls) };
  await expect(runBench("wal", { name: "x", metrics, subjects }, silent)).rejects.toThrow("a turn of b");
  expect(calls).toEqual(["a open", "b open", "a", "b", "b close", "a close"]);
});

test("the table leaves blank what repeats, and marks a goal that was missed", () => {
  const heading = { package: "wal", bench: "appends: throughput" };
  const figures = { unit: "ops/s", min: 0.012345, max: 1_234_567.8, runs: 3 };
  expect(
    benchTable([
      { ...heading, subject: "evenkeel", value: 12_345.6, ...figures },
      { ...heading, subject: "peer", value: 4.567, ...figures },
      { ...heading, goal: "at least 1 x peer", value: 0.5, met: false },
    ]).split("\n"),
  ).toEqual([
    "package  bench                subject                    median  unit        min        max  runs",
    "-------  -------------------  -------------------------  ------  -------  ------  ---------  ----",
    "wal      appends: throughput  evenkeel                   12,346  ops/s    0.0123  1,234,568     3",
    "                              peer                         4.57  ops/s    0.0123  1,234,568     3",
    "                                goal: at least 1 x peer     0.5  NOT MET",
  ]);
});
