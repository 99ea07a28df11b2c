import type { Admission } from "../admission.js";
import { AdmissionError, argumentError, checkName, checkNumber, checkOptions } from "../core/errors.js";
import { checkMemberLimit, type MemberLimitOptions } from "../core/protocol.js";
import type { Limit } from "../limit.js";
import { type RateLimitFields, rateLimitFields, retryAfterSeconds } from "./fields.js";

/** What became of a request that was let in. */
export interface ServedResponse {
  readonly status: number;
  /** Bytes of the body that were sent, or were about to be when the client left. */
  readonly bytes: number;
}

export interface RateLimitOptions<Request> {
  /** Where the limit is opened; it stays yours to close. */
  readonly admission: Admission;
  /** Names the limit, and the policy in the response fields. */
  readonly name: string;
  /** The whole limit, of each key where there is a `key`. */
  readonly limit: MemberLimitOptions;
  /** One limit for each key, such as a tenant; a request without one (`undefined`) is not limited. Default: one limit for all. */
  readonly key?: (request: Request) => string | undefined;
  /** Units that a request costs: 0 and more, default 1. Taken before it is served. */
  readonly cost?: number | ((request: Request) => number);
  /**
   * Units that it turned out to cost, all in all, when the response is known. The difference to `cost` is charged, or given
   * back; a charge may go beyond what is there, and is paid back before the next request is let in.
   */
  readonly chargeAfter?: (response: ServedResponse, request: Request) => number;
  /** Says the key in the response fields too, as `pk`. Default false: keys may be nobody else's business. */
  readonly exposeKey?: boolean;
  /** Keys with a limit open here; the one unused for longest is closed for the next. Default 10,000. */
  readonly keysMax?: number;
}

const names: Record<keyof RateLimitOptions<unknown>, 0> = {
  admission: 0,
  name: 0,
  limit: 0,
  key: 0,
  cost: 0,
  chargeAfter: 0,
  exposeKey: 0,
  keysMax: 0,
};

/** A request that was let in: what to say, and what to call when its response is known. */
export interface Admitted {
  readonly admitted: true;
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined` where nothing is charged afterwards. Calls after the first are ignored. */
  readonly served: ((response: ServedResponse) => void) | undefined;
}

/** A request that was not: the whole response. */
export interface Refused {
  readonly admitted: false;
  readonly status: 429;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const NOT_LIMITED: Admitted = { admitted: true, headers: {}, served: undefined };

/** The decision behind every middleware; for a framework that has none here, use it as they do. */
export class Gate<Request> {
  readonly #options: RateLimitOptions<Request>;
  readonly #keysMax: number;
  /** By name, in the order of last use; one alone where there are no keys. */
  readonly #limits = new Map<string, Limit>();

  /** @throws AdmissionError `ERR_ADMISSION_ARGUMENT` */
  constructor(options: RateLimitOptions<Request>) {
    options = checkOptions("rateLimit", options, names);
    this.#options = options;
    if (typeof options.admission?.limit !== "function")
      throw argumentError("admission", "an Admission", options.admission);
    checkName("name", options.name);
    checkMemberLimit(options.limit);
    this.#keysMax = checkNumber("keysMax", options.keysMax ?? 10_000, 1, 2 ** 24);
    for (const name of ["key", "chargeAfter"] as const) {
      const given = options[name];
      if (given !== undefined && typeof given !== "function") throw argumentError(name, "a function", given);
    }
    if (typeof options.cost !== "function") checkNumber("cost", options.cost ?? 1, 0, Number.MAX_VALUE);
  }

  /** Takes what the request costs, or says what to answer instead. @throws AdmissionError `ERR_ADMISSION_ARGUMENT` where `key` or `cost` gave what cannot be. */
  decide(request: Request): Admitted | Refused {
    const { name, key: keyOf, cost = 1, exposeKey = false } = this.#options;
    const key = keyOf?.(request);
    if (keyOf !== undefined && key === undefined) return NOT_LIMITED;
    const units = typeof cost === "number" ? cost : checkNumber("cost(request)", cost(request), 0, Number.MAX_VALUE);
    const limit = this.#limit(key);
    if (limit === undefined) return refusal(name, {}, "The admission is closed.");
    const shown = exposeKey ? key : undefined;
    if (limit.tryTake(units)) {
      const headers = { ...rateLimitFields(name, limit.stats(), { key: shown }) };
      return { admitted: true, headers, served: this.#served(limit, units, request) };
    }
    const seconds = retryAfterSeconds(limit, units);
    const fields = rateLimitFields(name, limit.stats(), { key: shown, retryAfterSeconds: seconds ?? 1 });
    if (seconds === undefined) return refusal(name, fields, "It costs more than the whole limit can ever hold.");
    return refusal(name, { ...fields, "Retry-After": String(seconds) });
  }

  #served(limit: Limit, charged: number, request: Request): Admitted["served"] {
    const { chargeAfter } = this.#options;
    if (chargeAfter === undefined) return undefined;
    let done = false;
    return (response) => {
      if (done) return;
      done = true;
      const units = checkNumber("chargeAfter(response)", chargeAfter(response, request), 0, 1e15);
      if (units > charged) limit.debit(units - charged);
      else limit.refund(charged - units);
    };
  }

  /** Opened again where somebody else has closed it, such as another gate of this name; `undefined` when the admission is closed. */
  #limit(key: string | undefined): Limit | undefined {
    const { name } = this.#options;
    if (key !== undefined && typeof key !== "string") throw argumentError("key(request)", "a string or undefined", key);
    // Names of limits are bounded; what a client sends as a key is not.
    const full = key === undefined ? name : `${name}:${key}`.slice(0, 1024);
    const known = this.#limits.get(full);
    this.#limits.delete(full);
    const found = known === undefined || known.stats().mode === "closed" ? this.#open(full) : known;
    if (found !== undefined) this.#limits.set(full, found);
    return found;
  }

  #open(name: string): Limit | undefined {
    const { admission, limit } = this.#options;
    if (this.#limits.size >= this.#keysMax) this.#closeOldest();
    for (;;) {
      try {
        return admission.limit(name, limit);
      } catch (error) {
        if (!(error instanceof AdmissionError)) throw error;
        if (error.code === "ERR_ADMISSION_CLOSED") return undefined;
        // The admission holds fewer limits than there are keys: the same answer as to `keysMax`.
        if (error.code !== "ERR_ADMISSION_LIMITS" || !this.#closeOldest()) throw error;
      }
    }
  }

  #closeOldest(): boolean {
    for (const [name, limit] of this.#limits) {
      limit.close();
      this.#limits.delete(name);
      return true;
    }
    return false;
  }
}

function refusal(
  policy: string,
  headers: Readonly<Record<string, string>> | RateLimitFields,
  detail?: string,
): Refused {
  return {
    admitted: false,
    status: 429,
    headers: { ...headers, "Content-Type": "application/problem+json", "Cache-Control": "no-store" },
    body: JSON.stringify({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Request cannot be satisfied as assigned quota has been exceeded",
      status: 429,
      ...(detail === undefined ? {} : { detail }),
      "violated-policies": [policy],
    }),
  };
}
