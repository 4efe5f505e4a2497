"""`shouwang check site.toml`: everything that is wrong with a site file, at once, in words and for programs.

SiteError                   .path
+-- SiteUnreadable          .words: no such file, no permission, no text
+-- SiteRefused             .problems: read, but nothing may be started from it
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from broker.kinds import Words
from deploy.positions import Position, positions
from deploy.problems import ERROR, Problem, finding, put_into_words, shorten
from deploy.rules import breaches
from deploy.site import Site, parse

if TYPE_CHECKING:  # every program loads its site here, and only the command paints
    from rich.console import Console

Language = Literal["zh", "en"]

CLEAN: Final = 0
"""Also with warnings: a machine may start from such a file."""
WRONG: Final = 2
UNREADABLE: Final = 3

MOST_BYTES: Final = 8 << 20
"""A county has some five thousand gateways, and each site is one station's: this is a hundred times enough."""


class SiteError(Exception):
    """A site file that cannot be used. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class SiteUnreadable(SiteError):
    """The file cannot be read at all. Field: `words`."""

    def __init__(self, path: Path, words: Words) -> None:
        self.words = words
        super().__init__(path, words.en)


class SiteRefused(SiteError):
    """The file has errors. Field: `problems`, warnings among them."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        errors = [problem for problem in problems if problem.severity is ERROR]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        where = f"{errors[0].place}: " if errors[0].place else ""
        super().__init__(path, f"{where}{errors[0].en}{more}. `shouwang check {path}` shows all")


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking came to. `site` is None when there is an error."""

    site: Site | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity is ERROR for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many of the problems are warnings."""
        return len(self.problems) - self.errors

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return WRONG if self.errors else CLEAN


def load(path: Path) -> Site:
    """The site of a file, for a program that wants to start. Raises SiteError."""
    checked = check(path)
    if checked.site is None:
        raise SiteRefused(path, checked.problems)
    return checked.site


def check(path: Path) -> Checked:
    """Look at a site file as a whole. Raises SiteUnreadable when there is nothing to look at."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SiteUnreadable(path, Words(f"无法读取文件（{why}）", f"the file cannot be read: {why}")) from None
    if len(data) > MOST_BYTES:
        raise SiteUnreadable(path, Words("文件太大，不像站点文件", "the file is too large for a site file"))
    try:
        return check_text(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SiteUnreadable(
            path, Words("文件不是 UTF-8 编码，请另存为 UTF-8", "the file is not in UTF-8: save it as UTF-8")
        ) from None


def check_text(text: str) -> Checked:
    """Look at the text of a site file as a whole."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return Checked(None, (_not_toml(str(error), text),))
    draft = parse(document)
    findings = (*draft.findings, *breaches(draft))
    where = positions(text) if findings else {}
    problems = sorted((put_into_words(found, document, where) for found in findings), key=_order)
    wrong = any(problem.severity is ERROR for problem in problems)
    return Checked(None if wrong else draft.site, tuple(problems))


def _order(problem: Problem) -> tuple[int, int, str]:
    """As one reads the file."""
    return problem.line or 0, problem.column or 0, problem.code


def _not_toml(message: str, text: str) -> Problem:
    why, position = _where(message, text)
    words = next((words for begin, words in _TOML_WORDS.items() if begin in why), Words(why, why))
    found = finding("not_toml", (), why_zh=words.zh, why_en=words.en)
    return put_into_words(found, {}, {} if position is None else {(): position})


def _where(message: str, text: str) -> tuple[str, Position | None]:
    """Take tomllib's `Invalid value (at line 3, column 5)` apart."""
    match re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message):
        case None:
            return shorten(message), None
        case match if match[2] is None:
            return match[1], Position(text.count("\n") + 1, 1)
        case match:
            return match[1], Position(int(match[2]), int(match[3]))


_TOML_WORDS: Final[Mapping[str, Words]] = {
    "Cannot overwrite a value": Words("同一项写了两次", "the same key stands here twice"),
    "Cannot declare": Words("同一段写了两次，或与前面的写法冲突", "the same table is declared twice, or in two ways"),
    "Expected '=' after a key": Words("项目名后面缺少“=”", 'there is no "=" after the key'),
    "Expected newline or end of document": Words("一行里写了多余的内容", "there is something left over on this line"),
    "Invalid value": Words(
        "等号后面的值不合规；文字要加引号", "the value is not one of TOML; text needs quotation marks"
    ),
    "Invalid statement": Words("这一行不像“项目 = 值”或 [段]", 'this line is neither "key = value" nor a [table]'),
    "Invalid initial character": Words("项目名不能以这个字符开头", "a key cannot begin like this"),
    "Unterminated string": Words("引号没有成对", "a quotation mark is not closed"),
    "Illegal character": Words(
        "有不允许的字符（引号没有成对？）", "there is a character that may not be here (an open quote?)"
    ),
    "Unclosed array": Words("方括号没有闭合", "a square bracket is not closed"),
    "Unclosed inline table": Words("花括号没有闭合", "a curly bracket is not closed"),
    "Expected ']'": Words("段名缺少“]”", 'there is no "]" after the name of the table'),
    "Unescaped": Words("反斜杠要写成 \\\\", "a backslash must be written \\\\"),
    "Exceeds the limit": Words("数字太长", "a number is too long"),
    "recursion": Words("嵌套太深", "the tables are nested too deeply"),
}


def as_json(path: Path, checked: Checked) -> str:
    """The result for programs: `{file, ok, errors, warnings, problems: [{severity, code, place, line, ...}]}`."""
    return json.dumps(
        {
            "file": str(path),
            "ok": checked.errors == 0,
            "errors": checked.errors,
            "warnings": checked.warnings,
            "problems": [asdict(problem) for problem in checked.problems],
        },
        ensure_ascii=False,
        indent=1,
    )


def unreadable_as_json(error: SiteUnreadable) -> str:
    """The same shape for a file that could not be read."""
    problem = Problem(
        severity=ERROR,
        code="unreadable",
        place="",
        line=None,
        column=None,
        zh=error.words.zh,
        en=error.words.en,
    )
    return as_json(error.path, Checked(None, (problem,)))


_SEVERITIES: Final = {
    "error": (Words("错误", "error"), "bold red"),
    "warning": (Words("提醒", "warning"), "yellow"),
}


def show(console: "Console", path: Path, checked: Checked, *, language: Language) -> None:
    """Print every problem with its place, then what it comes to."""
    from rich.text import Text

    for problem in checked.problems:
        words, style = _SEVERITIES[problem.severity]
        place = f"{path}:{problem.line}:{problem.column}" if problem.line else str(path)
        console.print(
            Text.assemble((place, "bold"), " ", (_said(words, language), style), " ", problem.place), soft_wrap=True
        )
        console.print(Text(f"    {_said(Words(problem.zh, problem.en), language)}"), soft_wrap=True)
    console.print(Text(_said(_verdict(checked), language)), soft_wrap=True)


def show_unreadable(console: "Console", error: SiteUnreadable, *, language: Language) -> None:
    """Print why a file could not be read."""
    from rich.text import Text

    console.print(Text.assemble((str(error.path), "bold"), " ", _said(error.words, language)), soft_wrap=True)


def _verdict(checked: Checked) -> Words:
    if not checked.problems:
        return Words("没有问题", "nothing is wrong")
    return Words(
        f"{checked.errors} 个错误，{checked.warnings} 个提醒", f"errors: {checked.errors}, warnings: {checked.warnings}"
    )


def _said(words: Words, language: Language) -> str:
    return words.zh if language == "zh" else words.en
