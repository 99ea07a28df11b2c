/** What PartiQL statements are told. Wording is the service's. */
export const partiqlMessages = {
  malformed: (near: string) => `Statement wasn't well formed, can't be processed: unexpected term near '${near}'`,
  tooDeep: "Statement wasn't well formed, can't be processed: too many nested levels",
  parameterCount: "Number of parameters in request and statement don't match.",
  emptyBag: "Empty bags are not supported",
  bagTypes: "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
  missingLiteral: "MISSING must be compared using IS operator",
  duplicateKey: (key: string) => `Duplicate keys in tuple. Key: ${key}`,
  isType: (name: string) =>
    `Unsupported data type for IS operator: ${name}. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]`,
  inOperands:
    "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at least one member",
  tooManyReads: "Too many decomposed read operations for a given query.",
  existsOutside: "EXISTS can only be used in ExecuteTransaction write requests.",
  unknownFunction: (name: string) => `Unrecognized function: ${name}`,
  aliasing: "Aliasing is not supported",
  starAndOthers: "Other attributes should not be present in the projection when '*' is used.",
  duplicateNames: (name: string) => `Duplicate identifiers in select clause: ${name}`,
  tableName: "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'.",
  writeOnIndex: "This operation is not supported on an index",
  insertItem:
    "Unsupported format in item expression. Please use struct format {...} to express item values for insert statement.",
  returningInsert: "RETURNING is not supported in INSERT",
  returningDelete: (what: string) =>
    `Invalid returning clause: RETURNING ${what}. Only RETURNING ALL OLD * is allowed in DELETE statements.`,
  returningStar: "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause",
  setFirst: (name: string) => `The first argument to ${name} must equal the assignment value`,
  setSecond: (name: string) => `The second argument to ${name} must be a value with type SET`,
  keyIncomplete: "Where clause does not contain a mandatory equality on all key attributes",
  keyTwice: (name: string) =>
    `Multiple conditions on same key ${name}. Only single item Update/Insert/Delete are supported`,
  keyType: (name: string) => `Key attribute's data type should match its data type in table's schema: Key ${name}`,
  keyAbsent: (name: string) => `Key attribute should be present in the item: Key ${name}`,
  orderWithoutWhere: "Must have WHERE clause in the statement when using ORDER BY clause.",
  orderWithoutKey: "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
  orderByOther: (name: string) => `Variable reference ${name} in ORDER BY clause must be part of the primary key`,
  orderManyKeys:
    "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
  tokenInvalid: "Invalid NextToken",
  tokenMismatch: "NextToken does not match request",
  duplicateItem: "Duplicate primary key exists in table",
  batchMixed: "A batch must consist of either read statements or write statements, not both",
  batchKey: "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
} as const;
