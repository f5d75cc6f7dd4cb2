"""Reads a table with pyiceberg from its metadata file and prints one JSON line per row: python iceberg.py METADATA_URI."""

import datetime
import json
import sys

from pyiceberg.table import StaticTable


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


for row in StaticTable.from_metadata(sys.argv[1]).scan().to_arrow().to_pylist():
    print(json.dumps(plain(row), ensure_ascii=False, sort_keys=True))
