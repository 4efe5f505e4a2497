"""TOML texts for tests: written from documents, and drawn."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from deploy.site import Entry, Site, keys_of

Document = dict[str, Any]


def is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def write(document: Document, at: str = "") -> str:
    """The document as somebody would have typed it: tables as tables, the rest on a line."""
    plain = [(k, v) for k, v in document.items() if not (isinstance(v, dict) or is_tables(v))]
    text = "".join(f"{_key(key)} = {_value(value)}\n" for key, value in plain)
    for key, value in document.items():
        path = f"{at}.{_key(key)}" if at else _key(key)
        if is_tables(value):
            text += "".join(f"\n[[{path}]]\n{write(item, path)}" for item in value)
        elif isinstance(value, dict):
            text += f"\n[{path}]\n{write(value, path)}"
    return text


def _key(key: str) -> str:
    return key if key and key.isascii() and key.replace("_", "").isalnum() else _string(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _string(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{{', '.join(f'{_key(key)} = {_value(inner)}' for key, inner in value.items())}}}"
        case _:
            return str(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _names(model: type[Entry]) -> set[str]:
    own = keys_of(model)
    return set(own).union(*(_names(key.table) for key in own.values() if key.table))


KEYS = sorted(_names(Site))

texts = st.text(st.characters(codec="utf-8"), max_size=12)
ids = st.sampled_from(
    ["h01", "h02", "g1", "gw1", "line1", "u01", "native", "panic", "H 1", "0A00B1C2D3", "/dev/ttyUSB0"]
)
numbers = st.one_of(st.integers(-2, 40), st.integers(-(2**70), 2**70))
scalars = st.one_of(ids, texts, numbers, st.booleans(), st.floats(allow_nan=False), st.dates(), st.times())
keys = st.one_of(st.sampled_from(KEYS), texts)
values: SearchStrategy[object] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=20,
)
documents: SearchStrategy[Document] = st.dictionaries(keys, values, max_size=8)
