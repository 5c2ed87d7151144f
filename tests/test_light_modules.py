import subprocess
import sys

import pytest

LIGHT = ["checksums", "record_keys", "wording"]
"""Modules that any other may import, the Snakefile's among them, at no cost."""


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_the_standard_library_alone(module):
    code = f"""import sys
before = set(sys.modules)
import fedsieve.{module}
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stderr == ""
    assert set(done.stdout.split()) - sys.stdlib_module_names == {"fedsieve"}
