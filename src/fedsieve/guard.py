"""What a defense may import of fedsieve, so that none sees the truth (standard library only).

Who is malicious and what was poisoned lies in artifacts, which the workflow reads. A defense gets
arguments; neither it nor what it imports, however far, imports what reads artifacts or knows of
poison. ``tests/contracts`` also holds that it opens no file and asks for no variable.
"""

from fedsieve import provenance, registry

DEFENSES = ("sanitizers", "detectors", "aggregators")
"""Kinds of plug-ins that see no truth."""

OPEN = {
    *("errors", "ranges", "record_keys", "records", "rng", "vectors"),
    *("balance", "clustering", "distances", "excess", "flips", "margins", "mixtures"),
    *("prototypes", "rowmix", "trimming", "two_means"),
    *DEFENSES,
}
"""Modules and folders of fedsieve that a defense may import: none of them knows any truth."""

WHY = (
    "a defense must not see what was poisoned; of fedsieve it may import these alone: "
    f"{', '.join(sorted(OPEN))}"
)


def forbidden_import(kind: str, name: str) -> str | None:
    """Say by which imports a plug-in reaches what it may not; None where it does not.

    Args:
        kind, name: A plug-in; one that is no defense may import everything.
    """
    if kind not in DEFENSES:
        return None
    start = registry.module(kind, name)
    waiting: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while waiting:
        chain = waiting.pop(0)
        for module in sorted(provenance.imports(chain[-1]) - seen):
            way = (*chain, module)
            if not _is_open(module):
                return ", which imports ".join(way[1:])
            seen.add(module)
            waiting.append(way)
    return None


def _is_open(module: str) -> bool:
    package, _, inner = module.partition(".")
    return package != "fedsieve" or inner.split(".")[0] in OPEN
