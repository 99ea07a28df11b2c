/**
 * Messages that wait for a connection or for a slow peer, bounded in bytes. At the bound the oldest go first: what a node has to say now
 * (a vote, a lease) is worth more to the protocol than what it wanted to say then.
 */
export class SendQueue {
  readonly #bytesMax: number;
  #items: Uint8Array[] = [];
  #head = 0;
  bytes = 0;
  dropped = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Uint8Array): void {
    if (item.length > this.#bytesMax) {
      this.dropped++;
      return;
    }
    while (this.bytes + item.length > this.#bytesMax) {
      this.#shift();
      this.dropped++;
    }
    this.#items.push(item);
    this.bytes += item.length;
  }

  /** Takes messages from the front: at least one, then as many as fit into `bytesMax`. */
  take(bytesMax: number): { payloads: Uint8Array[]; bytes: number } {
    const payloads: Uint8Array[] = [];
    let bytes = 0;
    while (this.length > 0) {
      const next = this.#items[this.#head] as Uint8Array;
      if (payloads.length > 0 && bytes + next.length > bytesMax) break;
      bytes += next.length;
      payloads.push(this.#shift());
    }
    return { payloads, bytes };
  }

  clear(): void {
    this.dropped += this.length;
    this.#items = [];
    this.#head = 0;
    this.bytes = 0;
  }

  #shift(): Uint8Array {
    const item = this.#items[this.#head] as Uint8Array;
    this.#items[this.#head++] = empty;
    this.bytes -= item.length;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}

const empty = new Uint8Array(0);
