import {
  type ArchiveEntry,
  type ObjectStore,
  type RestoreStateOptions,
  restoreState,
  sha256,
} from "../src/archive/index.js";
import { collect } from "./collect.js";

export const stream = "orders/7";

export const entry = (sequence: number, mark = "", timeMs = 1_700_000_000_000 + sequence * 1000): ArchiveEntry => ({
  sequence,
  timeMs,
  data: Buffer.from(`entry ${sequence}${mark}`),
});

export const entries = (first: number, last: number, mark = "") =>
  Array.from({ length: last - first + 1 }, (_, n) => entry(first + n, mark));

export const plain = (list: readonly ArchiveEntry[]) =>
  list.map(({ sequence, timeMs, data }) => [sequence, timeMs, Buffer.from(data).toString()]);

/** What a stream's entries make of a state: all of them, so that nothing missing or doubled goes unseen. */
export const stateAfter = (list: readonly ArchiveEntry[]): string =>
  list.map(({ sequence, timeMs, data }) => `${sequence} ${timeMs} ${Buffer.from(data).toString()}\n`).join("");

/** The state as a user would rebuild it. */
export async function restored(options: RestoreStateOptions): Promise<{ state: string; from: number | undefined }> {
  const { snapshot, entries: behind } = await restoreState(options);
  let state = "";
  if (snapshot !== undefined) for await (const chunk of snapshot.chunks()) state += Buffer.from(chunk).toString();
  for await (const one of behind()) state += stateAfter([one]);
  return { state, from: snapshot?.sequence };
}

export const keys = (store: ObjectStore): Promise<string[]> => collect(store.list(""));

export async function change(
  store: ObjectStore,
  key: string,
  edit: (bytes: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const changed = edit((await store.get(key)) as Uint8Array);
  if (changed === undefined) await store.delete(key);
  else await store.put(key, changed, { sha256: sha256(changed) });
}
