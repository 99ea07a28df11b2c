import {
  type Asked,
  type ConnectionLimits,
  lookupFrame,
  overloaded,
  refused,
  type Target,
  toldBy,
  unknownFrame,
} from "./client-connection.js";
import { MemdsError } from "./core/errors.js";
import { decodeFrame, frameType } from "./core/frame.js";
import type { Answers, Questions } from "./core/questions.js";
import { crc32 } from "./digest.js";
import type { MemdsCarrier } from "./members.js";

/** Nothing else is under way in what is carried: a frame there, a frame back. */
const REQUEST = 1;

/** A server to which the app itself brings what is asked. */
export class Carried implements Target {
  readonly name: string;
  readonly #carrier: MemdsCarrier;
  readonly #limits: ConnectionLimits;
  #underway = 0;

  constructor(carrier: MemdsCarrier, limits: ConnectionLimits) {
    this.name = carrier.name;
    this.#carrier = carrier;
    this.#limits = limits;
  }

  get isDue(): boolean {
    return this.#carrier.isDue === true;
  }

  ask<A>(questions: Questions<A>): Asked<A> {
    const { frameBytesMax, outstandingMax } = this.#limits;
    if (this.#underway >= outstandingMax) return refused(overloaded(this.name, outstandingMax));
    const frame = lookupFrame(questions, REQUEST, frameBytesMax);
    if (frame instanceof MemdsError) return refused(frame);
    let drop: (reason: unknown) => void = () => {};
    const answers = new Promise<Answers<A>>((resolve, reject) => {
      drop = reject;
      this.#underway++;
      // What it throws is as good as a rejection.
      new Promise<Uint8Array>((carried) => carried(this.#carrier.carry(frame))).then(
        (answer) => {
          this.#underway--;
          try {
            resolve(this.#read(questions, answer));
          } catch (error) {
            reject(error);
          }
        },
        (cause: unknown) => {
          this.#underway--;
          const message = `${this.name}: ${cause instanceof Error ? cause.message : String(cause)}`;
          reject(new MemdsError("ERR_MEMDS_UNAVAILABLE", message, { cause }));
        },
      );
    });
    return { answers, drop };
  }

  #read<A>(questions: Questions<A>, answer: Uint8Array): Answers<A> {
    const { frameBytesMax } = this.#limits;
    const { type, payload } = decodeFrame(answer, { frameBytesMax, checksum: crc32 });
    if (type === frameType.answer) return questions.decode(payload);
    throw type === frameType.error ? toldBy(this.name, payload) : unknownFrame(type);
  }

  /** The way there is the app's. */
  close(): void {}
}
