import { type Absent, keySequence, type PassReport, type Since } from "@evenkeel/scrubber";
import { reason } from "../reason.js";
import { codeOf, isArchiveDamage } from "../storage-node/errors.js";

/** A pass's findings, one in a line, for a person. */
export function findingsOf({ divergences, unreadable, unstable, absent }: PassReport): string[] {
  return [
    ...divergences.map(({ key, replica, against, kind, cause, since, where }) => {
      const how = against === "none" ? "differs, and no two agree" : `differs from the ${against}`;
      if (where === "log") return `the log of ${replica} ${how} (${kind}) at slot ${keySequence(key)}`;
      return `${replica} ${how} (${kind}) at key ${hex(key)}${causes[cause]}, ${sinceText(since)}`;
    }),
    ...unreadable.map(({ replica, where, cause, since }) => {
      const when = where === "tree" || where === "reference" ? `, ${sinceText(since)}` : "";
      return `${replica} cannot be read: ${reason(cause)}${when}`;
    }),
    ...unstable.map(({ from }) => `a replica does not read the same twice, from key ${hex(from)} on`),
    ...absent.filter(isDamage).map(({ replica, cause }) => `the ${replica} cannot be built: ${reason(cause)}`),
  ];
}

const causes = { rot: ": it has rotted", applied: ": another value was applied", unknown: "" };

const REFERENCE_DAMAGE: ReadonlySet<unknown> = new Set(["ERR_SCRUBBER_REFERENCE_HOLE", "ERR_SCRUBBER_REFERENCE_APPLY"]);

/** What a reference is made of is damaged, which the replicas' own sake does not tell. */
const isDamage = ({ cause }: Absent): boolean => isArchiveDamage(cause) || REFERENCE_DAMAGE.has(codeOf(cause));

const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");

function sinceText({ after, by }: Since): string {
  return after === undefined ? `seen at slot ${by}` : `between slots ${after} and ${by}`;
}
