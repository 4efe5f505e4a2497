"""Somebody who changes what was recorded, and knows how the chain is made."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.journal import GENESIS, chain


def rewrite(path: Path) -> None:
    """Change every row of a journal and everything that hangs on it, so that the chain still verifies."""
    with closing(sqlite3.connect(path)) as db:
        head = GENESIS
        for seq, payload, salt in db.execute("SELECT seq, payload, salt FROM event ORDER BY seq").fetchall():
            changed = payload.replace(b'"wall_ms":', b'"wall_ms":1')
            leaf = hashlib.sha256(salt + changed).digest()
            head = chain(head, seq, leaf)
            db.execute("UPDATE event SET payload = ?, leaf = ?, head = ? WHERE seq = ?", (changed, leaf, head, seq))
        db.commit()
