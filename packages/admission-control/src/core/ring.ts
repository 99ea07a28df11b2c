/**
 * Which server owns which limit: consistent hashing (Karger et al. 1997), each server at many points of a circle, a limit owned
 * by the first point after its own. Adding or removing one of n servers moves about 1/n of the limits.
 */
export interface Ring {
  /** Grows with every change; of two rings the one with the higher epoch holds. */
  readonly epoch: number;
  /** How members reach the servers, such as "http://10.0.0.1:7070"; each at most once. */
  readonly nodes: readonly string[];
}

const POINTS_PER_NODE = 128;
export const NODES_MAX = 1000;

/** A ring, ready to be asked. */
export class RingOwners {
  readonly ring: Ring;
  readonly #points: { readonly at: number; readonly node: string }[];

  constructor(ring: Ring) {
    this.ring = ring;
    this.#points = ring.nodes
      .flatMap((node) => Array.from({ length: POINTS_PER_NODE }, (_, i) => ({ at: hash(`${node}#${i}`), node })))
      .sort((a, b) => a.at - b.at || (a.node < b.node ? -1 : 1));
  }

  owner(limit: string): string | undefined {
    const points = this.#points;
    const at = hash(limit);
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as (typeof points)[number]).at < at) low = middle + 1;
      else high = middle;
    }
    return (points[low] ?? points[0])?.node;
  }
}

/** What came as JSON, if it is a ring. */
export function ringFrom(value: unknown): Ring | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { epoch, nodes } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(epoch) || !Array.isArray(nodes) || nodes.length === 0 || nodes.length > NODES_MAX)
    return undefined;
  if (!nodes.every((node): node is string => typeof node === "string" && /^https?:\/\/[^\s]+$/.test(node)))
    return undefined;
  return { epoch: epoch as number, nodes: [...new Set(nodes.map((node) => node.replace(/\/+$/, "")))] };
}

/** FNV-1a over UTF-16 units, mixed at the end as MurmurHash3 does: names that differ in their last character lie far apart. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
