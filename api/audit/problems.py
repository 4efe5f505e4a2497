"""What can be wrong with answering for a chain.

NotDisputed                 409: .gateway tells nothing that this chain does not hold, or somebody answered for it
"""

from http import HTTPStatus

from api.problems import Problem


class NotDisputed(Problem):
    """There is nothing to be answered for. Field: `gateway`."""

    status = HTTPStatus.CONFLICT
    type = "not_disputed"
    title = "There is nothing to be answered for"

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__(f"gateway {gateway} tells nothing that is not in this record", gateway=gateway)
