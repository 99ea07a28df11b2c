/** What is needed of a database that lmdb opens with `keyEncoding: "binary"` and `encoding: "binary"`; the root or a named one. */
export interface LmdbLike {
  get(key: Buffer, options?: { readonly transaction: LmdbReadTransaction }): Buffer | undefined;
  put(key: Buffer, value: Buffer): PromiseLike<boolean>;
  remove(key: Buffer): PromiseLike<boolean>;
  /** One transaction. */
  batch(action: () => void): PromiseLike<boolean>;
  getRange(options: {
    readonly start: Buffer;
    readonly end: Buffer;
    readonly transaction: LmdbReadTransaction;
  }): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  useReadTransaction(): LmdbReadTransaction;
  resetReadTxn(): void;
  readonly flushed: PromiseLike<boolean>;
}

export interface LmdbReadTransaction {
  done(): void;
}
