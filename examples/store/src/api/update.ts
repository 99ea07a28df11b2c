/** Carries out the actions of an update. Every right-hand side sees the item as it was before the update. */
import { depthOf, getAttribute, setAttribute } from "./attributes.js";
import { inOrder, MEMBER_ORDER } from "./compare.js";
import { operand } from "./condition.js";
import { validationError } from "./errors.js";
import { messages } from "./messages.js";
import type { AttributeValue, DocumentPath, Item, UpdateAction, UpdateValue } from "./model.js";
import { addNumbers } from "./number.js";
import { resolvePath } from "./path.js";
import { ITEM_BYTES_MAX, valueBytes } from "./size.js";

export const NESTING_MAX = 32;

type SetAction = UpdateAction & { kind: "add" | "delete" };

/** Stands where a list element was removed, until all actions are done: positions mean the list as it was. */
const REMOVED: AttributeValue = { NULL: true };

/**
 * @param before is not changed; what the result has in common with it is shared
 * @throws ValidationException when an action does not fit what is there
 */
export function applyUpdate(before: Item, actions: readonly UpdateAction[]): Item {
  const edit = new Edit(before);
  const sets: { path: DocumentPath; value: AttributeValue }[] = [];
  let setBytes = 0;
  for (const action of actions) {
    if (action.kind === "set") {
      const value = evaluate(action.value, before);
      sets.push({ path: action.path, value });
      // What is set stays: an item that is too large for it already need not be made first.
      setBytes += valueBytes(value);
      if (setBytes > ITEM_BYTES_MAX) throw validationError(messages.itemTooLargeAfterUpdate);
    } else if (action.kind === "add")
      sets.push({ path: action.path, value: sum(resolvePath(before, action.path), action) });
    else if (action.kind === "delete") {
      const rest = difference(resolvePath(before, action.path), action);
      if (rest !== undefined) sets.push({ path: action.path, value: rest });
      else edit.assertReaches(action.path);
    }
  }
  // Elements set beyond a list's end are appended in the order of their positions.
  sets.sort((a, b) => position(a.path) - position(b.path));
  for (const { path, value } of sets) edit.set(path, value);
  for (const action of actions) {
    if (action.kind === "remove" || (action.kind === "delete" && vanishes(before, action))) edit.remove(action.path);
  }
  return edit.finish();
}

function position(path: DocumentPath): number {
  const last = path[path.length - 1];
  return typeof last === "number" ? last : -1;
}

/** Copies each container once, the first time that something in it changes. */
class Edit {
  readonly #root: Item;
  readonly #owned = new Set<object>();
  readonly #listsWithHoles = new Set<AttributeValue[]>();

  constructor(before: Item) {
    this.#root = { ...before };
  }

  set(path: DocumentPath, value: AttributeValue): void {
    if (path.length - 1 + depthOf(value) > NESTING_MAX) throw validationError(messages.nestingTooDeepAfterUpdate);
    const parent = this.#parent(path);
    const last = path[path.length - 1] as string | number;
    if (!Array.isArray(parent)) setAttribute(parent, last as string, value);
    else if ((last as number) < parent.length) parent[last as number] = value;
    else parent.push(value);
  }

  /** Also where nothing is to be taken: @throws ValidationException when there is no place for it. */
  assertReaches(path: DocumentPath): void {
    this.#parent(path);
  }

  remove(path: DocumentPath): void {
    const parent = this.#parent(path);
    const last = path[path.length - 1] as string | number;
    if (!Array.isArray(parent)) delete parent[last as string];
    else if ((last as number) < parent.length) {
      parent[last as number] = REMOVED;
      this.#listsWithHoles.add(parent);
    }
  }

  finish(): Item {
    for (const list of this.#listsWithHoles) {
      let to = 0;
      for (const element of list) if (element !== REMOVED) list[to++] = element;
      list.length = to;
    }
    return this.#root;
  }

