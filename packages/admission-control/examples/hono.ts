// Reads cost one unit, everything else five; a report costs what it weighs.
import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { rateLimit } from "@evenkeel/admission-control/hono";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "example" });
const app = new Hono();
app.use(
  rateLimit({
    admission,
    name: "api",
    limit: { ratePerSecond: 1, burstSeconds: 10 },
    key: (context) => context.req.header("x-tenant"),
    cost: (context) => (context.req.method === "GET" ? 1 : 5),
    chargeAfter: ({ bytes }, context) =>
      context.req.path === "/report" ? bytes / 1000 : context.req.method === "GET" ? 1 : 5,
  }),
);
app.all("/", (context) => context.json({ hello: "world" }));
app.get("/report", (context) => context.text("x".repeat(25_000)));

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: "127.0.0.1" }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`);
});
