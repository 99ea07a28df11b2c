// What the load and the machine come to by themselves: one process that reads a request, keeps nothing and answers at once with what the loader looks for.
import { createServer } from "node:net";

const FILLER = "x".repeat(856);
const ITEM_ID = /item-\d+/;

const answerOf = (body) => Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
const taken = answerOf('{"UnprocessedItems":{},"Table":{"TableStatus":"ACTIVE"}}');

/** The loader sends a request when it has been answered, so one is whole when as much has come as its head says. */
function isWhole(request) {
  const headEnd = request.indexOf("\r\n\r\n");
  const length = /content-length: (\d+)/.exec(request.slice(0, headEnd))?.[1] ?? "0";
  return headEnd >= 0 && request.length >= headEnd + 4 + Number(length);
}

createServer({ noDelay: true }, (socket) => {
  let request = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    request += chunk.latin1Slice();
    if (!isWhole(request)) return;
    const id = request.includes("GetItem") ? ITEM_ID.exec(request)?.[0] : undefined;
    request = "";
    socket.write(id === undefined ? taken : answerOf(`{"Item":{"id":{"S":"${id}"},"filler":{"S":"${FILLER}"}}}`));
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
