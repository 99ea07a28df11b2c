import {
  type MemoryReplica,
  memoryReplica,
  type ReplicaSnapshot,
  type ReplicaSource,
  Scrubber,
} from "../../src/index.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const bytes = (text: string): Uint8Array => encoder.encode(text);
export const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : decoder.decode(data);

export type Contents = Readonly<Record<string, string>>;

export function replica(name: string, contents: Contents, position = 1): MemoryReplica {
  const made = memoryReplica(name, { position });
  for (const [key, value] of Object.entries(contents)) made.store.put(bytes(key), bytes(value));
  return made;
}

/** `count` keys of eight digits with values of their own. */
export function many(count: number): Record<string, string> {
  const contents: Record<string, string> = {};
  for (let i = 0; i < count; i++) contents[String(i).padStart(8, "0")] = `value of ${i}`;
  return contents;
}

/** Three replicas of the same contents, to be spoiled, and the scrubber over them. */
export function trio(
  contents: Contents,
  reference?: Contents,
  options: Partial<ConstructorParameters<typeof Scrubber>[0]> = {},
) {
  const a = replica("a", contents);
  const b = replica("b", contents);
  const c = replica("c", contents);
  const ref = reference === undefined ? undefined : replica("reference", reference);
  const all = [a, b, c, ...(ref === undefined ? [] : [ref])];
  const scrubber = new Scrubber({
    replicas: [a, b, c],
    ...(ref === undefined ? {} : { reference: ref }),
    position: () => a.position,
    ...options,
  });
  /** One more write happened everywhere. */
  const advance = (): void => {
    for (const one of all) one.position++;
  };
  return { a, b, c, ref, scrubber, advance };
}

/** The same replica with some of its snapshot's calls replaced. */
export function spoiled(
  source: ReplicaSource,
  change: (snapshot: ReplicaSnapshot) => Partial<ReplicaSnapshot>,
): ReplicaSource {
  return {
    name: source.name,
    snapshot: async (at) => {
      const snapshot = await source.snapshot(at);
      return { ...snapshot, ...change(snapshot) };
    },
  };
}
