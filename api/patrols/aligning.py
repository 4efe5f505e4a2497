"""Putting what happened to what was planned, as well as it can be done: pure, exact, in whole numbers.

Both functions take gains (greater is better, always above 0) and return pairs of the greatest sum. Gains are numbers of
many digits whose digits are the levels of a lexicographic cost, so that no rounding and no weight decides between them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

Gains = Sequence[Mapping[int, int]]
"""For each row, the gain of each column that it may have."""

_NEVER: Final = -1


def in_order(gains: Gains, columns: int) -> dict[int, int]:
    """The best alignment in which columns rise with rows; of equally good ones that which keeps the earlier row.

    It is the weighted longest common subsequence, by dynamic programming over suffixes: O(rows x columns).
    """
    best = [[0] * (columns + 1) for _ in range(len(gains) + 1)]
    for row in range(len(gains) - 1, -1, -1):
        mine, below, now = gains[row], best[row + 1], best[row]
        for column in range(columns - 1, -1, -1):
            now[column] = max(now[column + 1], below[column])
            if column in mine:
                now[column] = max(now[column], mine[column] + below[column + 1])
    pairs: dict[int, int] = {}
    row = column = 0
    while row < len(gains) and column < columns:
        wanted, here = best[row][column], gains[row].get(column, _NEVER)
        if here > 0 and here + best[row + 1][column + 1] == wanted:
            pairs[row] = column
            row, column = row + 1, column + 1
        elif best[row][column + 1] == wanted:
            column += 1
        else:
            row += 1
    return pairs


def assign(gains: Gains, columns: int) -> dict[int, int]:
    """The best assignment, each row and each column at most once: the Hungarian method by shortest augmenting paths.

    O(rows^2 x (rows + columns)). A row stays without a column where that is best for all.
    """
    rows = len(gains)
    if rows == 1:
        mine = gains[0]
        return {0: max(mine, key=lambda column: (mine[column], -column))} if mine else {}
    width = columns + rows  # so many columns more, of no gain, for rows that get none
    row_price, column_price = [0] * (rows + 1), [0] * (width + 1)
    has, way = [0] * (width + 1), [0] * (width + 1)
    for row in range(1, rows + 1):
        has[0], at = row, 0
        least: list[int | None] = [None] * (width + 1)
        seen = [False] * (width + 1)
        while has[at]:
            seen[at] = True
            of, nearest, nearest_price = has[at], 0, None
            mine = gains[of - 1]
            for column in range(1, width + 1):
                if seen[column]:
                    continue
                price = -mine.get(column - 1, 0) - row_price[of] - column_price[column]
                known = least[column]
                if known is None or price < known:
                    least[column], way[column], known = price, at, price
                if nearest_price is None or known < nearest_price:
                    nearest, nearest_price = column, known
            step = nearest_price or 0
            for column in range(width + 1):
                if seen[column]:
                    row_price[has[column]] += step
                    column_price[column] -= step
                elif (known := least[column]) is not None:
                    least[column] = known - step
            at = nearest
        while at:
            has[at], at = has[way[at]], way[at]
    return {
        has[column] - 1: column - 1
        for column in range(1, columns + 1)
        if has[column] and column - 1 in gains[has[column] - 1]
    }
