import { INVALID_VALUES } from "../messages.js";
import { inSetOrder } from "../set-order.js";

const MALFORMED = "Statement wasn't well formed, can't be processed: ";

/** What PartiQL statements are told. Wording is the service's. */
export const partiqlMessages = {
  malformed: (problem: string) => MALFORMED + problem,
  // What may stand behind the colon: as the service's parser says it.
  unexpectedTerm: "Unexpected term",
  unexpectedKeyword: "Unexpected keyword",
  unexpectedOperator: "Unexpected operator",
  dotComponent: "Invalid path dot component",
  simplePath: "Expected identifier for simple path",
  missingRight: "Missing right-hand side expression of infix operator",
  typeName: "Expected type name",
  andAfterBetween: "Expected AND after BETWEEN",
  noManipulation: "Expected data manipulation",
  fromAfterSelect: "Expected FROM after SELECT list",
  fromAfterDelete: "Expected FROM after DELETE",
  /** What the lexer cannot read gets the first half of the sentence. */
  unreadable: MALFORMED,
  leftOver: `${MALFORMED}Unexpected token after expression`,
  tooDeep: `${MALFORMED}too many nested levels`,
  parameterCount: "Number of parameters in request and statement don't match.",
  emptyBag: "Empty bags are not supported",
  bagDuplicates: (members: readonly string[], place: string) =>
    `${INVALID_VALUES}Input collection [${members.join(", ")}] contains duplicates! under ${place}`,
  bagTypes: "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
  missingLiteral: "MISSING must be compared using IS operator",
  duplicateKey: (key: string) => `Duplicate keys in tuple. Key: ${key}`,
  isType: (name: string) =>
    `Unsupported data type for IS operator: ${name}. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]`,
  inTooMany: (count: number) => `The IN operator is provided with too many operands; number of operands: ${count}`,
  filterNotProjected: (index: string, names: readonly string[]) =>
    `${INVALID_VALUES}Secondary index ${index} does not project one or more filter attributes: [${inSetOrder(names).join(", ")}]`,
  listIndex: (index: string, at: string) => `List index is not within the allowable range; index: [${index}] at ${at}`,
  inOperands:
    "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at least one member",
  /** Whose sense is not that of a condition. */
  noCondition: "WHERE clause must contain an expression that resolves to a boolean",
  unsupportedClause: (clause: string, at: string) => `Unsupported clause: ${clause} at ${at}`,
  unsupportedOperator: (operator: string) => `Unsupported operator in Condition Expression. Operator: ${operator}`,
  overlapping: "Overlapping conditions with range keys are not supported in where clause",
  tooManyReads: "Too many decomposed read operations for a given query.",
  existsOutside: "EXISTS can only be used in ExecuteTransaction write requests.",
  unknownFunction: (name: string, at: string) => `Unrecognized function: ${name} at ${at}`,
  unexpectedComponent: (at: string) => `Unexpected path component at ${at}`,
  unsupportedData: (name: string, root: string, at: string) =>
    `Unsupported data type: ${name} under key ${root} at ${at}`,
  literalTooDeep: (root: string) => `Nesting Levels have exceeded supported limits under ${root}`,
  numberUnder: (problem: string, root: string) => `${problem} under ${root}`,
  aliasing: "Aliasing is not supported",
  starAndOthers: "Other attributes should not be present in the projection when '*' is used.",
  duplicateNames: (name: string) => `Duplicate identifiers in select clause: ${name}`,
  tableName: "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'.",
  writeOnIndex: "This operation is not supported on an index",
  insertOnIndex: (at: string) =>
    `FROM clause may only contain a single table name in data manipulation statements at ${at}`,
  pathTooLong: "A path may contain at most 2 components in the FROM clause",
  componentEmpty: "Path component cannot be an empty string",
  manyAttributes:
    "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.",
  insertItem:
    "Unsupported format in item expression. Please use struct format {...} to express item values for insert statement.",
  returningInsert: "RETURNING is not supported in INSERT",
  returningDelete: (what: string) =>
    `Invalid returning clause: RETURNING ${what}. Only RETURNING ALL OLD * is allowed in DELETE statements.`,
  returningStar: "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause",
  setArguments: (name: string, at: string) => `${name} must have exactly two arguments at ${at}`,
  setFirst: (name: string, at: string) => `The first argument to ${name} must equal the assignment value at ${at}`,
  setSecond: (name: string, at: string) => `The second argument to ${name} must be a value with type SET at ${at}`,
  keyIncomplete: "Where clause does not contain a mandatory equality on all key attributes",
  keyTwice: (name: string) =>
    `Multiple conditions on same key ${name}. Only single item Update/Insert/Delete are supported`,
  keyType: (name: string) => `Key attribute's data type should match its data type in table's schema: Key ${name}`,
  keyNoScalar: (name: string, type: string) =>
    `Key value must be of type S, N, or B. Key name: ${name}, Key type: ${type}`,
  keyAbsent: (name: string) => `Key attribute should be present in the item: Key ${name}`,
  orderWithoutWhere: "Must have WHERE clause in the statement when using ORDER BY clause.",
  orderWithoutKey: "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
  orderByOther: (name: string) => `Attribute ${name} in ORDER BY clause must be part of the primary key`,
  orderManyKeys:
    "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
  tokenInvalid: "Invalid NextToken",
  tokenMismatch: "NextToken does not match request",
  duplicateItem: "Duplicate primary key exists in table",
  inTransaction: (index: number, problem: string) => `Validation failed in TransactStatements[${index}]: ${problem}`,
  consistentGlobalRead: "Strongly consistent read is not supported on Global Secondary Indexes",
  noSuchIndex: "The table does not have the specified index",
  transactionMixed: "ExecuteTransaction API does not support both read and write operations in the same request.",
  transactionReturning: "RETURNING clause is not supported in ExecuteTransaction.",
  transactionIndex: "Reads on indices are not supported within transactions.",
  transactionKey: "Select statements within ExecuteTransaction must specify the primary key in the where clause.",
  existsMore: "EXISTS() must contain a single item read with additional condition",
  batchMixed: "A batch must consist of either read statements or write statements, not both",
  batchKey: "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
} as const;
