import { readFileSync } from "node:fs";

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The lines of a golden fixture, by the name of its file. */
export const lines = (name: string): string[] =>
  readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n");
