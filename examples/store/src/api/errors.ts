import { messages } from "./messages.js";
import { partiqlMessages } from "./partiql/messages.js";
import { streamMessages } from "./streams/messages.js";

const SERVICE = "com.amazonaws.dynamodb.v20120810";
const CORAL = "com.amazon.coral.service";

/** Every error that a client can see: its namespace on the wire, its HTTP status, and what it says when nobody says more. */
const errorTypes = {
  AccessDeniedException: { namespace: CORAL, status: 400, message: messages.accessDenied },
  BackupInUseException: { namespace: SERVICE, status: 400, message: messages.backupInUse },
  BackupNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  ConditionalCheckFailedException: { namespace: SERVICE, status: 400, message: messages.conditionFailed },
  DuplicateItemException: { namespace: SERVICE, status: 400, message: partiqlMessages.duplicateItem },
  ExportNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  GlobalTableNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  ImportNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  InternalServerError: { namespace: SERVICE, status: 500, message: messages.internal },
  InvalidExportTimeException: { namespace: SERVICE, status: 400, message: messages.invalidExportTime },
  InvalidRestoreTimeException: { namespace: SERVICE, status: 400, message: messages.invalidRestoreTime },
  ItemCollectionSizeLimitExceededException: {
    namespace: SERVICE,
    status: 400,
    message: messages.itemCollectionTooLarge,
  },
  LimitExceededException: { namespace: SERVICE, status: 400, message: messages.limitExceeded },
  MissingAuthenticationTokenException: { namespace: CORAL, status: 400, message: messages.missingToken },
  ExpiredIteratorException: { namespace: SERVICE, status: 400, message: streamMessages.expired },
  IdempotentParameterMismatchException: { namespace: SERVICE, status: 400, message: messages.tokenMismatch },
  IncompleteSignatureException: { namespace: CORAL, status: 400, message: messages.incompleteSignature },
  InvalidSignatureException: { namespace: CORAL, status: 400, message: messages.signatureMismatch },
  ContinuousBackupsUnavailableException: { namespace: SERVICE, status: 400, message: messages.noBackups },
  PointInTimeRecoveryUnavailableException: { namespace: SERVICE, status: 400, message: messages.noPointInTimeRecovery },
  PolicyNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  ProvisionedThroughputExceededException: { namespace: SERVICE, status: 400, message: messages.throughputExceeded },
  RequestLimitExceeded: { namespace: SERVICE, status: 400, message: messages.requestLimitExceeded },
  ResourceInUseException: { namespace: SERVICE, status: 400, message: messages.resourceInUse },
  ResourceNotFoundException: { namespace: SERVICE, status: 400, message: messages.resourceNotFound },
  SerializationException: { namespace: CORAL, status: 400, message: undefined },
  ServiceUnavailable: { namespace: SERVICE, status: 503, message: messages.unavailable },
  TableAlreadyExistsException: { namespace: SERVICE, status: 400, message: messages.tableAlreadyExists },
  TableInUseException: { namespace: SERVICE, status: 400, message: messages.resourceInUse },
  TableNotFoundException: { namespace: SERVICE, status: 400, message: messages.tableNotFound },
  ThrottlingException: { namespace: "com.amazon.coral.availability", status: 400, message: messages.throttled },
  TransactionCanceledException: { namespace: SERVICE, status: 400, message: undefined },
  TransactionConflictException: { namespace: SERVICE, status: 400, message: messages.transactionConflict },
  TransactionInProgressException: { namespace: SERVICE, status: 400, message: messages.transactionInProgress },
  TrimmedDataAccessException: { namespace: SERVICE, status: 400, message: streamMessages.trimmed },
  UnrecognizedClientException: { namespace: CORAL, status: 400, message: messages.unrecognizedClient },
  UnknownOperationException: { namespace: CORAL, status: 400, message: undefined },
  ValidationException: { namespace: "com.amazon.coral.validate", status: 400, message: undefined },
} as const satisfies Record<string, { namespace: string; status: number; message: string | undefined }>;

export type ApiErrorType = keyof typeof errorTypes;

const CAPITALIZED: ReadonlySet<ApiErrorType> = new Set([
  "IdempotentParameterMismatchException",
  "SerializationException",
  "TransactionCanceledException",
  "TransactionInProgressException",
]);

/** An `ApiError` as plain data, for a message between two processes. */
export interface ApiErrorData {
  readonly type: ApiErrorType;
  readonly message?: string;
  /** Further fields of the answer, such as `Item` of a failed condition. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** An error that goes to the client as it is. Its `message` is the service's own text, wherever the service has one. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly type: ApiErrorType;
  readonly extra: Readonly<Record<string, unknown>> | undefined;
  /** What those operations say instead whose checks the service has renewed. */
  readonly newer: string | undefined;

  /** @param message absent: the type's own sentence, where it has one */
  constructor(
    type: ApiErrorType,
    message?: string,
    options: {
      readonly extra?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
      readonly newer?: string;
    } = {},
  ) {
    super(
      message ?? errorTypes[type].message ?? "",
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.type = type;
    this.extra = options.extra;
    this.newer = options.newer;
  }

  /** HTTP status of the answer. */
  get status(): number {
    return errorTypes[this.type].status;
  }

  /** The answer's body, ready for `JSON.stringify`. */
  body(): Record<string, unknown> {
    const body: Record<string, unknown> = { __type: `${errorTypes[this.type].namespace}#${this.type}` };
    if (this.message !== "") body[this.#isCapitalized ? "Message" : "message"] = this.message;
    return this.extra === undefined ? body : Object.assign(body, this.extra);
  }

  /**
   * The service's own two spellings: what its deserializer rejects, what its model has so (the errors of transactions), and a condition that failed where it returns the
   * item, it explains with a capital M. Some SDKs (Go's) read nothing but what the model has, others show the fields of an error as they came.
   */
  get #isCapitalized(): boolean {
    if (this.type === "ConditionalCheckFailedException") return this.extra?.Item !== undefined;
    return CAPITALIZED.has(this.type);
  }

  toData(): ApiErrorData {
    return {
      type: this.type,
      ...(this.message === "" ? {} : { message: this.message }),
      ...(this.extra === undefined ? {} : { extra: this.extra }),
    };
  }

  /** The reverse of `toData`. A type that this version does not know (a newer peer's) becomes an InternalServerError. */
  static fromData(data: ApiErrorData): ApiError {
    const type = Object.hasOwn(errorTypes, data.type) ? data.type : "InternalServerError";
    return new ApiError(type, data.message, data.extra === undefined ? {} : { extra: data.extra });
  }
}

/**
 * By far the most frequent kind: the request itself is wrong.
 * @param newer what operations with renewed checks say, where that is something else
 */
export function validationError(message: string, newer?: string): ApiError {
  return new ApiError("ValidationException", message, newer === undefined ? {} : { newer });
}
