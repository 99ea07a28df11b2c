/** Milliseconds, with fractions if it likes, of any origin; should never step back, may. */
export type Clock = () => number;

/** Calls `fire` once after about `delayMs`; returns what cancels that. */
export type Timer = (delayMs: number, fire: () => void) => () => void;
