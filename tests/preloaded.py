"""What every start of a program of ours imports and reckons, done once before any of them is forked off."""

import gc

from fastapi.routing import iter_route_contexts

import api.database.postgresql
import api.program
import deploy.box
import deploy.cli
import gateway.program
from api.routes import routes

PROGRAMS = (api.program, api.database.postgresql, deploy.box, deploy.cli, gateway.program)

for _ in iter_route_contexts(routes(serves=True)):
    pass
gc.collect()
gc.freeze()  # so that none of it is copied because it was looked at
