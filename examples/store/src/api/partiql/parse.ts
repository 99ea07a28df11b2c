/**
 * Statements:
 *
 *     SELECT ( "*" | path { "," path } ) FROM table [ "." index ] [ WHERE condition ] [ ORDER BY key [ ASC | DESC ] { "," … } ]
 *     EXISTS "(" SELECT ( "*" | path { "," path } ) FROM table [ WHERE condition ] ")"
 *     INSERT INTO table VALUE "{" … "}"
 *     UPDATE table { SET path "=" value { "," … } | REMOVE path } [ WHERE condition ] [ RETURNING ( ALL | MODIFIED ) ( OLD | NEW ) "*" ]
 *     FROM table WHERE condition { SET … | REMOVE path } [ RETURNING … ]      an update, the other way round
 *     DELETE FROM table [ WHERE condition ] [ RETURNING ALL OLD "*" ]
 */
import { typeOf } from "../attributes.js";
import { validationError } from "../errors.js";
import { checkPathsApart } from "../expressions/paths-apart.js";
import { ExpressionError, Problems } from "../expressions/problems.js";
import { messages } from "../messages.js";
import type { AttributeValue, Condition, DocumentPath, ReturnValues, UpdateAction, UpdateValue } from "../model.js";
import { whereCondition } from "./conditions.js";
import { partiqlMessages } from "./messages.js";
import { Reader } from "./reader.js";
import type { Statement } from "./statement.js";

const TABLE_NAME = /^[a-zA-Z0-9_.-]{3,255}$/;
/** Of one sum: each is a level of the tree. */
const TERMS_MAX = 300;
const SETS: ReadonlySet<string> = new Set(["SS", "NS", "BS"]);

/** @param parameters of which each has passed its checks @throws ValidationException */
export function parseStatement(statement: string, parameters: readonly AttributeValue[] = []): Statement {
  const r = new Reader(statement, parameters);
  const parsed = parsedAt(r);
  r.finish();
  if (parsed.kind === "select" && parsed.orderBy !== undefined && parsed.where === undefined) {
    throw validationError(partiqlMessages.orderWithoutWhere);
  }
  return parsed;
}

function parsedAt(r: Reader): Statement {
  if (r.acceptKeyword("SELECT")) return select(r);
  if (r.isKeyword("EXISTS")) return exists(r);
  if (r.acceptKeyword("INSERT")) return insert(r);
  if (r.acceptKeyword("UPDATE")) return update(r);
  if (r.acceptKeyword("DELETE")) return remove(r);
  if (r.acceptKeyword("FROM")) return updateFrom(r);
  return r.fail(partiqlMessages.noManipulation);
}

function select(r: Reader): Statement {
  const paths = projection(r);
  if (!r.acceptKeyword("FROM")) r.fail(partiqlMessages.fromAfterSelect);
  const table = tableName(r);
  const index = r.acceptSymbol(".") ? component(r, partiqlMessages.dotComponent) : undefined;
  if (r.isSymbol(".")) throw validationError(partiqlMessages.pathTooLong);
  assertNoAlias(r);
  const where = optionalWhere(r);
  const orderBy = ordering(r);
  // The service says where its figure stands.
  if (r.acceptKeyword("LIMIT")) {
    if (!r.atValue()) r.fail();
    throw validationError(partiqlMessages.unsupportedClause("LIMIT", r.placeOf(r.peek())));
  }
  return {
    kind: "select",
    table,
    ...(index !== undefined && { index }),
    ...(paths && { paths }),
    ...(where && { where }),
    ...(orderBy && { orderBy }),
  };
}

function exists(r: Reader): Statement {
  r.expectKeyword("EXISTS");
  r.expectSymbol("(");
  r.expectKeyword("SELECT");
  projection(r);
  if (!r.acceptKeyword("FROM")) r.fail(partiqlMessages.fromAfterSelect);
  const table = writtenTable(r);
  const where = optionalWhere(r);
  r.expectSymbol(")");
  return { kind: "exists", table, where };
}

