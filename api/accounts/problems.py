"""What can be wrong with proving who one is, and with accounts.

NotKnown
+-- AskAgain            401: the desk shows on, but this needs an officer: PIN or password
+-- WrongSecret         401: login, password, PIN or code are not right; which one is not said
+-- CodeNeeded          401: the password is right, the code of the second factor is missing
CrossSite               403: a cookie without the page's own token, or from another origin
FirstThis               403: .must, what has to be done before anything else
TooManyTries            429: .wait_s
NoSuchAccount           404
NoSuchScope             422: .scope, which the register does not have
NoSuchPerson            422: .account, whom nobody could give this to
LoginTaken              409
BadJoiningCode          422: unknown, used, too old, tried too often: not told apart
WeakSecret              422
"""

from collections.abc import Mapping
from http import HTTPStatus

from api.problems import NotKnown, NotThere, Problem


class AskAgain(NotKnown):
    """The desk goes on showing; to act, somebody has to say who he is."""

    type = "ask_again"
    title = "Who is acting?"


class WrongSecret(NotKnown):
    """One of the things that were given is not right."""

    type = "wrong_secret"
    title = "That is not right"
    headers: Mapping[str, str] | None = None


class CodeNeeded(NotKnown):
    """The password is right; this account has a second factor."""

    type = "code_needed"
    title = "The code of your second factor is needed"
    headers: Mapping[str, str] | None = None


class CrossSite(Problem):
    """A request with a cookie that does not come from our own page."""

    status = HTTPStatus.FORBIDDEN
    type = "cross_site"
    title = "This request does not come from our page"

    def __init__(self) -> None:
        super().__init__("send Origin of this site, and X-CSRF-Token as /api/v1/session gives it")


class FirstThis(Problem):
    """Signed in, and something has to be done first. Field: `must`."""

    status = HTTPStatus.FORBIDDEN
    type = "first_this"
    title = "Something has to be done first"

    def __init__(self, *must: str) -> None:
        super().__init__("; ".join(must), must=[*must])


class TooManyTries(Problem):
    """Wrong too often. Field: `wait_s`."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "too_many_tries"
    title = "Too many tries"

    def __init__(self, wait_ms: int) -> None:
        wait_s = -(-wait_ms // 1_000)
        self.headers = {"Retry-After": str(wait_s)}
        super().__init__("wait, then try again", wait_s=wait_s)


class NoSuchAccount(NotThere):
    """No account by that id, or none within reach."""

    type = "no_such_account"
    title = "There is no such account"

    def __init__(self, account: str) -> None:
        super().__init__(f"no account {account[:64]!r} here")


class NoSuchScope(Problem):
    """The register has no such area, company or place. Field: `scope`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_scope"
    title = "The register does not have that"

    def __init__(self, scope: str, kind: str) -> None:
        super().__init__(f"{scope[:64]!r} is no {kind} of the register", scope=scope[:64], kind=kind)


class NoSuchPerson(Problem):
    """No account of somebody who could do that. `where`: the field that named it. Field: `account`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_person"
    title = "Nobody who could do that"

    def __init__(self, account: str, *, where: str = "account") -> None:
        why = "no account that is in use and could do that here"
        super().__init__(why, account=account[:64], faults=[{"where": where, "why": why}])


class LoginTaken(Problem):
    """Somebody else signs in by that."""

    status = HTTPStatus.CONFLICT
    type = "login_taken"
    title = "That login is taken"

    def __init__(self) -> None:
        super().__init__("choose another login")


class BadJoiningCode(Problem):
    """A code that is unknown, used, too old or was tried too often."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_joining_code"
    title = "This code does not work"

    def __init__(self) -> None:
        super().__init__("ask your grid worker for a new one")


class WeakSecret(Problem):
    """A password or PIN that anybody would try first."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "weak_secret"
    title = "That is too easily guessed"

    def __init__(self, what: str) -> None:
        super().__init__(f"choose another {what}")


class WrongOrder(Problem):
    """It cannot be done in the state in which things are. Field: `state`."""

    status = HTTPStatus.CONFLICT
    type = "wrong_order"
    title = "That cannot be done now"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
