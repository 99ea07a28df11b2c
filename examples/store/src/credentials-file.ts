import { readFileSync } from "node:fs";
import type { Credentials } from "./router/signatures.js";

/** The settings of a profile that say who it is; others (a region, an output format) are for clients. */
const SETTINGS = {
  aws_access_key_id: "accessKeyId",
  aws_secret_access_key: "secretAccessKey",
  aws_session_token: "sessionToken",
} as const;

/**
 * Reads a file in the form of `~/.aws/credentials`: every profile in it is somebody whose requests are answered, whatever its name.
 * @throws RangeError that names the file and says what is wrong with it
 */
export function credentialsFrom(file: string): Credentials[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new RangeError(`--credentials: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  const profiles: { name: string; settings: Partial<Record<keyof Credentials, string>> }[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const name = /^\[(.+)\]$/.exec(line)?.[1];
    const [, key, value] = /^([a-z_0-9]+)\s*=\s*(.*)$/.exec(line) ?? [];
    const profile = profiles.at(-1);
    if (name !== undefined) profiles.push({ name: name.trim(), settings: {} });
    else if (key === undefined || profile === undefined) {
      // Never the line itself: it may be a secret.
      throw new RangeError(`--credentials: ${file}, line ${i + 1}: expected [a profile], and below it name = value`);
    } else if (Object.hasOwn(SETTINGS, key)) {
      profile.settings[SETTINGS[key as keyof typeof SETTINGS]] = value as string;
    }
  }
  if (profiles.length === 0) throw new RangeError(`--credentials: ${file} has no profile in it`);
  return profiles.map(({ name, settings: { accessKeyId = "", secretAccessKey = "", sessionToken } }) => {
    if (accessKeyId === "" || secretAccessKey === "") {
      const why = "needs aws_access_key_id and aws_secret_access_key";
      throw new RangeError(`--credentials: ${file}: the profile ${JSON.stringify(name)} ${why}`);
    }
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  });
}