function projection(r: Reader): DocumentPath[] | undefined {
  const paths: DocumentPath[] = [];
  let all = false;
  do {
    if (r.atCall()) throw validationError(partiqlMessages.unexpectedComponent(r.placeOf(r.peek())));
    if (r.acceptSymbol("*")) all = true;
    else paths.push(r.path());
    if (r.isKeyword("AS")) throw validationError(partiqlMessages.aliasing);
  } while (r.acceptSymbol(","));
  if (all && paths.length > 0) throw validationError(partiqlMessages.starAndOthers);
  return all ? undefined : paths;
}

function ordering(r: Reader): { name: string; descending: boolean }[] | undefined {
  if (!r.acceptKeyword("ORDER")) return undefined;
  r.expectKeyword("BY");
  const keys: { name: string; descending: boolean }[] = [];
  do {
    const name = r.name();
    const descending = r.acceptKeyword("DESC");
    if (!descending) r.acceptKeyword("ASC");
    keys.push({ name, descending });
  } while (r.acceptSymbol(","));
  return keys;
}

function insert(r: Reader): Statement {
  if (!r.acceptKeyword("INTO")) r.fail(partiqlMessages.unexpectedKeyword);
  const at = r.placeOf(r.peek());
  const table = tableName(r, partiqlMessages.simplePath);
  if (r.isSymbol(".")) throw validationError(partiqlMessages.insertOnIndex(at));
  if (!r.acceptKeyword("VALUE")) return notOneValue(r);
  if (!r.isSymbol("{")) throw validationError(partiqlMessages.insertItem);
  const item = r.item();
  if (r.isKeyword("RETURNING")) throw validationError(partiqlMessages.returningInsert);
  return { kind: "insert", table, item };
}

/** `INSERT INTO t (a, b) VALUES (1, 2)` is SQL's, and what is read of it is what is told of it. */
function notOneValue(r: Reader): never {
  while (r.acceptSymbol("(") || r.acceptSymbol(",")) r.name();
  throw validationError(partiqlMessages.leftOver);
}

function update(r: Reader): Statement {
  const table = writtenTable(r);
  assertNoAlias(r);
  const actions = updateActions(r);
  const where = optionalWhere(r);
  return { kind: "update", table, actions, where, returning: returned(r) };
}

function updateFrom(r: Reader): Statement {
  const table = writtenTable(r);
  assertNoAlias(r);
  const where = optionalWhere(r);
  const actions = updateActions(r);
  return { kind: "update", table, actions, where, returning: returned(r) };
}

function updateActions(r: Reader): UpdateAction[] {
  const actions: UpdateAction[] = [];
  for (;;) {
    if (r.acceptKeyword("SET")) {
      do actions.push(assignment(r));
      while (r.acceptSymbol(","));
    } else if (r.acceptKeyword("REMOVE")) {
      do actions.push({ kind: "remove", path: r.path(partiqlMessages.simplePath) });
      while (r.acceptSymbol(","));
    } else break;
  }
  if (actions.length === 0) return r.fail(partiqlMessages.noManipulation);
  assertApart(actions.map(({ path }) => path));
  return actions;
}

function remove(r: Reader): Statement {
  if (!r.acceptKeyword("FROM")) r.fail(partiqlMessages.fromAfterDelete);
  const table = writtenTable(r);
  assertNoAlias(r);
  const where = optionalWhere(r);
  const returning = returned(r);
  if (returning !== "NONE" && returning !== "ALL_OLD") {
    const [what, which] = returning.split("_") as [string, string];
    throw validationError(partiqlMessages.returningDelete(`${what === "ALL" ? what : "MODIFIED"} ${which} *`));
  }
  return { kind: "delete", table, where, returning };
}

function returned(r: Reader): ReturnValues {
  if (!r.acceptKeyword("RETURNING")) return "NONE";
  const all = r.acceptKeyword("ALL");
  if (!all) r.expectKeyword("MODIFIED");
  const old = r.acceptKeyword("OLD");
  if (!old) r.expectKeyword("NEW");
  if (!r.acceptSymbol("*")) throw validationError(partiqlMessages.returningStar);
  return `${all ? "ALL" : "UPDATED"}_${old ? "OLD" : "NEW"}`;
}

function optionalWhere(r: Reader): Condition | undefined {
  return r.acceptKeyword("WHERE") ? whereCondition(r) : undefined;
}

