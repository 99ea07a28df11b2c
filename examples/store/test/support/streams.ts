import { CreateTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type Shard,
  type _Record as StreamedRecord,
} from "@aws-sdk/client-dynamodb-streams";

import { tableExists } from "./single.js";

export type { StreamedRecord };

/** A table whose stream has new images. Resolves with the stream's ARN, once the table is there. */
export async function createStreamed(dynamo: DynamoDBClient, TableName: string): Promise<string> {
  const { TableDescription } = await dynamo.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      BillingMode: "PAY_PER_REQUEST",
      StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_IMAGE" },
    }),
  );
  await tableExists(dynamo, TableName);
  return TableDescription?.LatestStreamArn as string;
}

/** The unmodified SDK for streams, pointed at the store. */
export function streamsClient(endpoint: string): DynamoDBStreamsClient {
  return new DynamoDBStreamsClient({
    endpoint,
    region: "local",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 5,
  });
}

export async function shardsOf(client: DynamoDBStreamsClient, StreamArn: string): Promise<Shard[]> {
  const shards: Shard[] = [];
  let after: string | undefined;
  do {
    const request = { StreamArn, ...(after !== undefined && { ExclusiveStartShardId: after }) };
    const { StreamDescription } = await client.send(new DescribeStreamCommand(request));
    shards.push(...(StreamDescription?.Shards ?? []));
    after = StreamDescription?.LastEvaluatedShardId;
  } while (after !== undefined);
  return shards;
}

/** Reads on from an iterator until a page is empty or the shard ends: all that is there by now, as nothing is answered only where it was looked. */
export async function readOn(
  client: DynamoDBStreamsClient,
  iterator: string | undefined,
  limit: () => number = () => 1_000,
): Promise<{ records: StreamedRecord[]; next: string | undefined }> {
  const records: StreamedRecord[] = [];
  let next = iterator;
  while (next !== undefined) {
    const page = await client.send(new GetRecordsCommand({ ShardIterator: next, Limit: limit() }));
    next = page.NextShardIterator;
    records.push(...(page.Records ?? []));
    if (page.Records?.length === 0) break;
  }
  return { records, next };
}

/** Everything that a stream holds, shard by shard. */
export async function readStream(
  client: DynamoDBStreamsClient,
  StreamArn: string,
  limit?: () => number,
): Promise<StreamedRecord[]> {
  const all: StreamedRecord[] = [];
  for (const { ShardId } of await shardsOf(client, StreamArn)) {
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
    );
    all.push(...(await readOn(client, ShardIterator, limit)).records);
  }
  return all;
}
