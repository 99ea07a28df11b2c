/**
 * Sequence numbers of stream records: 24 decimal digits, a 1 first so that all have as many, the slot of the log's entry (16), the write's place in it (7). So they
 * sort as the records do, as texts and as numbers, and say where the record lies.
 */
export interface StreamPosition {
  readonly slot: number;
  /** Of the write in its entry, from 0. */
  readonly index: number;
}

const SLOT_DIGITS = 16;
const INDEX_DIGITS = 7;
/** Behind all writes of an entry. */
export const INDEX_END = 10 ** INDEX_DIGITS - 1;
const FORM = /^1(\d{16})(\d{7})$/;

export function sequenceNumber({ slot, index }: StreamPosition): string {
  return `1${String(slot).padStart(SLOT_DIGITS, "0")}${String(index).padStart(INDEX_DIGITS, "0")}`;
}

/** Undefined for what is none. */
export function parseSequenceNumber(text: string): StreamPosition | undefined {
  const [, slot, index] = FORM.exec(text) ?? [];
  const position = { slot: Number(slot), index: Number(index) };
  return slot === undefined || !Number.isSafeInteger(position.slot) ? undefined : position;
}

/** Just before a position: everything behind it begins with what is there. */
export function before({ slot, index }: StreamPosition): StreamPosition {
  return index > 0 ? { slot, index: index - 1 } : { slot: slot - 1, index: INDEX_END };
}

export const slotEnd = (slot: number): StreamPosition => ({ slot, index: INDEX_END });
