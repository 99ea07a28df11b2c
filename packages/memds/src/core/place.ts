import {
  type Block,
  copyBytes,
  type Entry,
  emptyBlock,
  keyIn,
  locate,
  locateInColumns,
  newSpan,
  valueIn,
} from "./block.js";

/**
 * Stands at an entry of a tree and reads it where it lies. Make one and use it for any number of look-ups: nothing is allocated by them. It keeps the
 * bytes in which it stands alive.
 */
export class Place {
  readonly #span = newSpan();
  #bytes: Uint8Array = emptyBlock.bytes;

  /** The tree's own bytes: the value is `bytes[valueStart]` to before `bytes[valueEnd]`. Never write to them. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get valueStart(): number {
    return this.#span.valueStart;
  }

  get valueEnd(): number {
    return this.#span.valueEnd;
  }

  get keyLength(): number {
    const { prefixStart, prefixEnd, suffixStart, suffixEnd } = this.#span;
    return prefixEnd - prefixStart + suffixEnd - suffixStart;
  }

  /** A copy. */
  key(): Uint8Array {
    return keyIn(this.#bytes, this.#span);
  }

  /** Copies the key to where there is room for it, and returns where it ends there. For this package only. @internal */
  copyKey(to: Uint8Array, at: number): number {
    const { prefixStart, prefixEnd, suffixStart, suffixEnd } = this.#span;
    const suffixAt = at + prefixEnd - prefixStart;
    copyBytes(this.#bytes, prefixStart, prefixEnd, to, at);
    copyBytes(this.#bytes, suffixStart, suffixEnd, to, suffixAt);
    return suffixAt + suffixEnd - suffixStart;
  }

  /** A copy. */
  value(): Uint8Array {
    return valueIn(this.#bytes, this.#span);
  }

  /** A copy of both. */
  entry(): Entry {
    return { key: this.key(), value: this.value() };
  }

  /** At an entry of a leaf, whose object is looked at only where its block's form needs it. For this package only. @internal */
  moveTo(bytes: Uint8Array, at: number, index: number, of: { readonly leaf: Block }): void {
    this.#bytes = bytes;
    if (!locateInColumns(bytes, at, index, this.#span)) locate(of.leaf, index, this.#span);
  }

  /** For this package only. @internal */
  moveToSpan(
    bytes: Uint8Array,
    prefixStart: number,
    prefixEnd: number,
    suffixStart: number,
    suffixEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.#bytes = bytes;
    const span = this.#span;
    span.prefixStart = prefixStart;
    span.prefixEnd = prefixEnd;
    span.suffixStart = suffixStart;
    span.suffixEnd = suffixEnd;
    span.valueStart = valueStart;
    span.valueEnd = valueEnd;
  }
}
