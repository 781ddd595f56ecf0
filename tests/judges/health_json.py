"""Holds a response against draft-inadarei-api-health-check-06, as a JSON Schema."""

import json
import sys

import jsonschema

time = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
when_not_well = {
    "if": {"properties": {"status": {"const": "pass"}}},
    "then": {"not": {"required": ["output"]}},
    "else": {"required": ["output"]},
}
check = {
    "type": "object",
    "properties": {
        "componentId": {"type": "string", "minLength": 1},
        "componentType": {"anyOf": [{"enum": ["component", "datastore", "system"]}, {"type": "string", "format": "uri"}]},
        "observedValue": {},
        "observedUnit": {"type": "string", "minLength": 1},
        "status": {"enum": ["pass", "warn", "fail"]},
        "affectedEndpoints": {"type": "array", "items": {"type": "string"}},
        "time": {"type": "string", "pattern": time},
        "output": {"type": "string", "minLength": 1},
        "links": {"type": "object"},
    },
    "required": ["componentId", "componentType", "status", "time"],
    "additionalProperties": False,
    **when_not_well,
}
response = {
    "type": "object",
    "properties": {
        "status": {"enum": ["pass", "warn", "fail"]},
        "version": {"type": "string"},
        "releaseId": {"type": "string"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "output": {"type": "string", "minLength": 1},
        "checks": {
            "type": "object",
            "propertyNames": {"pattern": "^[^:]*(:[^:]+)?$"},
            "additionalProperties": {"type": "array", "minItems": 1, "items": check},
        },
        "links": {"type": "object"},
        "serviceId": {"type": "string"},
        "description": {"type": "string"},
    },
    "required": ["status"],
    "additionalProperties": False,
    **when_not_well,
}


def once(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), "a key comes twice"
    return dict(pairs)


document = json.loads(sys.stdin.buffer.read().decode("utf-8"), object_pairs_hook=once, parse_constant=lambda word: 1 / 0)
jsonschema.Draft202012Validator.check_schema(response)
jsonschema.validate(document, response)
print(document["status"])
