import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

interface Account {
  bytes: number;
  closed: boolean;
}

/**
 * How many bytes of answers wait for clients to take them. Kept by connection: answers that wait behind others never hear of its end, so
 * their bytes are written off with it.
 */
export class AnswerAccounts {
  readonly #accounts = new WeakMap<Socket, Account>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  open(socket: Socket): void {
    const account: Account = { bytes: 0, closed: false };
    this.#accounts.set(socket, account);
    socket.once("close", () => {
      this.#bytes -= account.bytes;
      account.closed = true;
    });
  }

  /** Call before the answer is sent. */
  add(response: ServerResponse, bytes: number): void {
    const account = this.#accounts.get(response.req.socket);
    if (account === undefined || account.closed) return;
    account.bytes += bytes;
    this.#bytes += bytes;
    response.once("close", () => {
      if (account.closed) return;
      account.bytes -= bytes;
      this.#bytes -= bytes;
    });
  }

  /** Call after an answer was written to the socket itself: what the kernel has not taken is counted until it has. */
  addUnsent(socket: Socket): void {
    const bytes = socket.writableLength;
    const account = bytes === 0 ? undefined : this.#accounts.get(socket);
    if (account === undefined || account.closed) return;
    account.bytes += bytes;
    this.#bytes += bytes;
    // The last answer of its connection is taken when that ends.
    if (socket.writableEnded) return;
    // Its turn comes when all that was written before it is taken.
    socket.write(NOTHING, () => {
      if (account.closed) return;
      account.bytes -= bytes;
      this.#bytes -= bytes;
    });
  }
}
