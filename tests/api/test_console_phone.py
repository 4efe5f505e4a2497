"""Phone pages as the server gives them: what a phone keeps, in which words. What they do is walked in tests/screens."""

import json
import re
import struct
from hashlib import sha256

import pytest

from api.console.page import STATIC
from api.console.phone import PHONE, SHELLS
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor
from tests.api.conftest import ROOT, Served, only_sqlite
from tests.api.peers import HOUSEHOLDS
from tests.api.signing_in import PASSWORD, account

WORD = re.compile(r'  (\w+): (\["(?:[^"\\]|\\.)+", "(?:[^"\\]|\\.)+"\]),')
CHINESE = re.compile(r"[\u4e00-\u9fff]")
HOLE = re.compile(r"\{(\w+)\}")
SAYS = re.compile(r'\b(?:t|field)\("(\w+)"|\b(?:word|rung)(?:: |\()"(\w+)"')


def words_of(name: str) -> dict[str, tuple[str, str]]:
    """The words of a module, each line of which has to be one."""
    text = (PHONE / name).read_text("utf-8")
    lines = text[text.index("{\n") + 2 : text.index("\n};")].split("\n")
    found: dict[str, tuple[str, str]] = {}
    for line in lines:
        if line.lstrip().startswith("//"):
            continue
        one = WORD.fullmatch(line)
        assert one is not None, f"{name}: not a word: {line}"
        assert one[1] not in found, f"{name}: {one[1]} twice"
        zh, en = json.loads(one[2])
        found[one[1]] = (zh, en)
    return found


MODULES = sorted(path.name for path in PHONE.glob("*words.js"))


class TestWords:
    @pytest.mark.parametrize("name", MODULES)
    def test_every_word_is_there_in_both_languages_and_says_the_same_things(self, name: str) -> None:
        for key, (zh, en) in words_of(name).items():
            assert set(HOLE.findall(zh)) == set(HOLE.findall(en)), key
            if key != "other_language":
                assert CHINESE.search(zh), key
                assert not CHINESE.search(en), key

    def test_no_page_says_what_stands_nowhere_and_no_word_stands_in_vain(self) -> None:
        known = {key for name in MODULES for key in words_of(name)}
        scripts = {path.name: path.read_text("utf-8") for path in PHONE.glob("*.js") if path.name not in MODULES}
        said = {key for text in scripts.values() for pair in SAYS.findall(text) for key in pair if key}
        assert said <= known
        everything = "\n".join(scripts.values())
        sources = (path.read_text("utf-8") for path in ROOT.glob("api/**/*.py"))
        typed = {one for text in sources for one in re.findall(r' type = "(\w+)"', text)}
        made = re.findall(r"`(\w+_)\$\{|`\$\{\w+\}(_\w+)`", everything)
        for key in words_of("words.js").keys() | words_of("household_words.js").keys():
            composed = any((a and key.startswith(a)) or (b and key.endswith(b)) for a, b in made)
            assert composed or key in typed or re.search(rf"\b{key}\b", everything), key


@only_sqlite
class TestShell:
    @pytest.mark.parametrize("path", ["/phone/", "/phone/join"])
    def test_the_shell_is_a_file_of_ours_with_the_guards_of_every_page(self, served: Served, path: str) -> None:
        visitor = Visitor(served)
        answer = visitor.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        seen = Seen(answer.text)
        assert seen.inline == []
        for address in seen.addresses:
            assert address.startswith(("/static/", "tel:110", "/phone/household.zh.webmanifest"))
            if address.startswith("/static/"):
                assert visitor.client.get(address).status_code == 200, address

    @pytest.mark.parametrize("path", ["/phone/nothing", "/phone/..%2fpage", "/phone/words.js", "/phone/WORKER.js"])
    def test_there_is_no_other_page(self, served: Served, path: str) -> None:
        assert Visitor(served).client.get(path).status_code == 404

    def test_the_folder_leads_to_the_page(self, served: Served) -> None:
        assert str(Visitor(served).client.get("/phone").url).endswith("/phone/")

    def test_the_worker_keeps_each_file_by_what_is_in_it_and_no_answer_of_the_interface(self, served: Served) -> None:
        visitor = Visitor(served)
        answer = visitor.client.get("/phone/worker.js")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["content-type"].startswith("text/javascript")
        first, second, *_ = answer.text.split("\n")
        shell = json.loads(first.removeprefix("const SHELL = ").removesuffix(";"))
        assert re.fullmatch(r'const VERSION = "[0-9a-f]{16}";', second)
        kept = dict(shell)
        assert {f"/static/phone/{path.name}" for path in PHONE.glob("*.js")} - {"/static/phone/worker.js"} <= set(kept)
        assert {"/phone/", "/phone/join", "/static/feed.js", "/static/base.css"} <= set(kept)
        assert not [address for address in kept if address.startswith("/api/")]
        for address, versioned in shell:
            got = visitor.client.get(versioned)
            assert got.status_code == 200, versioned
            assert versioned == f"{address}?v={sha256(got.content).hexdigest()[:12]}"

    def test_a_page_that_begins_hears_who_it_is_or_that_it_is_nobody(self, served: Served) -> None:
        account(served.station, "zhang", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
        visitor = Visitor(served)
        assert visitor.client.get("/phone/who").json() == {"who": None, "without_role": False}
        visitor.sign_in("zhang")
        answer = visitor.client.get("/phone/who")
        assert answer.json()["who"] == visitor.client.get("/api/v1/session").json()
        assert answer.headers["Cache-Control"] == "no-store"
        account(served.station, "new")
        fresh = Visitor(served)
        fresh.post("/login", login="new", password=PASSWORD, to="/nowhere", status=404)
        assert fresh.client.get("/phone/who").json() == {"who": None, "without_role": True}

    def test_what_a_script_loads_is_kept_with_it(self, served: Served) -> None:
        kept = Visitor(served).client.get("/phone/worker.js").text
        for path in PHONE.glob("*.js"):
            for where in re.findall(r'^import .*"(\.[^"]+)";$', path.read_text("utf-8"), re.MULTILINE):
                found = (path.parent / where).resolve()
                assert f'"/static/{found.relative_to(STATIC.resolve())}"' in kept, f"{path.name} loads {where}"

    def test_it_can_be_installed(self, served: Served) -> None:
        visitor = Visitor(served)
        for page in SHELLS:
            text = visitor.client.get(f"/phone/{page}").text
            assert f'<link rel="manifest" href="/phone/{page}.zh.webmanifest">' in text
            assert text.count('<meta name="theme-color" media="(prefers-color-scheme: ') == 2
            chinese, english = (visitor.client.get(f"/phone/{page}.{one}.webmanifest").json() for one in ("zh", "en"))
            named = ("name", "short_name", "lang")
            assert {key for key in chinese if chinese[key] != english[key]} == set(
                named
            )  # one program in two languages
            for key in named[:2]:
                assert CHINESE.search(chinese[key])
                assert not CHINESE.search(english[key])
            assert chinese["display"] == "standalone"
            assert visitor.client.get(chinese["start_url"]).text == text
            sizes = set()
            for icon in chinese["icons"]:
                body = visitor.client.get(icon["src"]).content
                if icon["type"] == "image/png":
                    width, height = struct.unpack(">II", body[16:24])
                    assert icon["sizes"] == f"{width}x{height}"
                    sizes.add((width, icon["purpose"]))
            assert sizes == {(192, "any"), (512, "any"), (512, "maskable")}
        assert visitor.client.get("/phone/household.fr.webmanifest").status_code == 404
        assert visitor.client.get("/phone/nobody.zh.webmanifest").status_code == 404
