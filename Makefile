# Each target does all the set-up it needs; a second call does none of it again.
CORES ?= all
PYTHON ?= python3
BIN := .venv/bin
SOURCES := workflow tests envs

.PHONY: report plan test test-long test-cluster test-interop browser lint schema docs clean clean-stale

report: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/report.html

# What `make report` would run, why, and for how long.
plan: .venv/installed
	@$(BIN)/python -m mobile_vla plan

test: .venv/installed-dev browser
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# The longest files first, as in pyproject.toml, and those that need Slurm, which are skipped without it.
LONG := end_to_end cluster workflow crash processes browser fuzz components
test-long: .venv/installed-dev
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "long and not alone" $(addprefix tests/,$(LONG))
	$(BIN)/python -m pytest -q -m alone tests/end_to_end

# The report is tested in Chromium. Where it is absent and may be installed, it is.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq \
	    && apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } \
	  || echo "No Chromium, and it cannot be installed here: the tests of the report in a browser are skipped."

# A private Slurm for each process, in a temporary folder; its programs are installed where they are
# missing. The tests wait for the queue most of the time, so there are more processes than cores.
SLURM := slurmctld slurmd slurm-client munge
test-cluster: .venv/installed-slurm
	@for program in munged slurmctld slurmd srun; do \
	  PATH="$$PATH:/usr/sbin" command -v $$program > /dev/null || missing=yes; \
	done; \
	if [ "$$missing" ]; then \
	  as_root=$$(test $$(id -u) = 0 || echo sudo); \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq -y --no-install-recommends $(SLURM); \
	fi
	$(BIN)/python -m pytest -q -n 3 tests/cluster

# The library `lerobot` in an environment of its own, which writes what we read and reads what we write, and
# `roc-validator`, which accepts our crate.
LEROBOT := lerobot==0.4.4
test-interop: .venv/installed-dev .venv-interop/installed
	$(BIN)/python -m pytest -q tests/interop

.venv-interop/installed: tests/interop/requirements.txt
	$(PYTHON) -m venv .venv-interop
	.venv-interop/bin/pip install -q -r tests/interop/requirements.txt
	.venv-interop/bin/pip install -q --no-deps $(LEROBOT)
	touch $@

lint: .venv/installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/python -m mobile_vla schema --check workflow/schemas/config.schema.json

# The JSON schema that editors complete config.yaml with, generated from the typed settings.
schema: .venv/installed-dev
	$(BIN)/python -m mobile_vla schema workflow/schemas/config.schema.json

# What stands in the docs and is made of the code: files, findings of the audit, and what edits rerun.
docs: schema
	for page in files_page codes edits; do $(BIN)/python tests/support/$$page.py || exit 1; done

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: envs/requirements.txt envs/constraints.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r envs/requirements.txt -c envs/constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/installed-dev: .venv/installed envs/requirements-dev.txt envs/requirements-bundle.txt
	$(BIN)/python -m pip install --quiet -r envs/requirements-dev.txt -c envs/constraints.txt
	touch $@

.venv/installed-slurm: .venv/installed-dev envs/requirements-slurm.txt
	$(BIN)/python -m pip install --quiet -r envs/requirements-slurm.txt -c envs/constraints.txt
	touch $@

# Results of experiments, datasets and backbones that config.yaml no longer names: listed, and removed
# with `make clean-stale YES=1`.
clean-stale: .venv/installed
	$(BIN)/python -m mobile_vla clean-stale $(if $(YES),--remove)

# Forget everything that was computed. `snakemake` makes it anew.
clean:
	rm -rf results .snakemake
