"""People at their browsers, for tests: accounts of any role, signed in the way they really sign in."""

from dataclasses import dataclass, field
from typing import Any

import pyotp
from starlette.testclient import TestClient

from api.accounts import proofs, repository
from api.accounts.rules import Kind
from api.rights.rules import Role, rights
from api.station import Station

ORIGIN = "http://testserver"
PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@dataclass
class Browser:
    """A browser of its own, with its cookies and the token that its page knows."""

    station: Station
    client: TestClient
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, *, status: int | None = None, **more: Any) -> Any:
        headers = {"Origin": ORIGIN, "X-CSRF-Token": self.csrf} | self.headers | more.pop("headers", {})
        answer = self.client.request(method, path, headers=headers, **more)
        if status is not None:
            assert answer.status_code == status, answer.text
        if answer.content and answer.headers["content-type"] == "application/json" and isinstance(answer.json(), dict):
            body = answer.json().get("session", answer.json())
            self.csrf = body.get("csrf") or self.csrf
        return answer

    def get(self, path: str, *, status: int = 200, **more: Any) -> Any:
        return self.ask("GET", path, status=status, **more).json()

    def post(self, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
        answer = self.ask("POST", path, status=status, json=body, **more)
        return answer.json() if answer.content else None

    def put(self, path: str, body: Any, *, status: int = 200) -> Any:
        answer = self.ask("PUT", path, status=status, json=body)
        return answer.json() if answer.content else None

    def sign_in(self, login: str, password: str = PASSWORD, *, code: str | None = None, status: int = 200) -> Any:
        return self.post("/api/v1/session", {"login": login, "password": password, "code": code}, status=status)

    def pin(self, login: str, pin: str, *, status: int = 200) -> Any:
        return self.post("/api/v1/session/pin", {"login": login, "pin": pin}, status=status)

    @property
    def cookie(self) -> str | None:
        return self.client.cookies.get("shouwang_session")


def browser(station: Station, app: Any) -> Browser:
    """A new browser, nobody signed in. The station runs already."""
    return Browser(station, TestClient(app))


def account(
    station: Station, login: str, *roles: tuple[Role, str], kind: Kind = Kind.PERSON, pin: str | None = None
) -> str:
    """An account with these roles from now on, and PASSWORD; administrators with the second factor SECRET."""
    now = station.clock()
    hashed = station.accounts.passwords.hash(PASSWORD) if kind is Kind.PERSON else None
    with station.database.write() as session:
        made = station.office.open(session, None, kind=kind, name=f"{login}的名字", login=login, hashed=hashed)
        for role, scope in roles:
            repository.add_grant(
                session, account=made, role=role.value, scope=scope, from_ms=now, given_ms=now, given_by="test"
            )
            if role is Role.ADMINISTRATOR:
                repository.change_account(session, made, totp=SECRET)
        if pin is not None:
            repository.change_account(session, made, pin=station.accounts.passwords.hash(pin))
    return made


def code(station: Station, *, steps: int = 0) -> str:
    """What the authenticator app shows now, or some steps from now."""
    return pyotp.TOTP(SECRET).generate_otp(station.clock() // 30_000 + steps)


def machine(station: Station, login: str, *roles: tuple[Role, str]) -> dict[str, str]:
    """The headers of a machine with these roles: the shortest way to ask as any role."""
    made = account(station, login, *roles, kind=Kind.MACHINE)
    with station.database.write() as session:
        _, token = station.office.make_token(session, None, made, label="test", expires_ms=None)
    return {"Authorization": f"Bearer {token}"}


def scope_of(role: Role, *, area: str, place: str, company: str) -> str:
    """The scope that a role may have, of these."""
    return {"area": area, "place": place, "company": company}.get(rights().scopes[role], "")


def digest(text: str) -> str:
    """What is kept of a cookie or token."""
    return proofs.digest(text)
