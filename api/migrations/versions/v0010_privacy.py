"""Change no table: what is personal, and when it goes, stands in api/privacy/fields.toml."""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
