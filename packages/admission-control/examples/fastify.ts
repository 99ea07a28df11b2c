// Reads cost one unit, everything else five; a report costs what it weighs.
import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { rateLimit } from "@evenkeel/admission-control/fastify";
import fastify from "fastify";

const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "example" });
const app = fastify();
app.addHook(
  "onRequest",
  rateLimit({
    admission,
    name: "api",
    limit: { ratePerSecond: 1, burstSeconds: 10 },
    key: (request) => request.headers["x-tenant"]?.toString(),
    cost: (request) => (request.method === "GET" ? 1 : 5),
    chargeAfter: ({ bytes }, request) => (request.url === "/report" ? bytes / 1000 : request.method === "GET" ? 1 : 5),
  }),
);
app.all("/", async () => ({ hello: "world" }));
app.get("/report", async () => "x".repeat(25_000));

console.log(await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" }));
