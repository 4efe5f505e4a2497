"""What can be wrong with a request about a long work.

WorkProblem
+-- TooManyWorks            429: .most of one account at a time
+-- NoFile                  404: nothing to be had, or not by this reader
+-- NotAgain                409: it is under way, or what was sent for it is gone
+-- NothingToTake           409: the trial has problems, changes nothing, or is not done
"""

from http import HTTPStatus

from api.problems import NotThere, Problem


class TooManyWorks(Problem):
    """Somebody asks for more than he can wait for. Field: `most`."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "too_many_works"
    title = "Too many long works at a time"

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"at most {most} of yours at a time; wait for one, or give one up",
            zh=f"同时最多 {most} 个长任务，请等一个完成或放弃一个", most=most,
        )  # fmt: skip


class NoFile(NotThere):
    """No file came of it, or not for whoever asks."""

    type = "no_file"


class NotAgain(Problem):
    """It cannot be started again."""

    status = HTTPStatus.CONFLICT
    type = "not_again"
    title = "It cannot be started again"

    def __init__(self) -> None:
        super().__init__("it is under way, or what was sent for it is kept no more", zh="还在进行中，或文件已不再保留")


class NothingToTake(Problem):
    """There is no trial whose file could be imported."""

    status = HTTPStatus.CONFLICT
    type = "nothing_to_take"
    title = "There is nothing to import"

    def __init__(self) -> None:
        super().__init__(
            "the trial is not done, has problems, changes nothing, or its file is kept no more",
            zh="试算未完成、有问题、没有变化，或文件已不再保留",
        )
