# Run `make` for a list of targets. Needs make and Python. Installs packages in .venv, and programs as below.
PYTHON ?= python3
# Debian packages that pip cannot provide. The target that sets up .venv and `make test` install a missing one if they
# may do so without a password (root, or sudo).
DEBIAN_VENV     := python3-venv
DEBIAN_GRAPHVIZ := graphviz
DEBIAN_CHROMIUM := chromium

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/ready
LOCKS := requirements.lock requirements-gpu.lock

# Recipes read folder names from the environment, so that names may contain spaces and quotes.
export DATA RUNS
WITH_DATA := $(if $(DATA),--data "$$DATA")
WITH_RUNS := $(if $(RUNS),--runs "$$RUNS")
WITH_ROWS := $(if $(ROWS),--rows $(ROWS)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(EPOCHS),--epochs $(EPOCHS))
WITH_JOBS := $(if $(JOBS),--jobs $(JOBS))

# Checks which folder may import which, by the contracts in pyproject.toml. Run through $(PY), because the script's first
# line names the Python with which it was installed. After .venv has been moved or copied, that is the wrong one.
IMPORTS := $(PY) $(VENV)/bin/lint-imports --no-cache --no-logo

# The tests of one file share trained models, so they run in one process.
PARALLEL := -n logical --maxprocesses=4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help

# The variables of each target, shown by `make help`. Any other variable on the command line is an error: otherwise ROW=M6
# instead of ROWS=M6 would train all rows.
TAKES_experiment1 := ROWS SEEDS EPOCHS JOBS DATA RUNS
TAKES_experiment2 := $(TAKES_experiment1)
TAKES_choices     := EPOCHS JOBS DATA RUNS
TAKES_verify      := ROW=M3 SEED=20 DATA RUNS
TAKES_report      := DATA RUNS
TAKES_serve       := DATA RUNS PORT
TAKES_dashboard   := RUNS PORT
TAKES_notebooks   := DATA
TAKES_test        := DATA
TAKES_quick       := DATA
TAKES_test-lowest := DATA
TAKES_test-all    := TORCH=cpu
TAKES_soak        := KILLS
TAKES_bench       := DATA
TAKES_lock        := UPGRADE=1
TAKES_address     := URL=https://...
# Variables of all targets: for setup, for running tests in parallel, and make's own.
TAKES_all         := PYTHON VENV PARALLEL SHELL MAKEFLAGS

GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
TAKEN := $(foreach word,$(foreach goal,$(GOALS),$(TAKES_$(goal))),$(firstword $(subst =, ,$(word))))
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
WRONG := $(firstword $(filter-out $(TAKEN) $(TAKES_all),$(GIVEN)))
LIKE  := $(firstword $(foreach name,$(TAKEN),$(if $(filter $(name)%,$(WRONG))$(filter $(WRONG)%,$(name)),$(name))))
# Only in the outermost make: a nested one inherits its variables.
ifeq ($(MAKELEVEL),0)
ifdef WRONG
$(error `make $(GOALS)` takes no $(WRONG)$(if $(LIKE), (did you mean $(LIKE)?)). Its variables: $(or $(TAKEN),none))
endif
endif

.PHONY: help setup experiment1 experiment2 choices verify demo report serve dashboard notebooks \
	test quick test-lowest test-all soak bench docs lock address clean

help:
	@echo 'make setup         install everything in $(VENV); the targets below do this when necessary'
	@echo 'make experiment1   train M1 ... M8 of Experiment 1, and two more rows  $(TAKES_experiment1)'
	@echo 'make experiment2   train rows Model2 ... Model6 of Experiment 2        $(TAKES_experiment2)'
	@echo 'make choices       train and rank candidates for the open choices      $(TAKES_choices)'
	@echo 'make verify        train a published run again and compare the results $(TAKES_verify)'
	@echo 'make demo          a short tour on drawn shapes; needs no dataset'
	@echo 'make report        make the tables, figures and page in report/        $(TAKES_report)'
	@echo 'make serve         show the page in a browser                          $(TAKES_serve)'
	@echo 'make dashboard     show runs trained with --tensorboard in TensorBoard $(TAKES_dashboard)'
	@echo 'make notebooks     open the notebooks in JupyterLab                    $(TAKES_notebooks)'
	@echo 'make test          check lint, format, types and imports; run tests    $(TAKES_test)'
	@echo 'make quick         the same without slow tests, in a minute and a half $(TAKES_quick)'
	@echo 'make test-lowest   run the tests with the oldest supported packages    $(TAKES_test-lowest)'
	@echo 'make test-all      run the optional tests: grad-cam, quantus, MLflow, S3 $(TAKES_test-all)'
	@echo 'make soak          kill local runs 500 times, cluster runs 60 times    $(TAKES_soak)'
	@echo 'make bench         compare speed with plain Keras, 15 min              $(TAKES_bench)'
	@echo 'make docs          build the API documentation in site/'
	@echo 'make lock          update the lock files from requirements.txt         $(TAKES_lock)'
	@echo 'make address       write your repository address into all files        $(TAKES_address)'
	@echo 'make clean         remove $(VENV), caches and build files, but not runs, output, results or data'
	@echo
	@echo 'Variables: ROWS="M1 M6"   only these rows           SEEDS="0 1"   these seeds'
	@echo '           EPOCHS=1       at most 1 epoch           DATA=DIR      folder with CIFAR-10'
	@echo '           RUNS=DIR       folder for runs           JOBS=4        4 runs at once'
	@echo '           PYTHON=FILE    the Python for setup ($(PYTHON))'
	@echo 'Example:   make experiment1 ROWS="M1 M6" EPOCHS=1'

