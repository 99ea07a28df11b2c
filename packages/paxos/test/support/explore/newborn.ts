import type { PaxosCore } from "../../../src/core/index.js";

/** What hosts say to one another of under which marks their logs were born: see `Births`. */
export type BirthLetter =
  | { readonly type: "knock"; readonly birth: string }
  | { readonly type: "known"; readonly birth: string };

/** What a host knows of births, all of it on disk. */
export interface Host {
  /** Under which its own log was born. */
  readonly birth: string;
  /** The first mark that it has heard of for each other node. */
  readonly marks: readonly (readonly [node: string, mark: string])[];
}

export const newborn = (name: string, life: number): Host => ({ birth: `${name}${life}`, marks: [] });

export const markAt = (host: Host, node: string): string | undefined => host.marks.find(([one]) => one === node)?.[1];

/** The answer to a knock, and what is remembered then. A node that stands in the log by its mark is known by that. */
export function knocked(host: Host, core: PaxosCore, from: string, birth: string): readonly [Host, BirthLetter] {
  const known = markAt(host, from);
  const listed = core.configuration.marks?.find(([node]) => node === from)?.[1];
  const after = known === undefined ? { ...host, marks: [...host.marks, [from, birth] as const].sort() } : host;
  return [after, { type: "known", birth: listed ?? known ?? birth }];
}
