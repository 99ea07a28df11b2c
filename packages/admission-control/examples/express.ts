// Reads cost one unit, everything else five; a report costs what it weighs.
import type { AddressInfo } from "node:net";
import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { rateLimit } from "@evenkeel/admission-control/express";
import express from "express";

const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "example" });
const app = express();
app.use(
  rateLimit({
    admission,
    name: "api",
    limit: { ratePerSecond: 1, burstSeconds: 10 },
    key: (request) => request.get("x-tenant"),
    cost: (request) => (request.method === "GET" ? 1 : 5),
    chargeAfter: ({ bytes }, request) => (request.path === "/report" ? bytes / 1000 : request.method === "GET" ? 1 : 5),
  }),
);
app.all("/", (_request, response) => {
  response.json({ hello: "world" });
});
app.get("/report", (_request, response) => {
  response.send("x".repeat(25_000));
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
