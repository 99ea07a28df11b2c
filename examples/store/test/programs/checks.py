"""Where the store is, and what the programs beside this one check their claims with."""

import sys

from botocore.config import Config
from botocore.exceptions import ClientError

reach = {
    "endpoint_url": sys.argv[1],
    "region_name": "local",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "config": Config(retries={"max_attempts": 3, "mode": "standard"}),
}
checked = 0


def same(seen, expected):
    global checked
    if seen != expected:
        raise AssertionError(f"{seen!r} instead of {expected!r}")
    checked += 1


def refused(code, ask):
    try:
        ask()
    except ClientError as error:
        same(error.response["Error"]["Code"], code)
        return error.response
    raise AssertionError(f"not refused with {code}")


def tell():
    """The last line of a program says how many claims held."""
    print(f"{checked} checks held")
