"""`python -m services.invoice.printing.press`: a process that prints one document after the other.

It reads its standard input and writes to its standard output: a length of four bytes, then so many bytes. A request
is a `Paper` as JSON; an answer begins with a byte, `OK` before a PDF and `FAILED` before the name of an error.
"""

import contextlib
import json
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO, Literal

import typst

from services.invoice.printing import factur_x
from services.invoice.printing.glyphs import FAMILIES, FONTS, Fonts

OK, FAILED = b"\0", b"\1"
LENGTH = struct.Struct(">I")
MOST_BYTES = 1 << 30
"""Of address space. A document of 500 lines takes a sixth of it."""
HERE = Path(__file__).parent
Standards = list[Literal["ua-1", "a-2a", "a-3a"]]
STANDARDS: Standards = ["ua-1", "a-2a"]
"""Accessible (PDF/UA-1), and to be kept for long (PDF/A-2a)."""
STANDARDS_WITH_FILES: Standards = ["ua-1", "a-3a"]
"""Of an e-invoice: PDF/A-3a is PDF/A-2a with files of any kind in it."""


class Press:
    """The layout and the fonts, read once."""

    def __init__(self) -> None:
        self._fonts = Fonts()
        self._compiler = typst.Compiler(
            input=HERE / "paper.typ", root=HERE, font_paths=[FONTS], ignore_system_fonts=True
        )

    def print(self, paper: dict[str, Any]) -> bytes:
        """The PDF. A letter that the layout cannot show after all leads to a second try with the plainest letters."""
        try:
            return self._printed(paper, plain=False)
        except typst.TypstError:
            return self._printed(paper, plain=True)

    def _printed(self, paper: dict[str, Any], *, plain: bool) -> bytes:
        e_invoice = paper["e_invoice"]
        shown = {**self._shown(paper, plain), "fonts": FAMILIES, "e_invoice": e_invoice}
        pdf = self._compiler.compile(
            sys_inputs={"paper": json.dumps(shown)},
            format="pdf",
            pdf_standards=[*(STANDARDS_WITH_FILES if e_invoice else STANDARDS)],
            timestamp=int(paper["made_at"]),
        )
        assert isinstance(pdf, bytes)
        return factur_x.marked(pdf) if e_invoice else pdf

    def _shown(self, value: Any, plain: bool) -> Any:
        if isinstance(value, dict):
            return {name: self._shown(each, plain) for name, each in value.items()}
        if isinstance(value, list):
            return [self._shown(each, plain) for each in value]
        return self._fonts.shown(value, plain=plain)


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Print until there is nothing more to read."""
    press = Press()
    while len(head := asked.read(LENGTH.size)) == LENGTH.size:
        paper = json.loads(asked.read(*LENGTH.unpack(head)))
        try:
            answer = OK + press.print(paper)
        except Exception as error:
            answer = FAILED + type(error).__name__.encode()  # its text may quote the document
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends it, by the end of its input
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
