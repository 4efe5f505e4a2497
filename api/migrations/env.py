"""Runs migrations on the connection that `api.database` hands over, in the transaction that it began."""

from alembic import context
from sqlmodel import SQLModel

import api.accounts.models
import api.alarms.models
import api.audit.models
import api.board.models
import api.brokers.models
import api.checkins.models
import api.colours.models
import api.complaints.models
import api.drills.models
import api.duty.models
import api.escalation.models
import api.faults.models
import api.feed.models
import api.guards.models
import api.ingest.models
import api.inspections.models
import api.installing.models
import api.leases.models
import api.notify.models
import api.orders.models
import api.outgoing.models
import api.patrols.models
import api.planner.models
import api.points.models
import api.privacy.models
import api.register.models
import api.rewards.models
import api.rollcalls.models
import api.tasks.models
import api.tips.models
import api.tracks.models  # noqa: F401 - they fill the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
