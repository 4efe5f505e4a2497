"""What can be wrong with an account at the broker.

HasAccount              409: it has one; ask for another password by `renew`
NoSuchPrincipal         404: nobody of that kind is there
"""

from http import HTTPStatus

from api.problems import NotThere, Problem


class HasAccount(Problem):
    """An account that was given out already. Field: `user`."""

    status = HTTPStatus.CONFLICT
    type = "has_account"
    title = "It has an account already"

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(f"{user} has a password: `renew` gives another one, and ends that one", user=user)


class NoSuchPrincipal(NotThere):
    """Nobody by that role and id, or none that this account reaches."""

    type = "no_such_principal"

    def __init__(self, role: str, id_: str | None) -> None:
        super().__init__(f"no {role} {id_ or ''!r} here")
