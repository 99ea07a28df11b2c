import type { FastifyReply, FastifyRequest } from "fastify";
import { Gate, type RateLimitOptions } from "./gate.js";
import { chargeWhenServed } from "./node.js";

export type { RateLimitOptions, ServedResponse } from "./gate.js";

/** An `onRequest` hook for Fastify 4 and 5: `app.addHook("onRequest", rateLimit({ ... }))`, or of one route. */
export function rateLimit(
  options: RateLimitOptions<FastifyRequest>,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  const gate = new Gate(options);
  return async (request, reply) => {
    const decision = gate.decide(request);
    reply.headers(decision.headers);
    if (!decision.admitted) return reply.code(decision.status).send(decision.body);
    chargeWhenServed(reply.raw, decision);
    return undefined;
  };
}
