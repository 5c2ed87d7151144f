# `make demo` and `make test` need Python 3.11 or newer, make, and nothing else.
PYTHON ?= python3
# dev,docs,oracles adds an independent implementation of aggregators, which some tests compare with.
EXTRAS ?= dev,docs
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml
# A line per job; should one fail, the second run repeats it and prints its log.
QUIETLY := $(SNAKEMAKE) --quiet rules reason > /dev/null || $(SNAKEMAKE)
# A warning is an error; the variable silences an announcement of the theme's makers.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: help demo test test-all check audit bench docs new lock assumptions ledger report clean

help:
	@echo "make demo         run the whole workflow on bundled data, offline, and print the results"
	@echo "make test         the tests to run at every edit, some four minutes on two cores"
	@echo "make test-all     all tests, some seventeen minutes: SLURM, browser, kills, long grids, too"
	@echo "make check        lint, types, formatting of code and workflow"
	@echo "make docs         this documentation as a site, site/index.html; needs no network"
	@echo "make audit        known vulnerabilities of the locked versions (needs a network)"
	@echo "make bench        measure this machine: ratios against stated limits, some ten minutes"
	@echo "make report       Snakemake's own report of the demo, results/snakemake-report.html"
	@echo "make new kind=aggregator name=mine"
	@echo "                  write a plug-in to start from; any kind of docs/extend.md; folder=PATH"
	@echo "                  puts it elsewhere"
	@echo "make lock         resolve pyproject.toml to exact versions"
	@echo "make assumptions  gather every ASSUME into docs/assumptions.md"
	@echo "make ledger       judge all claims by the published values, into docs/reproduction/ledger.md"
	@echo "make clean        delete the environment (results stay)"
	@echo "PYTHON=$(PYTHON) CORES=$(CORES) can be set on the command line."

# The environment is made anew whenever the lock or the project's dependencies change.
$(STAMP): envs/requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "FedSieve needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV); PyTorch makes this some minutes and some GB, once."
	"$(PYTHON)" -m venv $(VENV)
	PYTHONUTF8=1 $(BIN)/python -m pip install --quiet --constraint envs/requirements.lock --editable '.[$(EXTRAS)]'
	@# A relative path: pip's own could not be read again in a locale that lacks letters of it.
	@for link in $(VENV)/lib/python*/site-packages/__editable__.fedsieve-*.pth; do \
		echo ../../../../src > "$$link"; \
	done
	@touch $@

demo: $(STAMP)
	$(QUIETLY)
	@cat results/tables/demo.txt
	@echo
	@echo "Tables:   results/tables/demo.md (also .csv, .tex, .html)"
	@echo "Figures:  results/figures/demo/"
	@echo "Report:   results/report/index.html (open it in a browser)"

report: results/snakemake-report.html

results/snakemake-report.html: $(STAMP) results/tables/demo.csv workflow/report/*.rst
	@$(SNAKEMAKE) --report $@ --quiet all > results/snakemake-report.log 2>&1 \
		|| { cat results/snakemake-report.log; exit 1; }

results/tables/demo.csv:
	$(QUIETLY)

# In UTF-8 mode, as all jobs: libraries that look themselves up fail where a folder's name has
# letters that the locale writes otherwise.
test: $(STAMP)
	PYTHONUTF8=1 $(BIN)/python -m pytest --numprocesses 2 -m "not slow"

test-all: $(STAMP)
	PYTHONUTF8=1 $(BIN)/python -m pytest --numprocesses 2 --durations=10

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile config/demo.yaml
	$(SITE)

docs: $(STAMP)
	$(SITE)
	@echo "Open site/index.html in a browser."

audit: $(STAMP)
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/python envs/audit.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks --json results/bench.json

new: $(STAMP)
	@$(BIN)/python -m fedsieve new $(kind) $(name) $(if $(folder),--folder "$(folder)")

lock: $(STAMP)
	$(BIN)/python envs/lock.py

assumptions: $(STAMP)
	$(BIN)/python docs/assumptions.py

ledger: $(STAMP)
	$(BIN)/python docs/ledger.py

clean:
	rm -rf $(VENV)
