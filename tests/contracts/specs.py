"""The parameters that a plug-in is tested with."""

from fedsieve import plugin_specs, registry


def example(kind, name):
    """EXAMPLE of the plug-in's file, which must name all that has no default."""
    found = getattr(registry.load(kind, name), "EXAMPLE", {})
    _, required = registry.parameters(registry.find(kind, name), registry.CONTRACTS[kind])
    missing = ", ".join(f"{parameter!r}: ..." for parameter in sorted(required - found.keys()))
    assert not missing, f"write EXAMPLE = {{{missing}}} into {name}.py, with values to test with"
    return found


def spec(kind, name):
    """An entry of a configuration that uses the plug-in."""
    return {"use": name, **example(kind, name)}


def declares(kind, name, constant):
    """Whether the plug-in's file says so of itself, as in ``SINGLE_LABEL = True``."""
    return getattr(registry.load(kind, name), constant, False)


def lacking(kind, name):
    """What functions of its kind the plug-in's file lacks, in words; empty if there are all."""
    return "\n".join(plugin_specs.missing(kind, registry.find(kind, name)))