function component(r: Reader, problem?: string): string {
  const name = r.name(problem);
  if (name === "") throw validationError(partiqlMessages.componentEmpty);
  return name;
}

function tableName(r: Reader, problem?: string): string {
  const name = component(r, problem);
  if (!TABLE_NAME.test(name)) throw validationError(partiqlMessages.tableName);
  return name;
}

function writtenTable(r: Reader): string {
  const name = tableName(r, partiqlMessages.simplePath);
  if (r.isSymbol(".")) throw validationError(partiqlMessages.writeOnIndex);
  return name;
}

/** Whatever name stands behind a table's would be another name for it. */
function assertNoAlias(r: Reader): void {
  if (r.atName() || r.isKeyword("AS")) throw validationError(partiqlMessages.aliasing);
}

function assignment(r: Reader): UpdateAction {
  const path = r.path(partiqlMessages.simplePath);
  r.expectSymbol("=");
  const name = r.atCall() ? r.peek().text.toLowerCase() : undefined;
  if (name !== "set_add" && name !== "set_delete") return { kind: "set", path, value: sum(r) };
  return { kind: name === "set_add" ? "add" : "delete", path, value: setArgument(r, path) };
}

/** `set_add(path, set)`: the path is the one that is assigned to. */
function setArgument(r: Reader, path: DocumentPath): AttributeValue {
  const at = r.placeOf(r.peek());
  const name = r.take().text.toUpperCase();
  r.expectSymbol("(");
  const firstAt = r.placeOf(r.peek());
  const given = [operandOf(r)];
  while (r.acceptSymbol(",")) given.push(operandOf(r));
  r.expectSymbol(")");
  const [target, added] = given;
  if (given.length !== 2) throw validationError(partiqlMessages.setArguments(name, at));
  const same = Array.isArray(target) && target.length === path.length && target.every((step, i) => step === path[i]);
  if (!same) throw validationError(partiqlMessages.setFirst(name, at));
  if (Array.isArray(added) || !Object.keys(added as AttributeValue).every((type) => SETS.has(type))) {
    throw validationError(partiqlMessages.setSecond(name, firstAt));
  }
  return added as AttributeValue;
}

function operandOf(r: Reader): AttributeValue | DocumentPath {
  return r.atValue() ? r.value() : r.path();
}

function sum(r: Reader): UpdateValue {
  let left = term(r);
  let terms = 1;
  for (;;) {
    const kind = r.acceptSymbol("+") ? "plus" : r.acceptSymbol("-") ? "minus" : undefined;
    if (kind === undefined) return left;
    if (++terms > TERMS_MAX) throw validationError(partiqlMessages.tooDeep);
    r.expectRight();
    const right = term(r);
    for (const one of [left, right]) assertNumber(one, kind === "plus" ? "+" : "-");
    left = { kind, left, right };
  }
}

/** Known before any item is looked at. */
function assertNumber(operand: UpdateValue, operator: string): void {
  if (operand.kind === "value" && !("N" in operand.value))
    throw validationError(messages.operandType(operator, typeOf(operand.value)));
}

function term(r: Reader): UpdateValue {
  if (r.atValue()) return { kind: "value", value: r.value() };
  if (!r.atCall()) return { kind: "path", path: r.path() };
  const at = r.placeOf(r.peek());
  const name = r.take().text;
  r.expectSymbol("(");
  const call = r.nested((): UpdateValue => {
    switch (name.toLowerCase()) {
      case "list_append": {
        const left = term(r);
        r.expectSymbol(",");
        return { kind: "list-append", left, right: term(r) };
      }
      case "if_not_exists": {
        const path = r.path();
        r.expectSymbol(",");
        return { kind: "if-not-exists", path, otherwise: sum(r) };
      }
      default:
        throw validationError(partiqlMessages.unknownFunction(name.toLowerCase(), at));
    }
  });
  r.expectSymbol(")");
  return call;
}

function assertApart(paths: readonly DocumentPath[]): void {
  const problems = new Problems();
  checkPathsApart(paths, problems);
  try {
    problems.throwFirst();
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw validationError(messages.invalidExpression("UpdateExpression", error.message));
  }
}
