"""The contract for strangers: an AsyncAPI 3.0 document made from the table of topics and the models.

The shapes come from pydantic's JSON Schema (2020-12). Nothing is written here by hand but what no table knows.
"""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from broker.messages import BODIES, MAX_PAYLOAD
from broker.topics import ROOT, TABLE, Role, Row

_SCHEMAS: Final = "#/components/schemas/{model}"
_SEGMENT: Final = "lower-case letters, digits and '-', 1 to 32 characters"
_ENVELOPE: Final = (
    f"At most {MAX_PAYLOAD} octets. `sig` is base64url without padding of the Ed25519 signature over the RFC 8785 "
    "form of `body`; `kid` is the signer's role and id."
)


CONTRACT: Final = "1.0.0"
"""Version of the contract as a whole: the first number is `v` of every body."""


def document() -> dict[str, Any]:
    """The AsyncAPI document, as JSON values: the same for the same tables."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Shouwang (守望)",
            "version": CONTRACT,
            "description": "What gateways, a station and its audiences say to one another over MQTT. "
            "Each operation is that of the role which sends or receives; the broker's rights come from the same table.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {row.name.value: _channel(row) for row in TABLE},
        "operations": dict(operation for row in TABLE for operation in _operations(row)),
        "components": {
            "messages": {type_: _message(type_, model) for type_, model in BODIES.items()},
            "schemas": _schemas(),
        },
    }


def _channel(row: Row) -> dict[str, Any]:
    ids = ("station", *([row.owner.value] if row.owner else []))
    return {
        "address": f"{ROOT}/{{station}}/{row.template}",
        "description": row.purpose,
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in row.bodies},
        "parameters": {id_: {"description": f"{id_} id: {_SEGMENT}"} for id_ in ids},
    }


def _operations(row: Row) -> list[tuple[str, dict[str, Any]]]:
    parties = [("send", row.publisher), *(("receive", role) for role in row.receivers)]
    return [(f"{role}_{verb}s_{row.name}", _operation(row, verb, role)) for verb, role in parties]


def _operation(row: Row, verb: str, role: Role) -> dict[str, Any]:
    bindings: dict[str, Any] = {"qos": row.qos}
    if verb == "send":
        bindings["retain"] = row.retained
    return {
        "action": verb,
        "channel": {"$ref": f"#/channels/{row.name}"},
        "title": f"{role} {verb}s {row.name}",
        "bindings": {"mqtt": bindings},
    }


def _message(type_: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": type_,
        "summary": (model.__doc__ or "").split("\n")[0].strip(),
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "description": _ENVELOPE,
            "properties": {
                "body": {"$ref": _SCHEMAS.format(model=model.__name__)},
                "kid": {"type": "string", "pattern": "^(station|gateway:[a-z0-9-]{1,32})(#[0-9]+)?$"},
                "sig": {"type": "string", "pattern": "^[A-Za-z0-9_-]{86}$"},
            },
            "required": ["body", "kid", "sig"],
            "additionalProperties": False,
        },
    }


def _schemas() -> dict[str, Any]:
    _, made = models_json_schema(
        [(model, "validation") for model in BODIES.values()], ref_template=_SCHEMAS, by_alias=True
    )
    schemas: dict[str, Any] = made["$defs"]
    return schemas
