import { expect, test } from "vitest";
import { findDisagreements } from "../words.js";
import { planted } from "./planted.js";

const manifest = JSON.stringify({
  name: "@evenkeel/bucket",
  bin: { "evenkeel-bucket": "./dist/command.js" },
  exports: { ".": { "@evenkeel/source": "./src/index.ts" }, "./package.json": "./package.json" },
});

const index = 'export { Bucket } from "./bucket.js";\nexport type { BucketOptions } from "./bucket.js";\n';

const bucket = `
export type BucketErrorCode = "ERR_BUCKET_EMPTY" | "ERR_BUCKET_CLOSED";
const overflow = channel("evenkeel:bucket:overflow");
interface Sized { readonly capacity: number }
export interface BucketOptions extends Sized { readonly ratePerSecond: number }
export class Bucket {}
const { values } = parseArgs({ args, options: { port: { type: "string" } } });
const secret = env.EVENKEEL_BUCKET_SECRET;
`;

const readme = `# Bucket

\`new Bucket(...)\`; on \`evenkeel:bucket:overflow\` one hears of what was too much.

| option | default |
|---|---|
| \`capacity\`, \`ratePerSecond\` | 1 |

| code | what it means | what to do |
|---|---|---|
| \`ERR_BUCKET_EMPTY\` | there is nothing left | wait |
| \`ERR_BUCKET_CLOSED\` | it is closed | nothing |

    npx evenkeel-bucket --port 1        with EVENKEEL_BUCKET_SECRET
`;

const folder = "packages/bucket";
const files = {
  [`${folder}/package.json`]: manifest,
  [`${folder}/src/index.ts`]: index,
  [`${folder}/src/bucket.ts`]: bucket,
  [`${folder}/README.md`]: readme,
};

/** What is said of a house in which words and code agree but for one change. */
function disagreementsWith(part: keyof typeof changed, from: string, to: string): string[] {
  expect(changed[part]).toContain(from);
  const path = part === "readme" ? `${folder}/README.md` : `${folder}/src/${part}.ts`;
  const found = findDisagreements(planted({ ...files, [path]: changed[part].replaceAll(from, to) }));
  return found.map((what) => what.replace(`${folder}/README.md: `, ""));
}
const changed = { readme, index, bucket };

test("where words and code agree nothing is said", () => {
  expect(findDisagreements(planted(files))).toEqual([]);
});

test.each([
  [
    "readme",
    "| `ERR_BUCKET_EMPTY` | there is nothing left | wait |\n",
    "",
    "the error code ERR_BUCKET_EMPTY is not told of",
  ],
  ["bucket", '"ERR_BUCKET_EMPTY" | ', "", "the error code ERR_BUCKET_EMPTY does not exist"],
  ["readme", "| wait |", "| |", "ERR_BUCKET_EMPTY needs a row: | `ERR_BUCKET_EMPTY` | what it means | what to do |"],
  ["readme", "evenkeel:bucket:overflow", "it", "the channel evenkeel:bucket:overflow is not told of"],
  ["bucket", "bucket:overflow", "bucket:flood", "the channel evenkeel:bucket:overflow does not exist"],
  ["bucket", '"evenkeel:bucket:overflow"', "overflowing", "src/bucket.ts puts the name of a channel together"],
  ["readme", "`capacity`, ", "", "the option capacity of BucketOptions is not told of"],
  ["bucket", "ratePerSecond", "ratePerMinute", "the option ratePerSecond does not exist"],
  ["readme", "--port", "--host", "the flag --host does not exist"],
  ["bucket", "{ port: {", "{ host: {", "the flag --host is not told of"],
  ["readme", "EVENKEEL_BUCKET_SECRET", "a secret", "the variable EVENKEEL_BUCKET_SECRET is not told of"],
  ["bucket", "EVENKEEL_BUCKET_SECRET", "SECRET", "the variable EVENKEEL_BUCKET_SECRET does not exist"],
  ["readme", "`new Bucket(...)`", "One", "Bucket is exported and not told of"],
] as const)("in the %s %j made %j is noticed", (part, from, to, expected) => {
  const found = disagreementsWith(part, from, to);
  expect(found).toContainEqual(expect.stringContaining(expected));
});

test("a neighbour's code may be spoken of", () => {
  const neighbour = {
    "packages/pool/package.json": JSON.stringify({ name: "@evenkeel/pool" }),
    "packages/pool/README.md": "What a bucket says, `ERR_BUCKET_EMPTY`, comes through.",
  };
  expect(findDisagreements(planted({ ...files, ...neighbour }))).toEqual([]);
});
