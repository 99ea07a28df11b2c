import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Server } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { CoordinatorServer } from "../src/http-coordinator/index.js";

it("goes on when its socket reports an error, and tells of each", async () => {
  await using server = await CoordinatorServer.listen();
  const seen: { server?: Server; errors: unknown[] } = { errors: [] };
  const onRequest = (message: unknown) => (seen.server = (message as { server: Server }).server);
  const onError = (message: unknown) => seen.errors.push((message as { error: unknown }).error);
  subscribe("http.server.request.start", onRequest);
  subscribe("evenkeel:admission-control:server-error", onError);
  onTestFinished(() => {
    unsubscribe("http.server.request.start", onRequest);
    unsubscribe("evenkeel:admission-control:server-error", onError);
  });
  await fetch(`${server.url}/health`);

  // What a server says each time when it cannot take a connection, because the process has no descriptor left for it.
  const errors = [1, 2].map((n) => Object.assign(new Error(`accept EMFILE ${n}`), { code: "EMFILE" }));
  for (const error of errors) seen.server?.emit("error", error);
  expect(seen.errors).toEqual(errors);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});
