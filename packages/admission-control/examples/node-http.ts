// A tenth of a second of work for each kilobyte sent: clients are charged for what they got, tenant by tenant.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { rateLimit } from "@evenkeel/admission-control/http";

const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "example" });
const limited = rateLimit({
  admission,
  name: "kilobytes",
  limit: { ratePerSecond: 10, burstSeconds: 2 },
  key: (request) => request.headers["x-tenant"]?.toString(),
  chargeAfter: ({ bytes }) => bytes / 1000,
});

const server = createServer((request, response) => {
  limited(request, response, () => {
    response.write("x".repeat(10_000));
    response.end("x".repeat(15_000));
  });
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
