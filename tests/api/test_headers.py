"""What every answer says to a browser, whatever the route and whoever asks."""

from collections.abc import Mapping

import pytest

from api.rights.rules import Role
from tests.api.conftest import Served, only_sqlite
from tests.api.test_role_matrix import STREAMS, headers, routes

pytestmark = only_sqlite


def wrong(said: Mapping[str, str], path: str) -> list[str]:
    """What is missing, or lets more than nothing happen."""
    policy = {rule.split()[0]: rule.split()[1:] for rule in said.get("content-security-policy", "").split(";") if rule}
    scripts = policy.get("script-src", policy.get("default-src", ["*"]))
    found = {
        "guesses": said.get("x-content-type-options") != "nosniff",
        "frames": policy.get("frame-ancestors", ["'none'"] if "sandbox" in policy else []) != ["'none'"],
        "loads": policy.get("default-src") != ["'none'"],
        "runs": not set(scripts) <= {"'none'", "'self'"},
        "tells where it was": said.get("referrer-policy") not in {"same-origin", "no-referrer"},
        "is read by other sites": said.get("cross-origin-resource-policy") != "same-origin",
        "is kept": said.get("cache-control") != "no-store" and not path.startswith(("/static/", "/phone")),
        "lets others ask": "access-control-allow-origin" in said,
        "says what serves it": "server" in said or "x-powered-by" in said,
    }
    return [what for what, is_so in found.items() if is_so]


@pytest.mark.proves("G5", "N16")
def test_no_answer_lets_a_browser_keep_frame_guess_or_run_anything(served: Served) -> None:
    mine = headers(served, Role.DUTY_LEADER)
    asked = [(method, path) for method, path, _ in routes(served.client.app) if path not in STREAMS]
    assert len(asked) > 300
    for method, path in [*asked, ("GET", "/nowhere"), ("GET", "/static/base.css"), ("POST", "/static/base.css")]:
        answer = served.client.request(method, path, headers=mine, follow_redirects=False)
        assert wrong(answer.headers, path) == [], (method, path, answer.status_code)
    for path in ("/", "/sign-in", "/phone", "/boards", "/healthz", "/metrics", "/api/v1/alarms", "/nowhere"):
        answer = served.client.get(path, follow_redirects=False)
        assert wrong(answer.headers, path) == [], (path, answer.status_code)


@pytest.mark.proves("G5")
def test_a_service_worker_may_fetch_from_its_own_site(served: Served) -> None:
    policy = served.client.get("/phone/worker.js").headers["content-security-policy"]
    assert "connect-src 'self'" in policy