experiment1 experiment2: $(READY)
	@$(PY) -m kerascifar run experiments/$@.toml $(WITH_ROWS) $(WITH_JOBS) $(WITH_DATA) $(WITH_RUNS)

choices: $(READY)
	@$(PY) -m kerascifar choices $(if $(EPOCHS),--epochs $(EPOCHS)) $(WITH_JOBS) $(WITH_DATA) $(WITH_RUNS)

verify: $(READY)
	@$(PY) -m kerascifar verify $(or $(ROW),M3) $(if $(SEED),--seed $(SEED)) $(WITH_DATA) $(WITH_RUNS)

demo: $(READY)
	@$(PY) -m kerascifar demo

report: $(READY)
	@$(PY) -m kerascifar report --out report $(WITH_DATA) $(WITH_RUNS)

serve: report
	@$(PY) -m webbrowser -t "http://127.0.0.1:$(or $(PORT),8000)" & \
	$(PY) -m http.server $(or $(PORT),8000) --bind 127.0.0.1 --directory report

dashboard: $(READY)
	@runs="$${RUNS:-runs}"; case "$$runs" in '~/'*) runs="$$HOME/$${runs#??}";; esac; \
	$(PY) -m tensorboard.main --logdir "$$runs/tensorboard" --port $(or $(PORT),6006)

notebooks: $(READY)
	@$(if $(DATA),KERASCIFAR_DATA="$$DATA") $(PY) -m jupyterlab notebooks

test: $(READY)
	@command -v chromium >/dev/null || { $(call apt_install,$(DEBIAN_CHROMIUM)); } || \
	echo "Chromium is missing, so the browser tests of the page are skipped. On Debian: apt-get install $(DEBIAN_CHROMIUM)"
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(IMPORTS)
	$(if $(DATA),KERASCIFAR_DATA="$$DATA") $(PY) -m pytest $(PARALLEL)

quick: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(IMPORTS)
	$(if $(DATA),KERASCIFAR_DATA="$$DATA") $(PY) -m pytest $(PARALLEL) -m "not slow"

test-lowest: $(READY)
	$(PY) -m uv venv --quiet --clear --python $(PY) $(VENV)-lowest
	$(PY) -m uv pip install --quiet --python $(VENV)-lowest --resolution lowest-direct -e '.[dev,cluster,dashboard,notebooks]'
	$(if $(DATA),KERASCIFAR_DATA="$$DATA") $(VENV)-lowest/bin/python -m pytest $(PARALLEL)

