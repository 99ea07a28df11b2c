/** The inventory has a row for whatever the SDK knows, and for whatever this store can answer. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { operations } from "../../src/router/operations/index.js";
import { streamOperations } from "../../src/router/streams/operations.js";
import { commonErrors, inventory, type Proof } from "./inventory.js";
import { ofSdk } from "./subject.js";

const require = createRequire(import.meta.url);

/** By operation, the errors that its documentation in the SDK names. */
function named(sdk: string): Map<string, string[]> {
  const dir = join(dirname(require.resolve(`${sdk}/package.json`)), "dist-types", "commands");
  const found = new Map<string, string[]>();
  for (const file of readdirSync(dir)) {
    const operation = /^(.+)Command\.d\.ts$/.exec(file)?.[1];
    if (operation === undefined) continue;
    const text = readFileSync(join(dir, file), "utf8");
    const errors = [...text.matchAll(/@throws \{@link (\w+)\}/g)].map(([, name]) => name as string);
    found.set(operation, [...new Set(errors)].filter((name) => !name.endsWith("ServiceException")).sort());
  }
  return found;
}

const sdk = new Map([...named("@aws-sdk/client-dynamodb"), ...named("@aws-sdk/client-dynamodb-streams")]);
const proofs = (): [string, Proof][] => [
  ...Object.entries(commonErrors),
  ...Object.entries(inventory).flatMap(([operation, row]) =>
    "works" in row
      ? Object.entries(row.errors).map(([name, proof]): [string, Proof] => [`${operation}: ${name}`, proof])
      : [],
  ),
];

test("it has every operation of the SDK, and none that is not", () => {
  expect(sdk.size).toBeGreaterThan(50);
  expect(Object.keys(inventory).sort()).toEqual([...sdk.keys()].sort());
});

test("it has every error that the SDK names, for each operation that is offered", () => {
  for (const [operation, row] of Object.entries(inventory)) {
    if (!("works" in row)) continue;
    const missing = sdk.get(operation)?.filter((name) => !(name in row.errors));
    expect(missing, operation).toEqual([]);
    for (const name of Object.keys(row.errors))
      expect(ofSdk(operation, name), `${operation}: ${name}`).toBeTypeOf("function");
  }
});

test("what is offered is what the router knows", () => {
  const offered = Object.entries(inventory).flatMap(([operation, row]) => ("works" in row ? [operation] : []));
  expect(offered.sort()).toEqual([...operations.keys(), ...streamOperations.keys()].sort());
});

test("every error that the store can answer is in it", () => {
  const source = readFileSync(new URL("../../src/api/errors.ts", import.meta.url), "utf8");
  const answered = [...source.matchAll(/^ {2}(\w+): \{/gm)].map(([, name]) => name as string);
  expect(answered.length).toBeGreaterThan(30);
  const known = new Set(proofs().map(([name]) => name.split(": ").at(-1)));
  expect(answered.filter((name) => !known.has(name))).toEqual([]);
});

test("what is shown elsewhere is", () => {
  for (const [name, proof] of proofs()) {
    if (proof.kind !== "elsewhere") continue;
    expect(readFileSync(new URL(proof.file, import.meta.url), "utf8"), name).toContain(proof.words);
  }
});
