import { createServer } from "node:net";

/**
 * A port that nobody listens on at this moment, as on the one ten thousand above it, where a Redis of a cluster listens too. Below all that a system gives to clients and to
 * whoever asks for any port: what a killed server leaves free is still free when it comes back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