# The tests that need packages which nothing else needs. The import fails if one is missing, so that none is skipped.
# TORCH=cpu takes PyTorch from its own index, without 3 GB of CUDA; TORCH is uv's --torch-backend.
OPTIONAL := test_against_grad_cam.py test_against_quantus.py test_mlflow.py test_storage.py test_backends.py
test-all: $(READY)
	$(PY) -m uv venv --quiet --clear --python $(PY) $(VENV)-all
	$(PY) -m uv pip install --quiet --python $(VENV)-all $(if $(TORCH),--torch-backend $(TORCH)) \
	-e '.[dev,cluster,dashboard,notebooks,optional-tests]'
	$(VENV)-all/bin/python -c 'import torch, torchvision, pytorch_grad_cam, quantus, mlflow, moto.server, pyarrow, ray, jax'
	$(VENV)-all/bin/python -m pytest $(wildcard $(addprefix tests/*/,$(OPTIONAL)))

soak: $(READY)
	$(PY) tests/soak.py --kills $(or $(KILLS),500)
	$(PY) tests/soak_cluster.py --kills $(or $(KILLS),60)

bench: $(READY)
	$(if $(DATA),KERASCIFAR_DATA="$$DATA") $(PY) benchmarks/bench.py

docs: $(READY)
	$(PY) -m pdoc kerascifar.api kerascifar -d google -o site

setup: $(READY)
	@$(install_graphviz)
	@cat $(READY)

# Written last, so that an interrupted setup is repeated.
$(READY): requirements.txt pyproject.toml $(LOCKS)
	@rm -f $@
	@$(check_python)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@if nvidia-smi >/dev/null 2>&1 || [ -e /proc/driver/nvidia/version ]; \
	then lock=requirements-gpu.lock; size='about 5 GB, as there is an NVIDIA driver'; \
	else lock=requirements.lock; size='about 2 GB'; fi; \
	echo "Installing $$lock into $(VENV) ($$size). This takes a few minutes."; \
	$(PIP) install --require-hashes --only-binary :all: -r $$lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(if $(filter setup,$(MAKECMDGOALS)),,$(install_graphviz))
	@TF_CPP_MIN_LOG_LEVEL=3 $(PY) -c "$$WHAT_TENSORFLOW_SEES" >$@.new 2>$@.log || { cat $@.log; exit 1; }
	@rm $@.log; mv $@.new $@

PIP := $(PY) -m pip --quiet --disable-pip-version-check

define WHAT_TENSORFLOW_SEES
import platform
import tensorflow as tf
details = tf.config.experimental.get_device_details
gpus = [details(gpu).get("device_name", gpu.name) for gpu in tf.config.list_physical_devices("GPU")]
print(f"Ready. TensorFlow {tf.__version__} on Python {platform.python_version()} sees", ", ".join(gpus) or "no GPU: it uses the CPU.")
endef
export WHAT_TENSORFLOW_SEES

# $(call apt_install,PACKAGE): succeeds only if it installed the Debian package.
define apt_install
command -v apt-get >/dev/null && \
if [ "$$(id -u)" = 0 ]; then sudo=; else sudo -n true 2>/dev/null && sudo='sudo -n'; fi && \
echo "Installing the Debian package $(1)." && $$sudo apt-get update -qq >/dev/null && \
$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null
endef

define check_python
$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
echo "kerascifar needs Python 3.11, 3.12 or 3.13; $(PYTHON) --version says: $$($(PYTHON) --version 2>&1)"; \
echo 'Install one of them and choose it, for example: make setup PYTHON=python3.13'; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(call apt_install,$(DEBIAN_VENV)); } && \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
echo "$(PYTHON) lacks the modules for virtual environments. On Debian: apt-get install $(DEBIAN_VENV)"; \
echo '(python3.X-venv for a specific Python 3.X). Then run the same command again.'; exit 1; }
endef

define install_graphviz
command -v dot >/dev/null || { $(call apt_install,$(DEBIAN_GRAPHVIZ)); } || { \
echo "Graphviz's program 'dot' is missing. Architecture diagrams are omitted; everything else works. To install it:"; \
echo '  Debian   sudo apt-get install $(DEBIAN_GRAPHVIZ)'; \
echo '  macOS    brew install graphviz'; \
echo '  Windows  winget install graphviz   or   choco install graphviz'; }
endef

# The two lock files agree on the versions of their common packages.
lock: export UV_PYTHON_DOWNLOADS := never
lock: $(READY)
	$(LOCK) -o requirements.lock
	$(LOCK) --extra gpu --constraints requirements.lock -o requirements-gpu.lock

LOCK = $(PY) -m uv pip compile pyproject.toml --extra dev --extra cluster --extra dashboard --extra notebooks \
	--universal --python $(PY) --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --quiet $(if $(UPGRADE),--upgrade)

# pyproject.toml has the address; other files repeat it, so that their commands can be pasted.
ADDRESS   = $(shell sed -n 's/^Repository = "\([^"]*\)".*/\1/p' pyproject.toml)
ADDRESSED = pyproject.toml CITATION.cff README.md docs/install.md $(wildcard notebooks/*.ipynb)
address:
	@case '$(URL)' in https://?*) ;; *) echo 'Give an address: make address URL=https://example.org/kerascifar.git'; exit 2;; esac
	@for file in $(ADDRESSED); do sed 's|$(ADDRESS)|$(URL)|g' "$$file" >"$$file.new" && mv "$$file.new" "$$file"; done
	@echo 'The address is now $(URL), in: $(ADDRESSED)'

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-all build dist kerascifar.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis site
	find . \( -path ./.git -o -path ./runs \) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo 'Kept: runs/, report/, demo/, experiments/results/ and the data caches.'
