/** What a request wants, by the names in S3's documentation. */
export type Operation =
  | "PutObject"
  | "GetObject"
  | "HeadObject"
  | "DeleteObject"
  | "ListObjectsV2"
  | "CreateMultipartUpload"
  | "UploadPart"
  | "CompleteMultipartUpload"
  | "AbortMultipartUpload";

export type Fault =
  /** Answered so, and nothing done. */
  | { readonly kind: "refuse"; readonly status: number; readonly code: string }
  /** Nothing done, the connection cut. */
  | { readonly kind: "cut" }
  /** Done, and the connection cut before the answer. */
  | { readonly kind: "cut after" }
  /** Done, and never answered. */
  | { readonly kind: "silent after" }
  /** Never answered, and nothing done. */
  | { readonly kind: "silent" }
  /** A byte of the body changed on its way to the server, the headers as they were. */
  | { readonly kind: "damaged request" }
  /** A byte of the object changed in the answer. */
  | { readonly kind: "rot"; readonly at?: number }
  /** The answer's body ends early, the connection is cut. */
  | { readonly kind: "short" }
  /** Half of the body, then nothing more. */
  | { readonly kind: "stalled" }
  /** Answered as done, and gone the next moment. */
  | { readonly kind: "lost" }
  /** Status 200, and an error in the body. S3 does that when it joins parts. */
  | { readonly kind: "error in 200"; readonly code: string }
  /** Nothing done; status 200 and a page for people, from a proxy in between. */
  | { readonly kind: "web page" };

export interface Staged {
  readonly on: Operation | "any";
  readonly key?: RegExp;
  /** Default 1. */
  readonly times?: number;
  readonly fault: Fault;
}

/** Faults in the order in which they were staged; the first that matches a request happens to it. */
export class Stage {
  #staged: { on: Operation | "any"; key: RegExp | undefined; left: number; fault: Fault }[] = [];

  add({ on, key, times = 1, fault }: Staged): void {
    this.#staged.push({ on, key, left: times, fault });
  }

  clear(): void {
    this.#staged = [];
  }

  take(operation: Operation, key: string): Fault | undefined {
    const found = this.#staged.find(
      (one) => one.left > 0 && (one.on === "any" || one.on === operation) && (one.key?.test(key) ?? true),
    );
    if (found !== undefined) found.left--;
    return found?.fault;
  }
}
