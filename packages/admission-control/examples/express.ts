// Reads cost one unit, everything else five.
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
  }),
);
app.all("/", (_request, response) => {
  response.json({ hello: "world" });
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
