"""Holds lines of JSON against a schema: schema.py SCHEMA LINES WRONG

Each line of LINES has to be valid, none of WRONG may be.
"""

import json
import sys

from jsonschema import Draft202012Validator


def main(schema, lines, wrong):
    with open(schema, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    with open(lines, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            value = json.loads(line)
            if not validator.is_valid(value):
                sys.exit(f"line {number} is not valid: {line}")
    with open(wrong, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if validator.is_valid(json.loads(line)):
                sys.exit(f"wrong line {number} is valid: {line}")
    print(f"{number} wrong lines were refused")


main(*sys.argv[1:])
