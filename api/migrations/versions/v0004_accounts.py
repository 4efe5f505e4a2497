"""Keep accounts, what they were granted, and how somebody proves whose he is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=True),
        sa.Column("one_time", sa.Boolean(), nullable=False),
        sa.Column("pin", sa.String(), nullable=True),
        sa.Column("totp", sa.String(), nullable=True),
        sa.Column("totp_waiting", sa.String(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'closed') = (closed_ms IS NOT NULL)", name="closed"),
        sa.CheckConstraint("kind IN ('person', 'machine', 'desk')", name="kind"),
        sa.CheckConstraint("language IN ('zh', 'en')", name="language"),
        sa.CheckConstraint("state IN ('waiting', 'active', 'closed')", name="state"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login"),
    )
    op.create_table(
        "account_grant",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("deputy_of", sa.String(), nullable=True),
        sa.Column("given_by", sa.String(), nullable=True),
        sa.Column("given_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="range"),
        sa.CheckConstraint(
            "role IN ('household', 'group_leader', 'grid_worker', 'community', 'township', 'installer', 'guard',"
            " 'guard_company', 'officer', 'duty_officer', 'duty_leader', 'command_centre', 'administrator', 'auditor')",
            name="role",
        ),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.ForeignKeyConstraint(["deputy_of"], ["account.id"]),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_account_grant_account", "account_grant", ["account", "from_ms"])
    op.create_index("ix_account_grant_role", "account_grant", ["role", "scope"])
    op.create_table(
        "desk",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("paired_by", sa.String(), nullable=False),
        sa.Column("paired_ms", sa.BigInteger(), nullable=False),
        sa.Column("duty_ms", sa.BigInteger(), nullable=True),
        sa.Column("officer", sa.String(), nullable=True),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("(duty_ms IS NULL) = (officer IS NULL)", name="duty"),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.ForeignKeyConstraint(["officer"], ["account.id"]),
        sa.PrimaryKeyConstraint("account"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_desk_area", "desk", ["area"])
    op.create_table(
        "sign_in",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("desk", sa.String(), nullable=True),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_why", sa.String(), nullable=True),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("(ended_ms IS NULL) = (ended_why IS NULL)", name="ended"),
        sa.CheckConstraint(
            "ended_why IS NULL OR ended_why IN"
            " ('signed_out', 'idle', 'old', 'rotated', 'changed_officer', 'credentials', 'closed')",
            name="ended_why",
        ),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.ForeignKeyConstraint(["desk"], ["desk.account"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_sign_in_account", "sign_in", ["account", "ended_ms"])
    op.create_index("ix_sign_in_desk", "sign_in", ["desk", "ended_ms"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_api_token_account", "api_token", ["account"])
    op.create_table(
        "recovery_code",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("account", "digest", name="uq_recovery_code"),
    )
    op.create_table(
        "joining",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.Column("confirmed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("tries >= 0", name="counts"),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("settled_ms IS NULL OR used_ms IS NOT NULL", name="settled"),
        sa.CheckConstraint("(used_ms IS NULL) = (account IS NULL)", name="used"),
        sa.ForeignKeyConstraint(["account"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_joining_place", "joining", ["place", "made_ms"])
    op.create_table(
        "sign_in_failure",
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("times > 0", name="counts"),
        sa.PrimaryKeyConstraint("about"),
    )
    op.create_index("ix_sign_in_failure_last_ms", "sign_in_failure", ["last_ms"])