  /** The container of a path's last step, ours to change. */
  #parent(path: DocumentPath): Item | AttributeValue[] {
    let container: Item | AttributeValue[] = this.#root;
    for (let i = 0; i + 1 < path.length; i++) {
      const step = path[i] as string | number;
      const value: AttributeValue | undefined = Array.isArray(container)
        ? container[step as number]
        : getAttribute(container, step as string);
      const wantsList = typeof path[i + 1] === "number";
      if (value === undefined || !(wantsList ? "L" in value : "M" in value)) {
        throw validationError(messages.updatePathInvalid);
      }
      const own = this.#own(value as { L: AttributeValue[] } | { M: Item });
      if (own !== value) {
        if (Array.isArray(container)) container[step as number] = own;
        else setAttribute(container, step as string, own);
      }
      container = "L" in own ? own.L : own.M;
    }
    return container;
  }

  #own(value: { L: AttributeValue[] } | { M: Item }): { L: AttributeValue[] } | { M: Item } {
    if (this.#owned.has(value)) return value;
    const copy = "L" in value ? { L: [...value.L] } : { M: { ...value.M } };
    this.#owned.add(copy);
    return copy;
  }
}

function evaluate(value: UpdateValue, before: Item): AttributeValue {
  switch (value.kind) {
    case "plus":
    case "minus": {
      const left = evaluate(value.left, before);
      const right = evaluate(value.right, before);
      if (!("N" in left && "N" in right)) throw validationError(messages.updateOperandType);
      return { N: addNumbers(left.N, right.N, value.kind === "plus" ? 1 : -1) };
    }
    case "list-append": {
      const left = evaluate(value.left, before);
      const right = evaluate(value.right, before);
      if (!("L" in left && "L" in right)) throw validationError(messages.updateOperandType);
      // Each element weighs a byte at least. Lists within lists within lists would take the node's memory before anybody asked for a size.
      if (left.L.length + right.L.length > ITEM_BYTES_MAX) throw validationError(messages.itemTooLargeAfterUpdate);
      return { L: [...left.L, ...right.L] };
    }
    case "if-not-exists":
      return resolvePath(before, value.path) ?? evaluate(value.otherwise, before);
    default: {
      const found = operand(value, before);
      if (found === undefined) throw validationError(messages.updateOperandMissing);
      return found;
    }
  }
}

/** ADD: a number is added to, a set is joined; to nothing, both are what is added. */
function sum(there: AttributeValue | undefined, { value: added, legacy }: SetAction): AttributeValue {
  if (there === undefined) return added;
  if ("N" in there && "N" in added) return { N: addNumbers(there.N, added.N) };
  if ("SS" in there && "SS" in added) return { SS: union(there.SS, added.SS, MEMBER_ORDER.SS) };
  if ("NS" in there && "NS" in added) return { NS: union(there.NS, added.NS, MEMBER_ORDER.NS) };
  if ("BS" in there && "BS" in added) return { BS: union(there.BS, added.BS, MEMBER_ORDER.BS) };
  // Which only AttributeUpdates can ask for.
  if ("L" in there && "L" in added) return { L: [...there.L, ...added.L] };
  throw validationError(legacy ? messages.updateTypeMismatch : messages.updateOperandType);
}

function union(a: readonly string[], b: readonly string[], compare: (a: string, b: string) => number): string[] {
  return inOrder([...new Set([...a, ...b])], compare);
}

/** DELETE: what is left of a set; `undefined` when nothing is, or nothing was. */
function difference(
  there: AttributeValue | undefined,
  { value: taken, legacy }: SetAction,
): AttributeValue | undefined {
  if (there === undefined) return undefined;
  if ("SS" in there && "SS" in taken) return without(there.SS, taken.SS, (SS) => ({ SS }));
  if ("NS" in there && "NS" in taken) return without(there.NS, taken.NS, (NS) => ({ NS }));
  if ("BS" in there && "BS" in taken) return without(there.BS, taken.BS, (BS) => ({ BS }));
  throw validationError(legacy ? messages.updateTypeMismatch : messages.updateOperandType);
}

function without(
  set: readonly string[],
  taken: readonly string[],
  wrap: (rest: string[]) => AttributeValue,
): AttributeValue | undefined {
  const gone = new Set(taken);
  const rest = set.filter((member) => !gone.has(member));
  return rest.length === 0 ? undefined : wrap(rest);
}

/** A set that lost its last member is gone. */
function vanishes(before: Item, action: SetAction): boolean {
  const there = resolvePath(before, action.path);
  return there !== undefined && difference(there, action) === undefined;
}
