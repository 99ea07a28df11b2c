"""What infrastructure tools (Terraform's provider, CloudFormation's handlers) ask of a table, in their order, on boto3. Every claim is checked; the last line says how many were."""

import time

import boto3

from checks import reach, refused, same, tell

client = boto3.client("dynamodb", **reach)
NAME = "terraformed"


def described():
    return client.describe_table(TableName=NAME)["Table"]


def wait(what, until):
    """As a provider's waiters do: asked again until the state is the one that is wanted."""
    for _ in range(300):
        if until():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within half a minute: {what}")


def has(call, *names):
    """Whether this boto3, which may be years old, knows the operation and these members of its request."""
    if not hasattr(client, call):
        return False
    operation = client.meta.method_to_api_mapping[call]
    members = client.meta.service_model.operation_model(operation).input_shape.members
    return all(name in members for name in names)


# Create. Members that this boto3 does not know are left out.
optional = {
    "DeletionProtectionEnabled": True,
    "OnDemandThroughput": {"MaxReadRequestUnits": 500, "MaxWriteRequestUnits": 100},
}
client.create_table(
    TableName=NAME,
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "team")],
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    GlobalSecondaryIndexes=[
        {
            "IndexName": "by-team",
            "KeySchema": [{"AttributeName": "team", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
        }
    ],
    SSESpecification={"Enabled": True, "SSEType": "KMS"},
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    TableClass="STANDARD",
    Tags=[{"Key": "Environment", "Value": "test"}],
    **{name: value for name, value in optional.items() if has("create_table", name)},
)
wait("the table is ACTIVE", lambda: described()["TableStatus"] == "ACTIVE")
wait("its index is ACTIVE", lambda: described()["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
table = described()
output = client.meta.service_model.shape_for("TableDescription").members
if "WarmThroughput" in output:
    # Newer providers ask until this is so.
    same(table["WarmThroughput"], {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"})
    same(table["GlobalSecondaryIndexes"][0]["WarmThroughput"]["Status"], "ACTIVE")
if "OnDemandThroughput" in output:
    same(table["OnDemandThroughput"], {"MaxReadRequestUnits": 500, "MaxWriteRequestUnits": 100})
client.update_time_to_live(TableName=NAME, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
wait(
    "time to live is on",
    lambda: client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED",
)
client.update_continuous_backups(
    TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
)

# Read, which is what a plan does each time: the same twice.
def read():
    table = described()
    return {
        "billing": table["BillingModeSummary"]["BillingMode"],
        "class": table["TableClassSummary"]["TableClass"] if "TableClassSummary" in table else "STANDARD",
        "encryption": table["SSEDescription"]["SSEType"],
        "stream": table["StreamSpecification"]["StreamViewType"],
        "index": table["GlobalSecondaryIndexes"][0]["Projection"],
        "recovery": client.describe_continuous_backups(TableName=NAME)["ContinuousBackupsDescription"][
            "PointInTimeRecoveryDescription"
        ]["PointInTimeRecoveryStatus"],
        "ttl": client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]["AttributeName"],
        "tags": client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
    }


first = read()
same(first, {
    "billing": "PAY_PER_REQUEST",
    "class": "STANDARD",
    "encryption": "KMS",
    "stream": "NEW_AND_OLD_IMAGES",
    "index": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
    "recovery": "ENABLED",
    "ttl": "until",
    "tags": [{"Key": "Environment", "Value": "test"}],
})
same(read(), first)

# What further resources and data sources ask, of a table that has none of it.
arn = described()["TableArn"]
if has("describe_contributor_insights"):
    same(client.describe_contributor_insights(TableName=NAME)["ContributorInsightsStatus"], "DISABLED")
if has("describe_kinesis_streaming_destination"):
    same(client.describe_kinesis_streaming_destination(TableName=NAME)["KinesisDataStreamDestinations"], [])
if has("describe_table_replica_auto_scaling"):
    refused("ResourceNotFoundException", lambda: client.describe_table_replica_auto_scaling(TableName=NAME))
if has("get_resource_policy"):
    refused("PolicyNotFoundException", lambda: client.get_resource_policy(ResourceArn=arn))
same(client.list_global_tables()["GlobalTables"], [])
same(client.list_exports()["ExportSummaries"], [])
refused("GlobalTableNotFoundException", lambda: client.describe_global_table(GlobalTableName=NAME))

# Update, one thing at a time, as the service wants it.
client.update_table(
    TableName=NAME,
    BillingMode="PROVISIONED",
    ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    GlobalSecondaryIndexUpdates=[
        {"Update": {"IndexName": "by-team", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}}
    ],
)
wait("the table is ACTIVE again", lambda: described()["TableStatus"] == "ACTIVE")
same(described()["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"], 5)
client.update_table(TableName=NAME, StreamSpecification={"StreamEnabled": False})
wait("the table is ACTIVE without a stream", lambda: described()["TableStatus"] == "ACTIVE")
client.update_table(TableName=NAME, SSESpecification={"Enabled": False})
same("SSEDescription" in described(), False)
client.tag_resource(ResourceArn=arn, Tags=[{"Key": "Owner", "Value": "me"}])
client.untag_resource(ResourceArn=arn, TagKeys=["Environment"])
same(client.list_tags_of_resource(ResourceArn=arn)["Tags"], [{"Key": "Owner", "Value": "me"}])

# Destroy: protected first.
if has("create_table", "DeletionProtectionEnabled"):
    refused("ValidationException", lambda: client.delete_table(TableName=NAME))
    client.update_table(TableName=NAME, DeletionProtectionEnabled=False)
client.delete_table(TableName=NAME)
client.get_waiter("table_not_exists").wait(TableName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
refused("ResourceNotFoundException", described)
tell()
