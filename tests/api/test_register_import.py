"""Files of the register: every problem at once, all or nothing, and the same file twice is once."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from api.etags import StaleVersion
from api.register import files
from api.register.files import BYTES_MOST, FileRefused, Format
from api.register.sheets import COLUMNS, Sheet, header, texts
from broker.ids import HouseholdId
from tests.api.conftest import Served

EXAMPLES = Path(__file__).parents[2] / "examples"
PATH = "/api/v1/register"


def send(
    served: Served, data: bytes, *, form: str = "xlsx", status: int = 200, dry_run: bool = False, **query: Any
) -> Any:
    answer = served.client.post(
        f"{PATH}/import",
        content=data,
        params={"format": form, "dry_run": dry_run, **query},
        headers={"Authorization": "Bearer token-of-zhao"},
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def export(served: Served, *, form: str = "xlsx", status: int = 200, **query: Any) -> bytes:
    answer = served.client.get(
        f"{PATH}/export",
        params={"format": form, "reason": "年度核对", **query},
        headers={"Authorization": "Bearer token-of-zhao"},
    )
    assert answer.status_code == status, answer.text
    return answer.content


def teams(served: Served) -> list[dict[str, Any]]:
    answer = served.client.get(f"{PATH}/teams", headers={"Authorization": "Bearer token-of-zhao"})
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def workbook(**sheets: list[list[Any]]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        for name, rows in sheets.items():
            page = book.add_worksheet(name)
            for number, row in enumerate(rows):
                page.write_row(number, 0, row)
    return file.getvalue()


def found(report: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    return [(one["sheet"], one["row"], one["column"], one["code"]) for one in report["problems"]]


NEW = workbook(
    areas=[
        ["编号", "层级", "名称", "上级区域", "网关"],
        ["gr2", "group", "二组", "r1a", "g1"],  # its parent stands below it
        ["r1a", "subgrid", "西网格", "r1", ""],
    ],
    places=[
        ["id", "联防组", "类别", "门号", "门牌", "住户名", "excludes", "同意:联系人", "同意:处警提示", "经度", "纬度"],
        ["n01", "gr2", "商户", 201, "小卖部", "孙某", "n02", "是", "yes", 116.4, 39.9],
        ["n02", "gr2", "", 202, "", "", "", "", "", "", ""],
        ["h01", "gr1", "", 101, "第0户", "王家", "", "", "", "", ""],
    ],
    联系人=[["场所", "顺序", "姓名", "电话", "关系"], ["n01", 3, "孙某某", "+86 139 0000 0000", "儿子"]],
    notes=[["place", "note", "words"], ["n01", "养犬", "大黄狗"]],
    units=[
        ["id", "place", "gateway", "line", "address", "volume"],
        ["u77", "n01", "g1", "line1", 77, 2],
        ["u78", "", "", "", "", ""],
    ],
)  # fmt: skip


TEAMS = workbook(
    队伍=[
        ["id", "名称", "类型", "区域", "公司", "members"],
        ["t1", "夜巡队", "巡逻队", "gr2", "co1", "zhao li"],
        ["t2", "志愿者", "volunteers", "", "", ""],
    ],
    companies=[["编号", "name", "国家编码"], ["co1", "平安保安", "91330100"]],
    areas=[["编号", "层级", "名称", "上级区域", "网关"], ["gr2", "group", "二组", "r1", "g1"]],
    places=[["id", "联防组"], ["n01", "gr2"]],
)


class TestTeams:
    @pytest.mark.proves("G1")
    def test_companies_and_teams_come_and_go_in_sheets_and_what_is_not_said_stays(self, served: Served) -> None:
        done = send(served, TEAMS)
        assert (done["applied"], done["added"], done["wrong"]) == (True, 5, 0)
        assert send(served, TEAMS)["unchanged"] == 5
        first, second = teams(served)
        assert (first["members"], first["company"], first["area"]) == (["li", "zhao"], "co1", "gr2")
        assert (second["sort"], second["members"]) == ("volunteers", [])
        renamed = workbook(teams=[["id", "名称", "类型", "members"], ["t1", "夜间巡逻", "patrol", ""]])
        assert send(served, renamed)["changed"] == 1
        first, _ = teams(served)
        assert (first["name"], first["members"], first["company"]) == ("夜间巡逻", ["li", "zhao"], "co1")
        fewer = workbook(teams=[["id", "名称", "类型", "members"], ["t1", "夜间巡逻", "patrol", "li"]])
        assert send(served, fewer)["changed"] == 1
        assert send(served, export(served))["changed"] == 0

    def test_everything_wrong_with_a_team_is_named_at_once(self, served: Served) -> None:
        bad = workbook(
            teams=[
                ["id", "名称", "类型", "区域", "公司", "members"],
                ["t1", "夜巡队", "军队", "", "", ""],
                ["t2", "夜巡队", "patrol", "r9", "co9", "li nobody"],
            ]
        )
        report = send(served, bad, status=422)["report"]
        assert found(report) == [
            ("teams", 2, "sort", "not_word"),
            ("teams", 3, "area", "rule"),
            ("teams", 3, "company", "rule"),
            ("teams", 3, "members", "rule"),
        ]
        assert teams(served) == []


class TestImporting:
    @pytest.mark.proves("G1")
    def test_a_file_is_shown_first_then_taken_whole_and_the_second_time_changes_nothing(self, served: Served) -> None:
        report = send(served, NEW, dry_run=True)
        assert (report["added"], report["changed"], report["wrong"]) == (8, 1, 0)
        assert not report["applied"]
        assert served.station.register.place("n01") is None
        done = send(served, NEW)
        assert (done["applied"], done["added"], done["changed"]) == (True, 8, 1)
        register = served.station.register
        assert register.ancestors("gr2") == ("r1a", "r1", "c1", "north")
        place = register.place("n01")
        assert place is not None
        assert (place.kind.value, place.door, set(place.excludes), place.lon_e7) == (
            "shop",
            201,
            {"n02"},
            1_164_000_000,
        )
        assert (register.place_of_unit("u77"), register.unit("u78")) == ("n01", None)
        second = register.place("n02")
        assert second is not None
        assert second.occupant is None
        again = send(served, NEW)
        assert (again["applied"], again["added"], again["changed"], again["unchanged"]) == (False, 0, 0, 9)
        assert again["words"]["zh"] == "与现有登记一致，没有变化"

    @pytest.mark.proves("G1")
    @pytest.mark.parametrize("form", ["xlsx", "toml"])
    def test_what_is_exported_is_read_as_exactly_what_is_there(self, served: Served, form: str) -> None:
        send(served, NEW)
        report = send(served, export(served, form=form), form=form, dry_run=True)
        assert (report["wrong"], report["added"], report["changed"]) == (0, 0, 0), report
        assert report["unchanged"] >= 7

    @pytest.mark.parametrize("sheet", [*Sheet])
    def test_each_sheet_goes_through_csv_and_back(self, served: Served, sheet: Sheet) -> None:
        send(served, NEW)
        data = export(served, form="csv", sheet=sheet.value)
        assert data.startswith(b"\xef\xbb\xbf")
        report = send(served, data, form="csv", sheet=sheet.value, dry_run=True)
        assert (report["wrong"], report["added"], report["changed"]) == (0, 0, 0), report

    def test_a_site_file_is_read(self, served: Served) -> None:
        report = send(served, (EXAMPLES / "village.toml").read_bytes(), form="toml", dry_run=True)
        codes = {one["code"] for one in report["problems"]}
        assert codes <= {"rule"}  # its gateway is not this station's
        assert report["added"] > 10

    @pytest.mark.proves("G1")
    def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_imported(self, served: Served) -> None:
        data = workbook(
            areas=[
                ["id", "level", "name", "parent", "code", "gateway"],
                ["a1", "group", "x", "a1", "", ""],
                ["a2", "nothing", "x", "r1", "low", ""],
                ["a3", "grid", "x", "", "", ""],
                ["gr1", "group", "x", "nowhere", "", "g99"],
                ["", "group", "", "", "", ""],
                ["Ü", "group", "", "", "", ""],
            ],
            places=[
                ["id", "group", "door", "label", "excludes", "longitude", "colour"],
                ["n1", "c1", 1, "=1+1", "", "", ""],
                ["n2", "gr1", 100_000, "x" * 65, "n99", "", ""],
                ["n2", "gr1", "", "", "", "", ""],
                ["n2", "gr1", "", "", "", "", ""],
                ["n4", "", "", "a\tb", "", "200", ""],
                ["n5", "gr1", "", "", "n5", "116", ""],
            ],
            contacts=[["place", "rank", "name", "phone"], ["h01", 1, "谁", "119"], ["h01", 0, "谁", "许多"]],
            units=[["id", "place", "line"], ["u1", "h02", ""], ["u9", "h77", "line1"]],
            colours=[["id"]],
        )
        report = send(served, data, dry_run=True)
        told = found(report)
        for expected in [
            ("areas", 3, "code", "not_code"),
            ("areas", 6, "id", "missing"),
            ("areas", 7, "id", "not_id"),
            ("areas", 5, "parent", "rule"),
            ("areas", 5, "gateway", "rule"),
            ("places", 1, "colour", "unknown_column"),
            ("places", 2, "label", "formula"),
            ("places", 3, "door", "not_number"),
            ("places", 3, "label", "too_long"),
            ("places", 5, "id", "twice"),
            ("places", 6, "label", "control"),
            ("places", 6, "longitude", "not_degree"),
            ("places", 7, "longitude", "position"),
            ("places", 7, "excludes", "rule"),
            ("contacts", 2, "place", "rule"),
            ("contacts", 3, "rank", "not_number"),
            ("contacts", 3, "phone", "not_phone"),
            ("units", 2, "place", "unhangs"),
            ("units", 3, "place", "rule"),
            ("units", 3, "line", "rule"),
            ("colours", 0, "", "unknown_sheet"),
        ]:
            assert expected in told
        for one in report["problems"]:
            assert all(one[part][language] for part in ("what", "do") for language in ("zh", "en"))
        version = served.station.register.version
        refused = send(served, data, status=422)
        assert (refused["type"], refused["report"]["wrong"]) == ("import_refused", report["wrong"])
        assert served.rows("SELECT count(*) FROM place WHERE id IN ('n1', 'n2')") == [(0,)]
        assert served.station.register.version == version

    @pytest.mark.proves("G1")
    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([["r1", "grid", "r1a"], ["r1a", "subgrid", "r1"]], "would lie in itself"),
            ([["r1", "grid", ""]], "lies in no community"),
            ([["a1", "group", "r1"]], "has no household"),
            ([["c1", "community", "gr1"]], "level"),
            ([["c1", "community", "north"]], "tree"),
        ],
    )
    def test_trees_that_cannot_be_are_refused_as_a_whole(
        self, served: Served, rows: list[list[str]], words: str
    ) -> None:
        report = send(served, workbook(areas=[["id", "level", "parent"], *rows]), dry_run=True)
        assert any(words in one["what"]["en"] for one in report["problems"]), report["problems"]

    @pytest.mark.proves("G7")
    def test_an_import_lets_nobody_move_in_where_somebody_lives(self, served: Served) -> None:
        named = workbook(places=[["id", "group", "occupant"], ["h01", "gr1", "王家"]])
        assert send(served, named)["changed"] == 1
        other = workbook(places=[["id", "group", "occupant"], ["h01", "gr1", "李家"]])
        assert found(send(served, other, dry_run=True)) == [("places", 2, "occupant", "other_occupant")]
        unnamed = workbook(places=[["id", "group", "occupant"], ["h01", "gr1", ""]])
        assert send(served, unnamed)["unchanged"] == 1

    @pytest.mark.proves("G7")
    def test_a_consent_that_a_sheet_takes_back_erases_what_hung_on_it(self, served: Served) -> None:
        send(served, NEW)
        back = workbook(places=[["id", "consent_contacts"], ["n01", "否"]])
        assert send(served, back)["changed"] == 1
        assert served.rows("SELECT name, phone FROM contact") == [(None, None)]

    def test_what_changed_since_the_report_is_noticed(self, served: Served) -> None:
        version = send(served, NEW, dry_run=True)["version"]
        send(served, workbook(places=[["id", "door"], ["h01", 7]]))
        answer = served.client.post(
            f"{PATH}/import?dry_run=false",
            content=NEW,
            headers={"Authorization": "Bearer token-of-zhao", "If-Match": f'"{version}"'},
        )
        assert answer.status_code == 412

    def test_an_export_asks_for_a_reason(self, served: Served) -> None:
        assert b"needs_reason" in export(served, status=422, reason="")
        assert b"no_sheet" in export(served, form="csv", status=422)
        export(served)
        assert served.rows("SELECT account FROM audit WHERE action = 'register.export'") == [("zhao",)]

    def test_an_officer_without_the_right_may_not(self, served: Served) -> None:
        answer = served.client.get(f"{PATH}/export", headers={"Authorization": "Bearer token-of-li"})
        assert answer.status_code == 403


class TestFiles:
    def test_a_file_that_is_too_large_is_refused_before_it_is_read(self, served: Served) -> None:
        assert send(served, b"x" * (BYTES_MOST + 1), status=413)["type"] == "too_large"

    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"id,group\n", NEW[: len(NEW) // 2]])
    def test_what_is_no_workbook_is_refused(self, data: bytes) -> None:
        with pytest.raises(FileRefused) as caught:
            files.tables(data, Format.XLSX, sheet=None)
        assert caught.value.code == "not_xlsx"

    def test_a_bomb_is_not_unpacked(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/worksheets/sheet1.xml", b"0" * (files.UNPACKED_MOST + 1))
        assert len(file.getvalue()) < 1 << 20
        with pytest.raises(FileRefused) as caught:
            files.tables(file.getvalue(), Format.XLSX, sheet=None)
        assert caught.value.code == "bomb"

    @given(st.binary(max_size=300), st.sampled_from([*Format]))
    def test_any_octets_are_read_or_refused(self, data: bytes, form: Format) -> None:
        with suppress(FileRefused):
            files.tables(data, form, sheet=Sheet.PLACES)

    def test_an_export_cannot_be_taken_for_a_formula(self) -> None:
        row = {column.name: column.parse("") for column in COLUMNS[Sheet.NOTES] if not column.needed}
        rows = [row | {"place": "h01", "note": "dog", "words": "=cmd|' /C calc'!A0"}]
        text = files.write_csv(Sheet.NOTES, rows).decode()
        assert "'=cmd" in text
        book = openpyxl.load_workbook(io.BytesIO(files.write_xlsx({Sheet.NOTES: rows})))
        assert book.worksheets[0].cell(2, 3).data_type == "s"
        ((_, _, raws),) = files.tables(text.encode(), Format.CSV, sheet=Sheet.NOTES)
        assert raws[0][1]["words"] == "=cmd|' /C calc'!A0"

    def test_a_formula_and_a_date_are_told_by_their_cell(self) -> None:
        file = io.BytesIO()
        with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
            page = book.add_worksheet("places")
            page.write_row(0, 0, ["id", "label", "address"])
            page.write_formula(1, 1, "=A1")
            page.write(1, 0, "n1")
        ((_, heads, raws),) = files.tables(file.getvalue(), Format.XLSX, sheet=None)
        assert heads[:3] == ["id", "label", "address"]
        assert getattr(raws[0][1]["label"], "code", None) == "formula"

    def test_headings_are_read_in_either_language(self) -> None:
        for sheet in Sheet:
            (heads,) = texts(sheet, [])
            assert heads == [header(column) for column in COLUMNS[sheet]]


def village(groups: int) -> bytes:
    """Groups of ten households, each with somebody to call and a unit."""
    areas: list[list[Any]] = [["id", "层级", "名称", "上级区域", "网关"]]
    places: list[list[Any]] = [["id", "联防组", "门号", "住户名", "同意:联系人"]]
    contacts: list[list[Any]] = [["场所", "顺序", "姓名", "电话"]]
    units: list[list[Any]] = [["id", "place", "volume"]]
    for group in range(groups):
        areas.append([f"big{group}", "group", f"{group}组", "r1", "g1"])
        for door in range(10):
            place = f"p{group}-{door}"
            places.append([place, f"big{group}", door + 1, f"住户{door}", "是"])
            contacts.append([place, 1, "某", "+86 139 0000 0000"])
            units.append([f"u{group}-{door}", place, 2])
    return workbook(areas=areas, places=places, contacts=contacts, units=units)


class TestWhileOthersWork:
    def test_a_hundred_households_more_are_not_a_hundred_statements_more_while_nobody_else_writes(
        self, served: Served
    ) -> None:
        database, statements = served.station.database, [0]
        tables = [files.tables(village(groups), Format.XLSX, sheet=None) for groups in (1, 12)]

        def count(*_: Any) -> None:
            statements[0] += 1

        event.listen(database._writer, "before_cursor_execute", count)
        few = served.station.takes.take(tables[0], by="zhao")
        small, statements[0] = statements[0], 0
        many = served.station.takes.take(tables[1], by="zhao")
        assert (len(few.changes), len(many.changes), many.unchanged) == (31, 341, 31), few.problems[:2]
        assert statements[0] < small + 120  # rows of SQLite go by 64, by 16 and one by one
        assert served.station.takes.take(tables[1], by="zhao").changes == []
        assert send(served, export(served))["changed"] == 0

    def test_what_is_changed_while_a_file_is_compared_is_not_waited_for_and_not_overwritten(
        self, served: Served
    ) -> None:
        station, names = served.station, ["甲", "乙", "丙", "丁"]

        def somebody_else(phase: str, done: int, _of: int) -> None:
            if phase == "comparing" and not done and names:
                place = station.register.now.places[HouseholdId("h01")]
                with station.registrar.edit("li") as edit:  # it would wait for ever if the import were writing
                    edit.name_occupant("h01", names.pop(0), if_match=f'"{place.version}"')

        def called() -> Any:
            lives = "SELECT occupant FROM occupancy WHERE place = 'h01'"
            return served.rows(f"SELECT name FROM occupant WHERE id IN ({lives})")[0][0]  # noqa: S608 - ours

        refused = station.takes.take(files.tables(NEW, Format.XLSX, sheet=None), by="zhao", tell=somebody_else)
        assert ([one.code for one in refused.problems], called()) == (["other_occupant"], "乙")
        assert "n01" not in station.register.now.places
        version = station.register.version
        names += ["戊"]  # three times in all: then it is worked out where nobody else writes
        taken = station.takes.take(files.tables(village(1), Format.XLSX, sheet=None), by="zhao", tell=somebody_else)
        assert (taken.problems, names, called()) == ([], [], "戊")
        assert station.register.now.places[HouseholdId("p0-9")].occupant is not None
        with pytest.raises(StaleVersion):
            station.takes.take(files.tables(village(2), Format.XLSX, sheet=None), by="zhao", if_match=f'"{version}"')
