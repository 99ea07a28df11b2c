import type { Context, MiddlewareHandler } from "hono";
import { Gate, type RateLimitOptions, type ServedResponse } from "./gate.js";

export type { RateLimitOptions, ServedResponse } from "./gate.js";

/** Middleware for Hono 4: `app.use(rateLimit({ ... }))`. */
export function rateLimit(options: RateLimitOptions<Context>): MiddlewareHandler {
  const gate = new Gate(options);
  return async (context, next) => {
    const decision = gate.decide(context);
    if (!decision.admitted) return new Response(decision.body, { status: decision.status, headers: decision.headers });
    await next();
    for (const [name, value] of Object.entries(decision.headers)) context.header(name, value);
    if (decision.served !== undefined) context.res = counted(context.res, decision.served);
    return undefined;
  };
}

/** The same response; `served` is told how many bytes of it were read when they were, or when the client left. */
function counted(response: Response, served: (response: ServedResponse) => void): Response {
  const { status, body } = response;
  if (body === null) {
    served({ status, bytes: 0 });
    return response;
  }
  let bytes = 0;
  const reader = body.getReader();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          served({ status, bytes });
          controller.close();
          return;
        }
        bytes += value.byteLength;
        controller.enqueue(value);
      } catch (error) {
        served({ status, bytes });
        controller.error(error);
      }
    },
    async cancel(reason) {
      served({ status, bytes });
      await reader.cancel(reason);
    },
  });
  return new Response(stream, response);
}
