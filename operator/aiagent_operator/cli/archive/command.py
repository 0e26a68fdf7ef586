"""`archive show`, `archive verify` and `archive export`: the archive of an agent as files, without a cluster.

`archive list` beside them asks the cluster which archives there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiagent_operator.cli import options
from aiagent_operator.cli.archive.listing import listed
from aiagent_operator.cli.output import Format

Place = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="Folder or tar file with one archive, or a folder above several, such as that of a store.",
        show_default=False,
    ),
]
Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        help="PEM file with a public key that may have signed the certificate; may be given several times.",
        metavar="FILE",
        show_default=False,
    ),
]
ItemPath = Annotated[
    str,
    typer.Option("--item", help="Print this item instead, such as spec.json.", metavar="PATH", show_default=False),
]
Uncertified = Annotated[
    bool,
    typer.Option(
        "--uncertified",
        help="Take an archive without certificate.json too: its agent left while the operator had no key.",
    ),
]
One = Annotated[Path, typer.Argument(metavar="PATH", help="Folder with manifest.json.", show_default=False)]
Target = Annotated[
    str, typer.Argument(metavar="FILE.tar", help="Tar file to make, or - for standard output.", show_default=False)
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List archives of agents that left; read, verify and pack them as files.",
)
app.command("list")(listed)


@app.command()
def verify(
    path: Place, *, key: Keys = None, uncertified: Uncertified = False, form: options.Output = Format.TABLE
) -> None:
    """Check that nothing was changed, removed or added, that a key signed the certificate, and the journal's chain.

    Every file that is wrong is named. Nothing is unpacked, and no link is followed.
    """
    from aiagent_operator.cli.archive import run  # noqa: PLC0415 (cryptography takes a fifth of a second to load)

    run.verify(path, tuple(key or ()), form, certified=not uncertified)


@app.command()
def show(path: Place, *, item: ItemPath = "", form: options.Output = Format.TABLE) -> None:
    """Show who left, when and why, what is kept and until when, what is missing, and which rights ended.

    Nothing is verified: `archive verify` does that. Of several archives each has one line.
    """
    from aiagent_operator.cli.archive import run  # noqa: PLC0415

    run.show(path, item, form)


@app.command()
def export(path: One, target: Target, *, uncertified: Uncertified = False) -> None:
    """Pack one archive into a tar file, the same each time. What does not verify is not packed, whoever signed it."""
    from aiagent_operator.cli.archive import run  # noqa: PLC0415

    run.export(path, target, certified=not uncertified)
