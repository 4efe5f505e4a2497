"""The public board of a grid: what hangs there is public, and nothing else is."""

from typing import Any

import pytest

from api.board.rules import HEIGHT, WIDTH, shapes
from tests.api.conftest import Served

BOARD: dict[str, Any] = {
    "supervision_phone": "0515-12345",
    "note": "有事找网格员",
    "entries": [
        {"name": "周小兰", "duty": "网格员", "contact": "138 0000 0001"},
        {"name": "<b>李</b>", "duty": "社区民警", "contact": "110"},
    ],
}
PATH = "/api/v1/boards"


def hang(served: Served, grid: str = "r1", *, status: int = 200, officer: str = "zhao", etag: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer token-of-{officer}"} | ({} if etag is None else {"If-Match": etag})
    answer = served.client.put(f"{PATH}/{grid}", json=BOARD, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


def draw(served: Served, area: str, parent: str, *corners: tuple[float, float]) -> None:
    read = served.get(f"/api/v1/register/areas/{area}")
    answer = served.client.put(
        f"/api/v1/register/areas/{area}",
        json={"name": "一网格", "parent": parent, "outline": corners},
        headers={"Authorization": "Bearer token-of-zhao", "If-Match": f'"{read["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


class TestBoard:
    @pytest.mark.proves("G3")
    def test_everybody_reads_it_and_it_says_nothing_of_households(self, served: Served) -> None:
        assert served.client.get(f"{PATH}/r1").status_code == 404
        hang(served)
        read = served.client.get(f"{PATH}/r1")
        assert read.status_code == 200
        board = read.json()
        assert [entry["duty"] for entry in board["entries"]] == ["网格员", "社区民警"]
        assert board["supervision_phone"] == "0515-12345"
        assert served.client.get(PATH).json() == [{"grid": "r1", "name": "r1"}]
        page = served.client.get(f"{PATH}/r1/page")
        assert page.headers["content-type"].startswith("text/html")
        for shown in (read.text, page.text):
            for household in ("h01", "户", "u1", "gr1"):
                assert household not in shown

    @pytest.mark.proves("G3")
    def test_the_page_prints_by_itself_and_lets_no_code_in(self, served: Served) -> None:
        hang(served)
        page = served.client.get(f"{PATH}/r1/page")
        assert "<b>李</b>" not in page.text
        assert "&lt;b&gt;" in page.text
        assert "http" not in page.text
        assert "<script" not in page.text
        assert "@page { size: A4" in page.text
        assert "监督电话" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]

    @pytest.mark.proves("G3")
    def test_the_map_is_drawn_where_the_outline_is_known(self, served: Served) -> None:
        hang(served)
        assert "<svg" not in served.client.get(f"{PATH}/r1/page").text
        draw(served, "r1", "c1", (120.0, 33.0), (120.1, 33.0), (120.1, 33.1))
        page = served.client.get(f"{PATH}/r1/page").text
        assert "<svg" in page
        assert "一网格" in page

    def test_a_new_board_takes_the_place_of_the_old_one_which_is_kept(self, served: Served) -> None:
        first = hang(served)
        assert hang(served, status=409).json()["type"] == "impossible_register"
        second = hang(served, etag=first.headers["ETag"])
        assert second.json()["version"] == 2
        hang(served, status=412, etag=first.headers["ETag"])
        assert served.rows("SELECT count(*), count(to_ms) FROM board") == [(2, 1)]

    def test_only_grids_have_boards_and_only_those_who_may_hang_them(self, served: Served) -> None:
        hang(served, "c1", status=404)
        hang(served, "nowhere", status=404)
        hang(served, status=403, officer="li")
        assert served.client.put(f"{PATH}/r1", json=BOARD).status_code == 401


def test_a_map_fills_its_sheet_and_keeps_its_proportions() -> None:
    drawn = shapes(
        [("外", "[[120,30],[120.2,30],[120.2,30.1],[120,30.1]]"), ("内", "[[120,30],[120.1,30],[120,30.1]]")]
    )
    corners = [tuple(int(part) for part in point.split(",")) for point in drawn[0].points.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in corners)
    wide, high = corners[1][0] - corners[0][0], corners[0][1] - corners[3][1]
    assert wide / high == pytest.approx(2 * 0.866, rel=0.02)
    assert [shape.inner for shape in drawn] == [False, True]
    assert shapes([]) == []
