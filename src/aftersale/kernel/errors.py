"""Who must act when something does not work?

AftersaleError
├── Refusal       the user or merchant can act: what, where, why, what to do
└── Operational   nobody's fault: retried and counted (a lock, a full disk, a closed connection)

Everything else that is raised is a bug and stays loud.
"""


class AftersaleError(Exception):
    """Root of the errors this project raises on purpose."""


class Refusal(AftersaleError):
    """Something was asked that cannot be done; the text says what to do instead."""

    def __init__(
        self, what: str, *, where: str = "", why: str = "", hint: str = "", code: int = 1
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint
        self.code = code
        """Exit code of the command line: 1 failed, 2 wrong usage, 3 in part, 4 needs a person."""

    def __str__(self) -> str:
        lines = [self.what]
        if self.where or self.why:
            lines.append("  " + "  ".join(part for part in (self.where, self.why) if part))
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class Operational(AftersaleError):
    """A passing fault of the surroundings; the same work may succeed when tried again."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
