// The load: a process of its own, so that what is measured is the server's work and not the client's. Keep-alive connections, hand-made
// requests (the SDK would be the bottleneck), one request under way on each connection.
import http from "node:http";

function request(agent, { host, port }, target, body) {
  return new Promise((resolve, reject) => {
    const payload = Buffer.from(JSON.stringify(body));
    const req = http.request(
      {
        agent,
        host,
        port,
        method: "POST",
        path: "/",
        headers: {
          "content-type": "application/x-amz-json-1.0",
          "content-length": payload.length,
          "x-amz-target": `DynamoDB_20120810.${target}`,
          "x-amz-date": "20260101T000000Z",
          authorization:
            "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000",
        },
      },
      (res) => {
        const chunks = [];
        res.on("data", (chunk) => chunks.push(chunk));
        res.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (res.statusCode === 200) resolve(text);
          else reject(new Error(`${target}: ${res.statusCode} ${text.slice(0, 300)}`));
        });
      },
    );
    req.on("error", reject);
    req.end(payload);
  });
}

const filler = "x".repeat(840);
const itemOf = (id, n) => ({ id: { S: `item-${id}` }, n: { N: String(n) }, filler: { S: filler } });

async function load({ host, port, table, operation, clients, seconds, items }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  const times = [];
  const endAt = performance.now() + seconds * 1000;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endAt) {
        const id = Math.floor(Math.random() * items);
        const begun = performance.now();
        if (operation === "PutItem")
          await request(agent, { host, port }, "PutItem", { TableName: table, Item: itemOf(id, times.length) });
        else {
          const answer = await request(agent, { host, port }, "GetItem", {
            TableName: table,
            Key: { id: { S: `item-${id}` } },
            ConsistentRead: true,
          });
          if (!answer.includes(filler)) throw new Error("GetItem did not return the item");
        }
        times.push(performance.now() - begun);
      }
    }),
  );
  const elapsed = performance.now() - startedAt;
  agent.destroy();
  times.sort((a, b) => a - b);
  return {
    throughput: (times.length * 1000) / elapsed,
    p50: times[Math.floor(times.length * 0.5)],
    p99: times[Math.floor(times.length * 0.99)],
  };
}

async function fill({ host, port, table, items }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  await request(agent, { host, port }, "CreateTable", {
    TableName: table,
    AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    BillingMode: "PAY_PER_REQUEST",
  });
  for (;;) {
    const answer = await request(agent, { host, port }, "DescribeTable", { TableName: table });
    if (JSON.parse(answer).Table.TableStatus === "ACTIVE") break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < items) {
        const id = next++;
        await request(agent, { host, port }, "PutItem", { TableName: table, Item: itemOf(id, 0) });
      }
    }),
  );
  agent.destroy();
  return {};
}

process.on("message", ({ work, ...options }) => {
  (work === "fill" ? fill(options) : load(options)).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: error.message }),
  );
});
