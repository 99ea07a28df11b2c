export type StoreErrorCode = "ERR_STORE_ARGUMENT" | "ERR_STORE_LISTEN";

/** An error for the person who runs the store; what a client of the store sees is an `ApiError`. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
