"""A terminal with somebody at it, for tests of conversations."""

from __future__ import annotations

from collections.abc import Iterator

from smalldata_ana.session.tools.dialogue import Dialogue


class Talk:
    """A terminal that answers; an exception among the answers is raised."""

    def __init__(self, *answers: str | type[BaseException]) -> None:
        self._answers: Iterator[str | type[BaseException]] = iter(answers)
        self.prompts: list[str] = []
        self.lines: list[str] = []
        self.dialogue = Dialogue(self._read, self.lines.append)

    def _read(self, prompt: str) -> str:
        self.prompts.append(prompt)
        answer = next(self._answers)
        if isinstance(answer, str):
            return answer
        raise answer
