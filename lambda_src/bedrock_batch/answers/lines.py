"""Streams of bytes as blocks of whole lines, and blocks as lines."""

from collections.abc import Iterable, Iterator

_BLOCK = 1 << 19  # bytes that are parsed at once: little enough for the processor's cache


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Re-cut a stream of bytes into small blocks that end with a line; the last may lack its newline.

    Cuts at byte `\\n` only: U+2028, U+0085 and the like may stand inside a JSON string.
    """
    held: list[bytes] = []
    for block in blocks:
        view, start = memoryview(block), 0
        while end := block.rfind(b"\n", start, start + _BLOCK) + 1 or block.find(b"\n", start + _BLOCK) + 1:
            yield b"".join([*held, view[start:end]]) if held else view[start:end]
            held, start = [], end
        if start < len(block):
            held.append(block[start:])
    if held:
        yield b"".join(held)


def lines_of(block: bytes | memoryview) -> Iterator[bytes]:
    """Yield the lines of a block, without those that are blank."""
    whole, start = bytes(block), 0
    while start < len(whole):
        end = whole.find(b"\n", start) + 1 or len(whole)
        line = whole[start:end]
        start = end
        if not line.isspace():
            yield line
