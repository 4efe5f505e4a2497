"""The one door to the station's tables, on SQLite or on PostgreSQL: which, the URL says.

Database.open("sqlite:////var/lib/shouwang/north/station.db")
Database.open("postgresql+psycopg://shouwang:secret@db.example/shouwang")
"""

from api.database.bulk import Bulk, BulkUpdate, write_later
from api.database.door import Commit, Database
from api.database.errors import DatabaseError, DatabaseInUse, DatabaseNewer, DatabaseUnsafe
from api.database.tables import table_of
from api.database.turns import Turns

__all__ = [
    "Bulk",
    "BulkUpdate",
    "Commit",
    "Database",
    "DatabaseError",
    "DatabaseInUse",
    "DatabaseNewer",
    "DatabaseUnsafe",
    "Turns",
    "table_of",
    "write_later",
]
