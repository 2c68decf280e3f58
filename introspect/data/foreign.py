"""Files that hold no plain text: what they are, by their endings and first bytes, and what to do.

The encoding of a text is told too, where it is none that is read.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from introspect.errors import InputError
from introspect.io import PathLike, Row, as_utf8, is_stdin, opened, read_lines
from introspect.text import shortened

_TEXT = "Copy or export its text to a .txt with one sentence on each line, UTF-8."
_TABLE = "Save its table as CSV UTF-8 or as .xlsx."
_UNPACK = "Unpack it and name the files in it, or their folder."
_WORDS = "Write the texts that belong to it as a .txt, CSV or JSON lines."
_READ = 'Read it in Python and hand over a list of texts, or write JSON lines: {"text": …}.'
_HTML = f"Save the page as text. {_TEXT}"

_ENDINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ending: (what, how)
        for endings, what, how in (
            ("pdf", "a PDF", _TEXT),
            ("doc docx dotx odt pages", "a document of a word processor", _TEXT),
            ("rtf", "rich text", _TEXT),
            ("epub mobi", "an electronic book", _TEXT),
            ("ppt pptx odp", "a presentation", _TEXT),
            ("html htm xhtml mhtml", "a web page", _HTML),
            ("xls xlsb ods numbers", "a spreadsheet in a form that is not read", _TABLE),
            ("sav dta sas7bdat rdata rds mat", "data of a statistics program", _TABLE),
            ("png jpg jpeg gif bmp tif tiff webp heic svg ico", "a picture", _WORDS),
            ("wav mp3 flac ogg m4a mp4 mov avi mkv webm", "sound or film", _WORDS),
            ("zip tar tgz 7z rar bz2 xz", "an archive", _UNPACK),
            ("pkl pickle joblib pt pth bin ckpt", "pickled data, which is never loaded", _READ),
            ("npy npz h5 hdf5 safetensors onnx arrow feather", "arrays", _READ),
            ("db sqlite sqlite3", "a database", _TABLE),
            ("xml tei tmx", "XML", f"Extract its sentences. {_TEXT}"),
            ("ipynb", "a notebook", _READ),
        )
        for ending in endings.split()
    }
)
_MARKS: Mapping[bytes, str] = MappingProxyType(
    {
        b"%PDF": "pdf",
        b"{\\rtf": "rtf",
        b"\x89PNG": "png",
        b"\xff\xd8\xff": "jpg",
        b"GIF8": "gif",
        b"\xd0\xcf\x11\xe0": "doc",
        b"7z\xbc\xaf": "7z",
        b"Rar!": "rar",
        b"BZh": "bz2",
        b"\xfd7zXZ": "xz",
        b"SQLite format 3": "db",
        b"\x93NUMPY": "npy",
        b"\x89HDF": "h5",
        b"ARROW1": "arrow",
        b"\x80\x04\x95": "pkl",
        b"PK\x03\x04": "zip",
        b"PAR1": "parquet",
    }
)
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.I)
_XML = re.compile(rb"\s*<\?xml\b", re.I)
_WINOGRAD = re.compile(rb"<schema>|<collection>.*<pron>", re.I | re.S)
_HEAD = 1 << 12


def kind_by_ending(path: PathLike) -> tuple[str, str] | None:
    """Return what a file with this ending is that holds no plain text, and what to do with it.

    Example:
        >>> kind_by_ending("paper.pdf")[0], kind_by_ending("notes.md")
        ('a PDF', None)
    """
    endings = [ending.removeprefix(".") for ending in Path(path).suffixes[::-1]]
    return next((_ENDINGS[each.lower()] for each in endings if each.lower() in _ENDINGS), None)


def is_winograd(path: PathLike) -> bool:
    """Return whether a file is the Winograd Schema Challenge as XML."""
    try:
        with opened(path) as stream:
            return bool(_WINOGRAD.search(stream.peek(_HEAD)))
    except InputError:
        return False


def check_is_text(path: PathLike, source: str) -> None:
    """Check that a file that is to be read as text is one, in an encoding that is read.

    Args:
        path: the file.
        source: its name, for messages.

    Raises:
        InputError: its first bytes are those of another kind of file; or it is in another encoding.
    """
    if is_stdin(path):
        return
    with as_utf8(opened(path)) as stream:
        beginning = stream.peek(_HEAD)
    beginning = beginning.removeprefix(b"\xef\xbb\xbf")
    if found := _kind_by_bytes(beginning):
        what, how = found
        raise InputError(f"Expected text in {source!r}, got {what}. {how}")
    _check_encoding(list(islice(read_lines(path), _SAMPLE)), source)


def _kind_by_bytes(beginning: bytes) -> tuple[str, str] | None:
    for mark, ending in _MARKS.items():
        if beginning.startswith(mark):
            if ending == "parquet":
                return "Parquet", "Rename it so that it ends in .parquet, or say format='parquet'."
            if ending == "zip":
                return (
                    "an archive or a workbook",
                    f"Of a workbook, end its name in .xlsx. {_UNPACK}",
                )
            return _ENDINGS[ending]
    if _PAGE.match(beginning):
        return _ENDINGS["html"]
    if _XML.match(beginning):
        return winograd() if _WINOGRAD.search(beginning) else _ENDINGS["xml"]
    return None


def winograd() -> tuple[str, str]:
    """Return what the XML of the Winograd Schema Challenge is, and how to bring its schemas."""
    return (
        "the Winograd Schema Challenge (WSC273, WSC285) as XML",
        "Write its schemas as a table with the columns text, pronoun, antecedent and distractor; "
        "as JSON, or as four lines for each schema, introspect cases dpr reads them.",
    )


# Lines that are looked at, and how many of another encoding are no slip.
_SAMPLE = 200
_FEW = 2


def _check_encoding(rows: list[Row], source: str) -> None:
    """Raise where several lines are in another encoding, and none is in UTF-8 beyond ASCII."""
    bad = [row for row in rows if row.fault and row.fault.kind == "encoding"]
    nul = [row for row in rows if row.fault and row.fault.kind == "nul"]
    if len(nul) >= _FEW and len(nul) * 2 > len(rows):
        raise InputError(
            f"Expected UTF-8 in {source!r}, got NULs in most lines, as UTF-16 without a byte order "
            "mark has them. Save it as UTF-8 (in a spreadsheet: CSV UTF-8)."
        )
    if len(bad) < _FEW or any(not row.fault and not row.raw.isascii() for row in rows):
        return
    name, codec = encoding_of(bad[0].raw)
    line = bad[0].raw.encode("utf-8", "surrogateescape").decode(codec, "replace")
    copy = shlex.quote(f"utf8-{Path(source).name}")
    raise InputError(
        f"Expected UTF-8 in {source!r}, got another encoding in {len(bad)} of the first "
        f"{len(rows)} lines, likely {name}: line {bad[0].line} is then “{shortened(line, 60)}”, "
        "or else it is in yet another. "
        "Save it as UTF-8 (in a spreadsheet: CSV UTF-8), or convert it: "
        f"iconv -f {codec} -t UTF-8 {shlex.quote(source)} > {copy}"
    )


def encoding_of(raw: str) -> tuple[str, str]:
    r"""Return what encoding a line is likely in that is not UTF-8, and its name for iconv.

    Example:
        >>> encoding_of(b"caf\xe9".decode("utf-8", "surrogateescape"))
        ('Windows-1252 (cp1252)', 'CP1252')
        >>> encoding_of("Überschrift;Größe".encode("cp1252").decode("utf-8", "surrogateescape"))[1]
        'CP1252'
        >>> encoding_of("猫没有过马路".encode("gbk").decode("utf-8", "surrogateescape"))[1]
        'GB18030'
    """
    content = raw.encode("utf-8", "surrogateescape")
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    east_asian = sum("\u3000" <= character <= "\u9fff" for character in text)
    beyond = re.findall(rb"[\x80-\xff]+", content)
    alone = sum(len(run) == 1 for run in beyond)
    # A letter of Europe with what follows it makes one of China, but stands mostly alone; those of
    # China are of two bytes, nearly always both beyond ASCII.
    is_alone = 5 * alone > sum(map(len, beyond))
    if 2 * east_asian > sum(map(len, beyond)) * 0.8 and east_asian > 1 and not is_alone:
        return "GB18030 (or GBK)", "GB18030"
    return "Windows-1252 (cp1252)", "CP1252"
