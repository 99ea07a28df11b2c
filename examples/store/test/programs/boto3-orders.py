"""A shop's orders on boto3, as somebody in Python would write it. Every claim is checked here; the last line says how many were."""

from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

from checks import reach, refused, same, tell

dynamodb = boto3.resource("dynamodb", **reach)
client = dynamodb.meta.client
streams = boto3.client("dynamodbstreams", **reach)

# Tables and waiters.
orders = dynamodb.create_table(
    TableName="orders",
    KeySchema=[{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}],
    AttributeDefinitions=[
        {"AttributeName": "customer", "AttributeType": "S"},
        {"AttributeName": "number", "AttributeType": "N"},
        {"AttributeName": "status", "AttributeType": "S"},
    ],
    GlobalSecondaryIndexes=[
        {
            "IndexName": "by-status",
            "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    BillingMode="PAY_PER_REQUEST",
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
orders.reload()
same(orders.table_status, "ACTIVE")
same([index["IndexName"] for index in orders.global_secondary_indexes], ["by-status"])
refused("ResourceInUseException", lambda: client.create_table(
    TableName="orders",
    KeySchema=[{"AttributeName": "customer", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "customer", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
))

# Every type there and back: Decimal keeps all 38 digits, bytes stay bytes, sets stay sets.
everything = {
    "customer": "ada",
    "number": Decimal(0),
    "total": Decimal("1234567890123456789012345678.9012345678"),
    "tiny": Decimal("1E-130"),
    "paid": True,
    "note": None,
    "picture": Binary(b"\x00\xff\x00"),
    "tags": {"gift", "écrit", "🎁"},
    "sizes": {Decimal(1), Decimal("2.5")},
    "keys": {Binary(b"\x01"), Binary(b"\x02")},
    "lines": [{"sku": "a-1", "count": Decimal(2)}, [], {}, ""],
}
orders.put_item(Item=everything)
same(orders.get_item(Key={"customer": "ada", "number": 0}, ConsistentRead=True)["Item"], everything)
same("Item" in orders.get_item(Key={"customer": "nobody", "number": 0}), False)

# Batches: the writer gathers, sends again what was not processed, and takes the last of several under one key.
with orders.batch_writer(overwrite_by_pkeys=["customer", "number"]) as batch:
    for number in range(1, 61):
        batch.put_item(Item={"customer": "bob", "number": number, "status": "open", "total": Decimal(number) / 4})
        batch.put_item(Item={"customer": "bob", "number": number, "status": "open", "total": Decimal(number) / 2})
answer = dynamodb.batch_get_item(RequestItems={"orders": {
    "Keys": [{"customer": "bob", "number": n} for n in range(50, 70)], "ConsistentRead": True}})
same(sorted(int(item["number"]) for item in answer["Responses"]["orders"]), list(range(50, 61)))
same(answer["UnprocessedKeys"], {})

# Pages, in both directions; a paginator of the plain client with a filter that leaves most pages empty.
page = orders.query(KeyConditionExpression=Key("customer").eq("bob") & Key("number").between(10, 40), Limit=7, ScanIndexForward=False, ConsistentRead=True)
same([int(item["number"]) for item in page["Items"]], [40, 39, 38, 37, 36, 35, 34])
same(page["LastEvaluatedKey"], {"customer": "bob", "number": Decimal(34)})
pages = client.get_paginator("query").paginate(
    TableName="orders",
    KeyConditionExpression=Key("customer").eq("bob"),
    ConsistentRead=True,
    FilterExpression=Attr("total").gt(Decimal("29.5")) & ~Attr("paid").exists(),
    PaginationConfig={"PageSize": 9},
)
same([int(item["number"]) for page in pages for item in page["Items"]], [60])
scan = client.get_paginator("scan")
seen = [
    item
    for segment in range(3)
    for page in scan.paginate(TableName="orders", Segment=segment, TotalSegments=3, ConsistentRead=True)
    for item in page["Items"]
]
same(len(seen), 61)

# Conditions and updates.
updated = orders.update_item(
    Key={"customer": "bob", "number": 1},
    UpdateExpression="SET #s = :paid, visits = if_not_exists(visits, :none) + :one ADD labels :label REMOVE #t",
    ConditionExpression=Attr("status").eq("open"),
    ExpressionAttributeNames={"#s": "status", "#t": "total"},
    ExpressionAttributeValues={":paid": "paid", ":none": 0, ":one": 1, ":label": {"first"}},
    ReturnValues="ALL_NEW",
)
same(updated["Attributes"], {"customer": "bob", "number": 1, "status": "paid", "visits": 1, "labels": {"first"}})
response = refused("ConditionalCheckFailedException", lambda: orders.delete_item(
    Key={"customer": "bob", "number": 1}, ConditionExpression=Attr("status").eq("open")))
same(response["Error"]["Message"], "The conditional request failed")
same(response["ResponseMetadata"]["HTTPStatusCode"], 400)
refused("ValidationException", lambda: orders.put_item(Item={"customer": "bob"}))
refused("ResourceNotFoundException", lambda: dynamodb.Table("nothing").get_item(Key={"id": "x"}))

# A transaction that holds, and one that does not.
put = lambda number, **more: {"Put": {"TableName": "orders", "Item": {"customer": "eve", "number": number}, **more}}
client.transact_write_items(TransactItems=[put(1), put(2)], ClientRequestToken="eve-1")
client.transact_write_items(TransactItems=[put(1), put(2)], ClientRequestToken="eve-1")
try:
    client.transact_write_items(TransactItems=[put(3), put(2, ConditionExpression="attribute_not_exists(customer)")])
    raise AssertionError("not cancelled")
except client.exceptions.TransactionCanceledException as error:
    same([reason["Code"] for reason in error.response["CancellationReasons"]], ["None", "ConditionalCheckFailed"])
found = client.transact_get_items(TransactItems=[{"Get": {"TableName": "orders", "Key": {"customer": "eve", "number": n}}} for n in (1, 2, 3)])
same(["Item" in one for one in found["Responses"]], [True, True, False])

# PartiQL.
same(client.execute_statement(Statement='SELECT number FROM "orders" WHERE customer = ? AND number >= ?', Parameters=["bob", 58], ConsistentRead=True)["Items"],
     [{"number": Decimal(n)} for n in (58, 59, 60)])

# The index follows.
for _ in range(200):
    indexed = orders.query(IndexName="by-status", KeyConditionExpression=Key("status").eq("paid"))["Items"]
    if indexed:
        break
same(indexed, [{"customer": "bob", "number": 1, "status": "paid"}])

# The stream tells of all of it, in each key's order.
records = []
described = streams.describe_stream(StreamArn=orders.latest_stream_arn)["StreamDescription"]
same(described["StreamViewType"], "NEW_AND_OLD_IMAGES")
for shard in described["Shards"]:
    iterator = streams.get_shard_iterator(StreamArn=orders.latest_stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while True:
        answer = streams.get_records(ShardIterator=iterator, Limit=20)
        if not answer["Records"]:
            break
        records += answer["Records"]
        iterator = answer["NextShardIterator"]
first = [record for record in records if record["dynamodb"]["Keys"] == {"customer": {"S": "bob"}, "number": {"N": "1"}}]
same([record["eventName"] for record in first], ["INSERT", "MODIFY"])
same(first[1]["dynamodb"]["OldImage"]["status"], {"S": "open"})
same(len([record for record in records if record["eventName"] == "INSERT"]), 63)

orders.delete()
client.get_waiter("table_not_exists").wait(TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
same(client.list_tables()["TableNames"], [])
tell()
