/**
 * The token bucket that shares and banks are made of, as far as they need it: exact, and told the time. `BucketLevel`
 * of `@evenkeel/token-bucket` is handed in at the edge; what each method promises is written there.
 */
export interface Level {
  readonly capacity: number;
  tryTake(tokens: number, nowMs: number): boolean;
  has(tokens: number, nowMs: number): boolean;
  debit(tokens: number, nowMs: number): void;
  refund(tokens: number, nowMs: number): void;
  tokens(nowMs: number): number;
  msUntil(tokens: number, nowMs: number): number;
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }, nowMs: number): void;
}

export type NewLevel = (
  options: { readonly ratePerSecond: number; readonly capacity: number; readonly tokens: number },
  nowMs: number,
) => Level;
