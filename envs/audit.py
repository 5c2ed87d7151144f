"""Ask the package index for known vulnerabilities of the versions in envs/requirements.lock.

Usage: python envs/audit.py        (as `make audit` does; needs the package index)

Exits with 1 if there are any. An index without advisories answers that it does not know a package;
pip-audit takes that for no vulnerability, so it is said here.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent / "requirements.lock"
COMMAND = (sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json")


def audit(lock: Path) -> list[dict]:
    """What pip-audit finds out about each version in a lock; empty where it has no answer."""
    command = [*COMMAND, "--progress-spinner", "off", "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return json.loads(done.stdout)["dependencies"] if done.stdout else []


def main() -> int:
    """Print what is known, and of how many packages nothing is."""
    found = audit(LOCK)
    asked = [package for package in found if "vulns" in package]
    flawed = [(p, v) for p in asked for v in p["vulns"]]
    for package, flaw in flawed:
        fixed = ", ".join(flaw["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {flaw['id']}, fixed in {fixed}")
    print(f"{len(flawed)} known vulnerabilities in {len(asked)} packages")
    if len(asked) < len(found) or not found:
        print(f"NOT AUDITED: {len(found) - len(asked)} packages; the index has no advisories here")
    return 1 if flawed else 0


if __name__ == "__main__":
    sys.exit(main())
