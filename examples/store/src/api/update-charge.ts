/**
 * What an update may weigh, before it is tried: UpdateItem's expression as a statement (`assertChargeFits`), any other by what it writes (`assertFitsItem`).
 *
 * In most of its regions (22 of 33 in autumn 2026, Virginia and London among them) the service holds not only the finished item to
 * 400 KB, but also the statement: what it writes and refers to, and some bytes for each clause, whatever the item comes to. The key is not written and not counted, neither is
 * what the statement leaves alone: with a long key the finished item is what counts, with a short one the statement. It is asked before the condition. A transaction's Update, a PartiQL
 * UPDATE and AttributeUpdates are held to the finished item alone.
 *
 * The figures are documented nowhere. They were found by bisection (dynamodb-conformance, October 2026) and look like those of a record that the service keeps of the change.
 */
import { validationError } from "./errors.js";
import { messages } from "./messages.js";
import type { AttributeValue, DocumentPath, UpdateAction, UpdateValue } from "./model.js";
import { ITEM_BYTES_MAX, valueBytes } from "./size.js";
import { utf8Bytes } from "./text.js";

const UPDATE_BYTES = 3;
/** Of a clause that writes a value of the request, or of what it makes of one. */
const WRITING_BYTES = 19;
/** Of one that takes away. What it takes is not counted. */
const TAKING_BYTES = 1;
/** A target's steps behind its first name. */
const TARGET_STEP_BYTES = 4;
const OPERAND_BYTES = 1;
const OPERAND_STEP_BYTES = 14;
const CALL_BYTES = { plus: 34, minus: 37, "if-not-exists": 39, "list-append": 37 } as const;

const stepBytes = (step: string | number): number => (typeof step === "number" ? String(step).length : utf8Bytes(step));

function targetBytes([first, ...rest]: DocumentPath): number {
  return rest.reduce<number>((sum, step) => sum + TARGET_STEP_BYTES + stepBytes(step), stepBytes(first as string));
}

/** What stands at the path is not counted. */
function operandBytes(path: DocumentPath): number {
  return path.reduce<number>((sum, step) => sum + OPERAND_STEP_BYTES + stepBytes(step), OPERAND_BYTES);
}

/** Of a value that is used a hundred times each use counts, and it is weighed once. */
class Weights {
  readonly #known = new Map<AttributeValue, number>();

  of(value: AttributeValue): number {
    const known = this.#known.get(value) ?? valueBytes(value);
    this.#known.set(value, known);
    return known;
  }
}

function valueCharge(value: UpdateValue, weights: Weights): number {
  switch (value.kind) {
    case "value":
      return weights.of(value.value);
    case "path":
    case "size":
      return operandBytes(value.path);
    case "if-not-exists":
      return CALL_BYTES[value.kind] + operandBytes(value.path) + valueCharge(value.otherwise, weights);
    default:
      return CALL_BYTES[value.kind] + valueCharge(value.left, weights) + valueCharge(value.right, weights);
  }
}

/** Of a statement, in bytes. */
export function updateCharge(actions: readonly UpdateAction[]): number {
  const weights = new Weights();
  let bytes = UPDATE_BYTES;
  for (const action of actions) {
    bytes += targetBytes(action.path);
    if (action.kind === "set") bytes += WRITING_BYTES + valueCharge(action.value, weights);
    else if (action.kind === "add") bytes += WRITING_BYTES + weights.of(action.value);
    else bytes += TAKING_BYTES;
  }
  return bytes;
}

/** @throws ValidationException for an update whose statement weighs more than an item may */
export function assertChargeFits(actions: readonly UpdateAction[]): void {
  if (updateCharge(actions) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLargeAfterUpdate);
}

/** What an update writes, at least: its values, each as often as it is used. Not counted beyond an item's limit. */
export function writtenBytes(actions: readonly UpdateAction[]): number {
  const weights = new Weights();
  let bytes = 0;
  const add = (value: UpdateValue): void => {
    if (bytes > ITEM_BYTES_MAX) return;
    if (value.kind === "value") bytes += weights.of(value.value);
    else if (value.kind === "if-not-exists") add(value.otherwise);
    else if ("left" in value) {
      add(value.left);
      add(value.right);
    }
  };
  for (const action of actions) {
    if (action.kind === "set") add(action.value);
    else if (action.kind === "add") add({ kind: "value", value: action.value });
  }
  return bytes;
}

/**
 * More than an item may weigh cannot come to a good end, and is refused before it is sent to a storage node that often.
 * @throws ValidationException for an update that writes more
 */
export function assertFitsItem(actions: readonly UpdateAction[]): void {
  if (writtenBytes(actions) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLargeAfterUpdate);
}
