"""People with accounts, made from the inside, for tests that look at what each role may do."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlmodel import Session

from api.accounts.models import Account, AccountGrant, ApiToken
from api.rights.rules import Role
from api.settings import token_hash

if TYPE_CHECKING:  # whose fixture the clock is
    from tests.api.conftest import Served

NOW = 1_800_000_000_000
"""2027-01-15, four in the afternoon in Shanghai."""
MOMENT = datetime.fromtimestamp(NOW / 1_000, UTC)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ms = NOW

    def __call__(self) -> int:
        return self.now_ms

    def pass_(self, **time: float) -> None:
        self.now_ms += round(timedelta(**time).total_seconds() * 1_000)


@dataclass(frozen=True)
class Somebody:
    """One account, asking over HTTP."""

    served: "Served"
    id: str

    def get(self, path: str, *, status: int = 200, **query: Any) -> Any:
        return self.ask("GET", path, status=status, params=query or None)

    def post(self, path: str, body: object = None, *, status: int = 200) -> Any:
        return self.ask("POST", path, status=status, json=body)

    def put(self, path: str, body: object = None, *, status: int = 200) -> Any:
        return self.ask("PUT", path, status=status, json=body)

    def delete(self, path: str, *, status: int = 204) -> Any:
        return self.ask("DELETE", path, status=status)

    def ask(self, method: str, path: str, *, status: int, **more: Any) -> Any:
        answer = self.served.client.request(
            method, path, headers={"Authorization": f"Bearer token-of-{self.id}"}, **more
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content and answer.headers["content-type"].endswith("json") else answer


def somebody(served: "Served", id_: str, role: Role, scope: str = "") -> Somebody:
    """An account with one role over something, since ever."""
    with served.station.database.write() as session:
        add_account(session, id_)
        add_grant(session, id_, role, scope)
    return Somebody(served, id_)


def add_account(session: Session, id_: str) -> None:
    session.add(Account(id=id_, kind="person", name=f"某{id_}", state="active", made_ms=1))
    session.flush()
    session.add(ApiToken(id=f"t-{id_}", account=id_, digest=token_hash(f"token-of-{id_}"), label="test", made_ms=1))
    session.flush()


def add_grant(session: Session, id_: str, role: Role, scope: str) -> None:
    session.add(AccountGrant(account=id_, role=role.value, scope=scope, from_ms=1, given_ms=1))
    session.flush()


COMPANIES: Final = {"beiguan": "北关保安", "dongmen": "东门保安"}


def add_companies(served: "Served", *ids: str) -> None:
    """Guard companies, in the register since now."""
    with served.station.registrar.edit("li") as edit:
        for id_ in ids:
            edit.put_company(id_, name=COMPANIES[id_], code=None, if_match=None)
