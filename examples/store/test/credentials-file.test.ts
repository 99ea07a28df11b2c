import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { credentialsFrom } from "../src/credentials-file.js";
import { Store } from "../src/store.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "evenkeel-credentials-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const file = async (text: string): Promise<string> => {
  await writeFile(join(dir, "credentials"), text);
  return join(dir, "credentials");
};

describe("a file of credentials", () => {
  it("lists people by profile", async () => {
    const text = `# who may
[default]
aws_access_key_id = AKIDADA
aws_secret_access_key=a=b/c+
region = eu-somewhere-1

[ guest ]
aws_access_key_id=ASIAGUEST
aws_secret_access_key=s
aws_session_token=t\r
`;
    expect(credentialsFrom(await file(text))).toEqual([
      { accessKeyId: "AKIDADA", secretAccessKey: "a=b/c+" },
      { accessKeyId: "ASIAGUEST", secretAccessKey: "s", sessionToken: "t" },
    ]);
  });

  it.each([
    ["", "has no profile in it"],
    ["[default]\naws_access_key_id = x", 'the profile "default" needs aws_access_key_id and aws_secret_access_key'],
    ["aws_access_key_id = x", "line 1: expected [a profile], and below it name = value"],
    ["[default]\nhunter2", "line 2: expected [a profile], and below it name = value"],
  ])("%j is refused, and no secret is told", async (text, message) => {
    const path = await file(text);
    expect(() => credentialsFrom(path)).toThrow(message);
    expect(() => credentialsFrom(path)).not.toThrow(/hunter2/);
  });

  it("that is not there is told by name", () => {
    expect(() => credentialsFrom(join(dir, "none"))).toThrow(/^--credentials: cannot read .*none: ENOENT/);
  });
});

describe("a store beyond loopback", () => {
  it("is refused without credentials, before anything is begun", async () => {
    await expect(Store.open({ dir: join(dir, "store"), host: "0.0.0.0" })).rejects.toThrow(
      /^host must be a loopback address .* unless credentials are given \(--credentials/,
    );
  });
});
