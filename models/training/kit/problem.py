"""What a user can mend: said in one message that names the file and the row, without a traceback."""


class Problem(Exception):
    """Shown as it is; the exit status tells a script which kind it was."""

    def __init__(self, message: str, status: int = 65) -> None:
        super().__init__(message)
        self.status = status


# As the daemon's: 2 wrong usage, 65 what was read is damaged or does not fit, 69 a library is missing, 74 writing failed.
USAGE, DATA, MISSING, WRITING = 2, 65, 69, 74


def several(what: str, places: list[str], most: int = 10) -> Problem:
    """One message about many places: the first ten, and how many more."""
    shown = "\n  ".join(places[:most])
    more = f"\n  and {len(places) - most} more" if len(places) > most else ""
    return Problem(f"{what}:\n  {shown}{more}")
