"""What of an OpenAPI document people read: pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter of a request, or a field of a body."""

    name: str
    where: str
    type: str
    needed: bool
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    method: str
    path: str
    summary: str
    about: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str, str], ...]
    """Status, what it means, of what type."""


def chapters(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """Operations by their first tag, in the order of the document."""
    found: dict[str, list[Operation]] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append(_operation(document, method, path, operation))
    return found


def type_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if key in schema:
            return joint.join(dict.fromkeys(type_of(one) for one in schema[key]))
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        fields=(*_parameters(operation), *_body(document, operation)),
        answers=tuple(_answers(operation)),
    )


def _parameters(operation: Mapping[str, Any]) -> Iterator[Field]:
    for one in operation.get("parameters", ()):
        yield Field(
            name=one["name"],
            where=one["in"],
            type=type_of(one.get("schema", {})),
            needed=bool(one.get("required")),
            about=one.get("description", ""),
        )


def _body(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Field]:
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        named = document.get("components", {}).get("schemas", {}).get(type_of(schema), schema)
        needed = set(named.get("required", ()))
        for name, field in named.get("properties", {}).items():
            yield Field(
                name=name,
                where=media,
                type=type_of(field),
                needed=name in needed,
                about=field.get("description", ""),
            )


def _answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for status, answer in operation.get("responses", {}).items():
        types = [type_of(one.get("schema", {})) for one in answer.get("content", {}).values()]
        problem = "application/problem+json" in answer.get("content", {})
        yield status, answer.get("description", ""), "problem" if problem else ", ".join(dict.fromkeys(types))
