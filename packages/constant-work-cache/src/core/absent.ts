/**
 * The source's word that a key does not exist, as of a version. A plain `undefined` says the same without a version; then only the order
 * in which look-ups were sent can tell it from an older or newer answer. A source that reads replicas of different age should say `Absent`.
 */
export class Absent {
  /** @param version in the same numbering as `versionOf`; a value with a lower version never comes back after it. */
  constructor(readonly version: number) {}
}
