/**
 * Every sentence that a client can be told stands in a table, because the service's wording drifts and programs do match on it: here, and in the `messages.ts` of
 * `control/` (tables' settings, backups), `partiql/` and `streams/`. Spelling and spacing are the service's, mistakes included.
 */
import { inSetOrder, inSizedSetOrder } from "./set-order.js";

export const INVALID_VALUES = "One or more parameter values were invalid: ";

type KeyTold = readonly (readonly [name: string, type: string, kind: "HASH" | "RANGE"])[];
const keyTold = (key: KeyTold): string =>
  `Schema:[${key.map((element) => `SchemaElement: key{${element.join(":")}}`).join(", ")}]`;

export const messages = {
  // Whole answers
  accessDenied: "You do not have sufficient access to perform this action.",
  conditionFailed: "The conditional request failed",
  internal: "The request processing has failed because of an unknown error, exception or failure.",
  invalidExportTime: "The specified ExportTime is outside of the point in time recovery window.",
  invalidRestoreTime: "An invalid restore time was specified.",
  itemCollectionTooLarge: "Collection size exceeded.",
  limitExceeded: "Too many operations for a given subscriber.",
  missingToken: "Request is missing Authentication Token",
  incompleteSignature: "The request signature does not conform to AWS standards.",
  authorizationParameter: (name: string) => `Authorization header requires '${name}' parameter. `,
  authorizationDate: "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
  authorizationQuery: (name: string) => `AWS query-string parameters must include '${name}'. `,
  authorizationQueryEnd: "Re-examine the query-string parameters.",
  signedTwice: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
  unrecognizedClient: "The security token included in the request is invalid.",
  /** Said of a token where the key is known. */
  unrecognizedToken: "The security token included in the request is invalid",
  signatureMismatch:
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
  signatureDate: (date: string) =>
    `Date must be in ISO-8601 'basic format'. Got '${date}'. See http://en.wikipedia.org/wiki/ISO_8601`,
  signatureExpires: "X-Amz-Expires must be a number of seconds from 1 to 604800",
  signatureExpired: (date: string, earliest: string, span: string) =>
    `Signature expired: ${date} is now earlier than ${earliest} (${span})`,
  signatureEarly: (date: string, latest: string, span: string) =>
    `Signature not yet current: ${date} is still later than ${latest} (${span})`,
  hostNotSigned: "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
  algorithmUnsupported: (name: string) =>
    `Unsupported AWS 'algorithm': '${name.slice(0, 64)}' (only AWS4-HMAC-SHA256 for now). `,
  credentialParts: (credential: string) =>
    `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential}'`,
  scopeRegion: "Credential should be scoped to a valid region. ",
  scopeService: (service: string) => `Credential should be scoped to correct service: '${service}'. `,
  scopeTerminator: (wanted: string, got: string) =>
    `Credential should be scoped with a valid terminator: '${wanted}', not '${got}'. `,
  scopeDate: (scope: string, day: string, date: string) =>
    `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scope}' != '${day}', from '${date}'. `,
  authorizationEcho: (header: string) => `Authorization=${header.slice(0, 512)}`,
  noBackups: "Backups have not yet been enabled for this table",
  noPointInTimeRecovery: "Point in time recovery has not been enabled for this table.",
  throughputExceeded:
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.",
  requestLimitExceeded: "Throughput exceeds the current throughput limit for your account. Please contact AWS Support.",
  backupInUse: "The backup is in use: a table is being restored from it",
  resourceInUse: "The operation conflicts with the resource's availability.",
  resourceNotFound: "Requested resource not found",
  unavailable: "The service is currently unavailable or busy.",
  throttled: "Rate of requests exceeds the allowed throughput.",
  transactionConflict: "Transaction is ongoing for the item",
  tableAlreadyExists: "Table already exists",
  tableNotFound: "Table not found",
  tableNotFoundPlain: (called: string | undefined) => `Table not found${called === undefined ? "" : `: ${called}`}`,
  tableNotFoundNamed: (table: string) => `Requested resource not found: Table: ${table} not found`,
  tableExistsNamed: (table: string) => `Table already exists: ${table}`,

  // Shape of a request
  constraints: (failures: readonly string[]) =>
    `${failures.length} validation error${failures.length === 1 ? "" : "s"} detected: ${failures.join("; ")}`,
  /** How newer checks say it: the member by its name in the request, and not what it was. */
  constraintOf: (member: string, rule: string) => `Value at '${member}' failed to satisfy constraint: ${rule}`,
  collectionMetrics: "ReturnItemCollectionMetrics can only be SIZE or NONE",
  constraintOfNone: (rule: string) => `Failed to satisfy constraint: ${rule}`,
  constraint: (value: string, at: string, rule: string) =>
    `Value ${value} at '${at}' failed to satisfy constraint: ${rule}`,
  mustNotBeNull: "Member must not be null",
  mustHaveLengthMin: (n: number) => `Member must have length greater than or equal to ${n}`,
  mustHaveLengthMax: (n: number) => `Member must have length less than or equal to ${n}`,
  mustBeMin: (n: number) => `Member must have value greater than or equal to ${n}`,
  mustBeMax: (n: number) => `Member must have value less than or equal to ${n}`,
  mustMatch: (pattern: string) => `Member must satisfy regular expression pattern: ${pattern}`,
  mustBeOneOf: (values: readonly string[]) => `Member must satisfy enum value set: [${values.join(", ")}]`,
  mapKeysMust: (rules: readonly string[]) => `Map keys must satisfy constraint: [${rules.join(", ")}]`,
  mapValueMust: (rules: readonly string[]) => `Map value must satisfy constraint: [${rules.join(", ")}]`,
  notSupported: (name: string) => `${INVALID_VALUES}${name} is not supported by this store`,

  // What the deserializer says
  cannotBeConverted: (token: string, to: string) => `${token} cannot be converted to ${to}`,
  unexpectedToken: "Unexpected token received from parser",
  startOfStructure: "Start of structure or map found where not expected",
  startOfList: (to: string) => `Unrecognized collection type ${to}`,
  unexpectedFieldType: "Unexpected field type",
  unexpectedValueType: "Unexpected value type in payload",
  onlyBase64: "only base-64-encoded strings are convertible to bytes",
  base64Length: (length: number) => `Base64 encoded length is expected a multiple of 4 bytes but found: ${length}`,
  base64Character: "Invalid last non-pad Base64 character dectected",

  // Attribute values
  valueEmpty: "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
  valueAmbiguous:
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
  nullMustBeTrue: `${INVALID_VALUES}Null attribute value types must have the value of true`,
  stringSetEmpty: `${INVALID_VALUES}An string set  may not be empty`,
  numberSetEmpty: `${INVALID_VALUES}An number set  may not be empty`,
  binarySetEmpty: `${INVALID_VALUES}Binary sets should not be empty`,
  stringSetNull: `${INVALID_VALUES}An string set may not have a null string as a member`,
  stringSetDuplicates: (values: string) => `${INVALID_VALUES}Input collection ${values} contains duplicates.`,
  numberSetDuplicates: "Input collection contains duplicates",
  binarySetDuplicates: (values: string) => `${INVALID_VALUES}Input collection ${values}of type BS contains duplicates.`,
  stringSetDuplicatesNewer: (values: readonly string[]) =>
    `${INVALID_VALUES}Input collection [${values.map((value) => `"${value}"`).join(", ")}] contains duplicates.`,
  numberSetDuplicatesNewer: `${INVALID_VALUES}Input collection contains duplicates.`,
  binarySetDuplicatesNewer: (values: readonly string[]) =>
    `${INVALID_VALUES}Input collection [${values.map((value) => `"${value}"`).join(",")}]of type BS contains duplicates.`,
  nestingTooDeep:
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
  /** Of what an update would leave. */
  nestingTooDeepAfterUpdate: "Nesting Levels have exceeded supported limits",
  attributeNameEmpty: "Empty attribute name",
  attributeNameTooLarge: "Attribute name is too large, must be less than 65536 bytes",
  notANumberEmpty: "The parameter cannot be converted to a numeric value",
  notANumberEmptyNewer: "The parameter cannot be converted to a numeric value: ",
  notANumber: (text: string) => `The parameter cannot be converted to a numeric value: ${text}`,
  numberOverflow: "Number overflow. Attempting to store a number with magnitude larger than supported range",
  numberUnderflow: "Number underflow. Attempting to store a number with magnitude smaller than supported range",
  numberTooPrecise: "Attempting to store more than 38 significant digits in a Number",
  itemTooLarge: "Item size has exceeded the maximum allowed size",
  itemTooLargeAfterUpdate: "Item size to update has exceeded the maximum allowed size",

  // Keys
  keyMismatch: "The provided key element does not match the schema",
  keyMissing: (name: string) => `${INVALID_VALUES}Missing the key ${name} in the item`,
  keyType: (name: string, expected: string, actual: string) =>
    `${INVALID_VALUES}Type mismatch for key ${name} expected: ${expected} actual: ${actual}`,
  keyEmpty: (name: string, type: string) =>
    `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ${type === "S" ? "string" : "binary"} value. Key: ${name}`,
  partitionKeyTooLarge: `${INVALID_VALUES}Size of hashkey has exceeded the maximum size limit of2048 bytes`,
  sortKeyTooLarge: `${INVALID_VALUES}Aggregated size of all range keys has exceeded the size limit of 1024 bytes`,
  keyUpdate: (name: string) => `${INVALID_VALUES}Cannot update attribute ${name}. This attribute is part of the key`,

  // Expressions
  invalidExpression: (parameter: string, problem: string) => `Invalid ${parameter}: ${problem}`,
  expressionEmpty: "The expression can not be empty;",
  expressionTooLong: (size: number) =>
    `Expression size has exceeded the maximum allowed size; expression size: ${size}`,
  updateTooLong: "Expression size has exceeded the maximum allowed size;",
  expressionTooDeep: "The expression contains too many nested levels;",
  expressionTooManyOperators: (count: number) => `The expression contains too many operators; operator count: ${count}`,
  syntaxError: (token: string, near: string) => `Syntax error; token: "${token}", near: "${near}"`,
  pathTooDeep: (levels: number) => `The document path has too many nesting levels; nesting levels: ${levels}`,
  listIndexTooLarge: (index: string) => `List index is not within the allowable range; index: [${index}]`,
  nameUndefined: (name: string) =>
    `An expression attribute name used in the document path is not defined; attribute name: ${name}`,
  valueUndefined: (name: string) =>
    `An expression attribute value used in expression is not defined; attribute value: ${name}`,
  reservedKeyword: (name: string) => `Attribute name is a reserved keyword; reserved keyword: ${name}`,
  unknownFunction: (name: string) => `Invalid function name; function: ${name}`,
  functionMisplaced: (name: string) =>
    `The function is not allowed to be used this way in an expression; function: ${name}`,
  functionNotInCondition: (name: string) => `The function is not allowed in a condition expression; function: ${name}`,
  functionNotInUpdate: (name: string) => `The function is not allowed in an update expression; function: ${name}`,
  operandCount: (operator: string, count: number) =>
    `Incorrect number of operands for operator or function; operator or function: ${operator}, number of operands: ${count}`,
  operandType: (operator: string, type: string) =>
    `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
  /** The set that it names is that of ADD for DELETE as well. */
  operandTypeOfUpdate: (operator: string, type: string) =>
    `Incorrect operand type for operator or function; operator: ${operator}, operand type: ${type}, typeSet: ALLOWED_FOR_ADD_OPERAND`,
  needsPath: (operator: string) => `Operator or function requires a document path; operator or function: ${operator}`,
  operandsSame: (operator: string, operand: string) =>
    `The first operand must be distinct from the remaining operands for this operator or function; operator: ${operator}, first operand: ${operand}`,
  unknownType: (name: string) =>
    `Invalid attribute type name found; type: ${name}, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}`,
  unknownTypeNewer: (name: string) =>
    `Invalid attribute type name found; type: ${name}, valid types: {S,SS,N,NS,B,BS,BOOL,NULL,L,M}`,
  /** What may stand at a path: more than the service lets anybody store. */
  pathTypes: "{SS,M,DECIMAL,DOUBLESET,HDS,N,B,DICT,INTSET,BOOL,HD,BS,INT,DECIMALSET,NULL,FLOAT,FS,S,L,NS,DOUBLE}",
  pathTypesNewer: "{S,SS,N,NS,B,BS,BOOL,NULL,L,M,HD,DOUBLE,FLOAT,HDS,FS,DOUBLESET,DICT,DECIMAL,INT,DECIMALSET,INTSET}",
  betweenTypes: (low: string, high: string) =>
    `The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: ${low}, upper bound operand: AttributeValue: ${high}`,
  betweenOrder: (low: string, high: string) =>
    `The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: ${low}, upper bound operand: AttributeValue: ${high}`,
  redundantParentheses: "The expression has redundant parentheses;",
  sectionTwice: (section: string) => `The "${section}" section can only be used once in an update expression;`,
  pathsOverlap: (one: string, two: string) =>
    `Two document paths overlap with each other; must remove or rewrite one of these paths; path one: ${one}, path two: ${two}`,
  pathsConflict: (one: string, two: string) =>
    `Two document paths conflict with each other; must remove or rewrite one of these paths; path one: ${one}, path two: ${two}`,
  updateOperandType: "An operand in the update expression has an incorrect data type",
  updateOperandMissing: "The provided expression refers to an attribute that does not exist in the item",
  updatePathInvalid: "The document path provided in the update expression is invalid for update",
  namesEmpty: "ExpressionAttributeNames must not be empty",
  valuesEmpty: "ExpressionAttributeValues must not be empty",
  nameKey: (key: string) => `ExpressionAttributeNames contains invalid key: Syntax error; key: "${key}"`,
  valueKey: (key: string) => `ExpressionAttributeValues contains invalid key: Syntax error; key: "${key}"`,
  nameKeyTooLong: (bytes: number) =>
    `ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; size of key: ${bytes}`,
  valueKeyTooLong:
    "ExpressionAttributeValues contains invalid key: The expression attribute map contains a key that is too long;",
  nameValue: (problem: string, key: string) =>
    `ExpressionAttributeNames contains invalid value: ${problem} for key ${key}`,
  valueValue: (problem: string, key: string) =>
    `ExpressionAttributeValues contains invalid value: ${problem} for key ${key}`,
  namesUnused: (keys: readonly string[]) =>
    `Value provided in ExpressionAttributeNames unused in expressions: keys: {${inSetOrder(keys).join(", ")}}`,
  valuesUnused: (keys: readonly string[]) =>
    `Value provided in ExpressionAttributeValues unused in expressions: keys: {${inSetOrder(keys).join(", ")}}`,
  namesTooLarge: "ExpressionAttributeNames exceeds max size",
  /** The service says so of 2 MB. That a value counts as often as it is used is this store's own. */
  valuesTooLarge: "ExpressionAttributeValues exceeds max size",
  valuesWithoutExpressionNewer: "ExpressionAttributeValues can only be specified when using expressions",
  namesWithoutExpression: "ExpressionAttributeNames can only be specified when using expressions",
  valuesWithoutExpression: (expressions: readonly string[]) =>
    `ExpressionAttributeValues can only be specified when using expressions: ${expressions.join(" and ")} ${expressions.length > 1 ? "are" : "is"} null`,

  // Parameters that were there before expressions
  parametersMixed: (legacy: readonly string[], expressions: readonly string[]) =>
    `Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {${legacy.join(", ")}} Expression parameters: {${expressions.join(", ")}}`,
  conditionalOperatorAlone: "ConditionalOperator cannot be used without Filter or Expected",
  conditionalOperatorOfOne: "ConditionalOperator can only be used when Filter or Expected has two or more elements",
  attributeTwice: (name: string) => `${INVALID_VALUES}Duplicate value in attribute name: ${name}`,
  comparisonCount: (operator: string) =>
    `${INVALID_VALUES}Invalid number of argument(s) for the ${operator} ComparisonOperator`,
  comparisonTypesDiffer: `${INVALID_VALUES}AttributeValues inside AttributeValueList must be of same type`,
  comparisonType: (operator: string, type: string) =>
    `${INVALID_VALUES}ComparisonOperator ${operator} is not valid for ${type} AttributeValue type`,
  comparisonBounds: "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
  notIndexable: "Attempted conditional constraint is not an indexable operation",
  expectedBothValues: (name: string) =>
    `${INVALID_VALUES}Value and AttributeValueList cannot be used together for Attribute: ${name}`,
  expectedExistsAndOperator: (name: string) =>
    `${INVALID_VALUES}Exists and ComparisonOperator cannot be used together for Attribute: ${name}`,
  expectedNoValues: (operator: string, name: string) =>
    `${INVALID_VALUES}Value or AttributeValueList must be used with ComparisonOperator: ${operator} for Attribute: ${name}`,
  expectedListAlone: (name: string) =>
    `${INVALID_VALUES}AttributeValueList can only be used with a ComparisonOperator for Attribute: ${name}`,
  expectedNoValue: (exists: string, name: string) =>
    `${INVALID_VALUES}Value must be provided when Exists is ${exists} for Attribute: ${name}`,
  expectedValueOfNothing: (name: string) =>
    `${INVALID_VALUES}Value cannot be used when Exists is false for Attribute: ${name}`,
  updateWithoutValue: `${INVALID_VALUES}Only DELETE action is allowed when no attribute value is specified`,
  deleteType: (type: string) => `${INVALID_VALUES}DELETE action with value is not supported for the type ${type}`,
  addType: (type: string) => `${INVALID_VALUES}ADD action is not supported for the type ${type}`,
  updateTypeMismatch: "Type mismatch for attribute to update",

  // Writes
  returnValuesPut: "ReturnValues can only be ALL_OLD or NONE",
  batchTooMany: (name: string) => `Too many items requested for the ${name} call`,
  batchDuplicates: "Provided list of item keys contains duplicates",

  // Transactions
  transactionCancelled: (codes: readonly string[]) =>
    `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(", ")}]`,
  transactionDuplicates: "Transaction request cannot include multiple operations on one item",
  /** Of writes, in their request. */
  transactionPayload: (bytes: number) =>
    `Transaction payload size cannot exceed 4MB. Payload Size: : Transaction payload size cannot exceed 4MB. Payload Size: ${bytes}`,
  transactionTooLarge:
    "Collection size of items exceeded, which can also be caused by the aggregate size of the items in the transaction exceeding the 4MB limit",
  transactionActions: "TransactItems can only contain one of Check, Put, Update or Delete",
  transactionNoAction: "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
  transactionInProgress: "Transaction from previous request is still in progress",
  tokenMismatch: "Specified idempotent token was used with different request parameters within the idempotency window",

  // Query and Scan
  keyConditionMissing: "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
  keyOperator: (operator: string) => `Invalid operator used in KeyConditionExpression: ${operator}`,
  keyNested: "KeyConditionExpressions cannot contain nested operations",
  keyNestedPath: "KeyConditionExpressions cannot have conditions on nested attributes",
  keyFirstOperand: (operator: string) =>
    `Invalid condition in KeyConditionExpression: ${operator} operator must have the key attribute as its first operand`,
  keyManyNames: "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
  keyNoName: "Invalid condition in KeyConditionExpression: No key attribute specified",
  keyConditionsTooMany: (conditions: number, keys: number) =>
    `The number of query conditions (${conditions}) exceeds the number of key attributes defined in the schema (${keys})`,
  keyTwice: "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
  keyConditionCount: "Conditions can be of length 1 or 2 only",
  keyConditionUnsupported: "Query key condition not supported",
  /** Of keys of several attributes. What follows the first "conditions" is not written down anywhere; as of RANGE. */
  hashKeysNotEqual: (names: readonly string[]) =>
    `HASH key attributes ${names.join(", ")} must have equality conditions specified in the query`,
  rangeKeysNotEqual: (names: readonly string[], last: string) =>
    `RANGE key attributes ${names.join(", ")} must have equality conditions specified in the query because a condition is present on key attribute ${last}`,
  keyConditionMissed: (name: string) => `Query condition missed key schema element: ${name}`,
  keyConditionType: `${INVALID_VALUES}Condition parameter type does not match schema type`,
  filterOnKey: (name: string, filter: "Filter Expression" | "QueryFilter" = "Filter Expression") =>
    `${filter} can only contain non-primary key attributes: Primary key attribute: ${name}`,
  startKeyInvalid: "The provided starting key is invalid",
  startKeyInvalidBecause: (problem: string) => `The provided starting key is invalid: ${problem}`,
  startKeyOutside: "The provided starting key is outside query boundaries based on provided conditions",
  startKeyPredicate: "The provided starting key does not match the range key predicate",
  /** Of a key that only the sort key's condition would allow, however many rows there are. */
  startKeyOtherHash: "The query can return at most one row and cannot be restarted",
  startKeySegment:
    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. ",
  noSuchIndex: (name: string) => `The table does not have the specified index: ${name}`,
  projectionWithSelect: (select: string, parameter = "ProjectionExpression") =>
    `Cannot specify the ${parameter} when choosing to get ${select === "COUNT" ? "only the Count" : select}`,
  projectedOnTable: "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
  specificWithoutProjection:
    "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
  segmentWithoutTotal:
    "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
  totalWithoutSegment:
    "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
  segmentTooLarge: (segment: number, total: number) =>
    `The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: ${segment} is not less than TotalSegments: ${total}`,

  // Tables
  throughputUnderOnDemand: `${INVALID_VALUES}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`,
  throughputMissing: `${INVALID_VALUES}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED`,
  keyNamesEqual: "Both the Hash Key and the Range Key element in the KeySchema have the same name",
  firstKeyNotHash: "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
  secondKeyNotRange: "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
  /** Of a table without indexes that defines fewer attributes than it has keys. */
  keysNotDefined: "Invalid KeySchema: Some index key attribute have no definition",
  keyNotDefined: (keys: readonly string[], definitions: readonly string[]) =>
    `${INVALID_VALUES}Some index key attributes are not defined in AttributeDefinitions. Keys: [${inSetOrder(keys).join(", ")}], AttributeDefinitions: [${inSizedSetOrder(definitions).join(", ")}]`,
  keyCountMismatch: `${INVALID_VALUES}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions`,
  definitionTwice: (name: string) => `Attribute Name is duplicated: ${name}`,

  // Secondary indexes
  definitionsUnused: (definitions: readonly string[], used: readonly string[]) =>
    `${INVALID_VALUES}Some AttributeDefinitions are not used. AttributeDefinitions: [${inSizedSetOrder(definitions).join(", ")}], keys used: [${inSetOrder(used).join(", ")}]`,
  indexListEmpty: (list: string) => `${INVALID_VALUES}List of ${list} is empty`,
  localIndexesTooMany: (most: number) =>
    `${INVALID_VALUES}Number of LocalSecondaryIndexes exceeds per-table limit of ${most}`,
  /** Of a table that has as many as it may. */
  globalIndexesAllThere: (most: number) =>
    `Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of ${most}`,
  globalIndexesTooMany: (most: number) =>
    `${INVALID_VALUES}GlobalSecondaryIndex count exceeds the per-table limit of ${most}`,
  localIndexNeedsSort: `${INVALID_VALUES}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex`,
  indexWithoutSort: (index: string) => `${INVALID_VALUES}Index KeySchema does not have a range key for index: ${index}`,
  indexOtherHash: (index: string, hash: string, tableHash: string) =>
    `${INVALID_VALUES}Index KeySchema does not have the same leading hash key as table KeySchema for index: ${index}. index hash key: ${hash}, table hash key: ${tableHash}`,
  indexNameTwice: (index: string) => `${INVALID_VALUES}Duplicate index name: ${index}`,
  indexKeyNamesEqual: "The KeySchema contains multiple key attributes with the same name",
  hashKeysFirst: `${INVALID_VALUES}All HASH key attributes must precede RANGE key attributes in the KeySchema`,
  keysTooMany: (kind: "HASH" | "RANGE") =>
    `${INVALID_VALUES}The KeySchema exceeds the maximum allowed number of ${kind} key attributes`,
  projectionUnknown: `${INVALID_VALUES}Unknown ProjectionType: null`,
  projectionWithNames: (type: string) =>
    `${INVALID_VALUES}ProjectionType is ${type}, but NonKeyAttributes is specified`,
  projectionWithoutNames: `${INVALID_VALUES}ProjectionType is INCLUDE, but NonKeyAttributes is not specified`,
  projectionNameTwice: (name: string) => `${INVALID_VALUES}Duplicate element in NonKeyAttributes: ${name}`,
  indexThroughputUnderOnDemand: (index: string) =>
    `${INVALID_VALUES}ProvisionedThroughput should not be specified for index: ${index} when BillingMode is PAY_PER_REQUEST`,
  indexThroughputMissing: (index: string) =>
    `${INVALID_VALUES}ProvisionedThroughput is not specified for index: ${index}`,
  indexKeyType: (name: string, expected: string, actual: string, index: string) =>
    `${INVALID_VALUES}Type mismatch for Index Key ${name} Expected: ${expected} Actual: ${actual} IndexName: ${index}`,
  indexKeyEmpty: (name: string, type: string, index: string) =>
    `One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty ${type === "S" ? "string" : "binary"} value. IndexName: ${index}, IndexKey: ${name}`,
  indexKeyNotScalar: (name: string) =>
    `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: ${name}`,
  indexKeyUpdatedType: "The update expression attempted to update the secondary index key to unsupported type",
  indexKeyUpdatedSize: "The update expression attempted to update the secondary index key beyond allowed size limits",
  indexKeyUpdatedEmpty: (type: string) =>
    `One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty ${type === "S" ? "string" : "binary"} value.`,
  consistentGlobalRead: "Consistent reads are not supported on global secondary indexes",
  allOfGlobalIndex: (index: string) =>
    `${INVALID_VALUES}Select type ALL_ATTRIBUTES is not supported for global secondary index ${index} because its projection type is not ALL`,
  notProjected: (index: string, names: readonly string[]) =>
    `${INVALID_VALUES}Global secondary index ${index} does not project [${names.join(", ")}]`,
  indexUpdateEmpty: `${INVALID_VALUES}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null`,
  indexUpdateAmbiguous: `${INVALID_VALUES}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object`,
  indexUpdateTwice: (index: string) =>
    `${INVALID_VALUES}Only one global secondary index update per index is allowed simultaneously. Index: ${index}`,
  indexesOneAtATime:
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
  definitionsMissing: (index: string) => `${INVALID_VALUES}AttributeDefinitions is not specified for index: ${index}`,
  indexThroughputIncomplete: (index: string) =>
    `${INVALID_VALUES}Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: ${index}`,
  /** Each key as its attributes by name, and its type and kind. */
  attributeRedefined: (before: KeyTold, after: KeyTold) =>
    `${INVALID_VALUES}Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. Existing schema: ${keyTold(before)} New schema: ${keyTold(after)}`,
  indexExists: "Attempting to create an index which already exists",
  indexNotGlobal: (verb: string, index: string) =>
    `Cannot ${verb} an index that is not a GlobalSecondaryIndex: ${index}`,
  indexNotFound: (index: string, table: string) => `Requested resource not found: Index ${index} for table ${table}`,
  indexUpdateUnderOnDemand: (index: string) =>
    `${INVALID_VALUES}The only Updates for index: ${index} when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput`,
  newIndexUnderOnDemand: (index: string) =>
    `${INVALID_VALUES}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: ${index} when BillingMode is PAY_PER_REQUEST`,
  /** Written down as far as the units to read; as of those to write. */
  indexThroughputUnchanged: (index: string, read: number, write: number) =>
    `The provisioned throughput for the index ${index} will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for index ${index}: ${read}. Requested ReadCapacityUnits: ${read}. Current WriteCapacityUnits provisioned for index ${index}: ${write}. Requested WriteCapacityUnits: ${write}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.`,
  indexBackfilling: (index: string) => `Cannot read from backfilling global secondary index: ${index}`,
  indexThroughputExceeded:
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with the UpdateTable API",
} as const;
