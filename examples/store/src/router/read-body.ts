import type { IncomingMessage } from "node:http";

/** The memory that all request bodies together may hold while they arrive. */
export class BodyBudget {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

export type Body =
  | { readonly kind: "complete"; readonly bytes: Buffer }
  /** Larger than one body may be. */
  | { readonly kind: "too-large" }
  /** The budget is spent on other bodies just now. */
  | { readonly kind: "no-room" }
  /** The client went away before it had sent everything. */
  | { readonly kind: "gone" };

/** Never rejects. Stops listening at the first byte too much; the caller then closes the connection. */
export function readBody(request: IncomingMessage, bytesMax: number, budget: BodyBudget): Promise<Body> {
  return new Promise((resolve) => {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > bytesMax) return resolve({ kind: "too-large" });
    let chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (body: Body) => {
      budget.bytes -= bytes;
      chunks = [];
      bytes = 0;
      request.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      // Who is gone may still report an error, and nobody else listens.
      request.on("error", () => {});
      resolve(body);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      budget.bytes += chunk.length;
      if (bytes > bytesMax) finish({ kind: "too-large" });
      else if (budget.bytes > budget.bytesMax) finish({ kind: "no-room" });
      else chunks.push(chunk);
    };
    const onEnd = () => {
      const whole = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes);
      finish({ kind: "complete", bytes: whole });
    };
    const onGone = () => finish({ kind: "gone" });
    request.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
  });
}
