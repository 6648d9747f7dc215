# Kvittera. `make help` lists what can be done; nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
LANES  ?= 2
FROM   ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes of ours: each would compile all our modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-faults test-api test-deaths test-deaths-counting test-replay test-properties test-upgrade test-containers test-compose test-cluster lint bench bench-peers bench-scaling simulate-scale docs site reference schemas pictures trace likenesses mail dashboards kafka-lock lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv is quicker and is used when it is there; plain venv and pip do the same work.
define install
	@$(PYTHON) -c 'import sys; sys.exit("Kvittera needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)") if sys.version_info < (3, 11) else None'
	@echo "installing $(1) into $(VENV): takes about a minute (first run only; again when the lock changes)"
	@told=0; while sleep 10 >/dev/null 2>&1 && kill -0 $$$$ 2>/dev/null; do \
	  told=$$((told + 10)); echo "  still downloading and unpacking packages ($$told s)"; done & ticker=$$!; \
	trap "kill $$ticker 2>/dev/null" EXIT; \
	if command -v uv >/dev/null 2>&1; then \
	  { [ -x $(BIN)/python ] || uv venv -q --seed --python $(PYTHON) $(VENV); } && \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r $(1) && \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --no-build-isolation -e . ; \
	else \
	  { [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); } && \
	  $(BIN)/python -m pip install -q --require-hashes -r $(1) && \
	  $(BIN)/python -m pip install -q --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@
endef

$(VENV)/.run-ready: requirements.lock pyproject.toml
	$(call install,requirements.lock)

$(VENV)/.dev-ready: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $(VENV)/.run-ready

demo: $(VENV)/.run-ready ## start everything on this machine and one page to watch it (ARGS="--rate 50")
	@$(BIN)/kvittera demo $(ARGS)

test: $(VENV)/.dev-ready ## prove that nothing is lost and nothing counted twice (all tests; LANES=1 for one after another)
	@$(BIN)/python -m services.embedded.jars fetch
	@$(BIN)/python -m pytest -n $(LANES) $(ARGS)

test-fast: $(VENV)/.dev-ready ## unit and contract tests only, no servers
	@$(BIN)/python -m pytest tests/unit tests/contract $(ARGS)

test-faults: $(VENV)/.dev-ready ## only the fault tests: kill, stop, cut off and poison every part, and look at every counter five times a second
	@FAULT_LOOKS=5 LONG_CUTS=1 $(BIN)/python -m pytest tests/faults tests/integration/test_counter_storms.py tests/integration/test_known_server.py \
	  tests/integration/test_postgres_cut_off.py tests/integration/test_kafka_forgotten.py -rP $(ARGS)

test-containers: $(VENV)/.dev-ready ## the integration tests on containers of the official images (needs Docker)
	@$(BIN)/python -m pytest tests/integration --servers containers --ignore tests/integration/test_embedded_postgres.py \
	  --ignore tests/integration/test_embedded_servers.py --ignore tests/integration/test_child_processes.py $(ARGS)

test-compose: $(VENV)/.dev-ready ## docker-compose.yml really run, killed and proven (needs Docker)
	@$(BIN)/python -m pytest tests/compose --servers containers $(ARGS)

test-cluster: $(VENV)/.dev-ready ## the chart really installed, killed, upgraded and proven (TEST_CLUSTER names kubectl's context)
	@$(BIN)/python -m pytest tests/cluster $(ARGS)

test-api: $(VENV)/.dev-ready ## let schemathesis draw 12,000 cases from the OpenAPI document, and 9,400 more: no 5xx, no undocumented answer
	@API_CASES=12000 API_DRAWN=9400 $(BIN)/python -m pytest -n $(LANES) -v tests/integration/test_api_any_input.py \
	  tests/integration/test_api_drawn.py $(ARGS)

test-deaths: $(VENV)/.dev-ready ## end 1,000 senders by kill -9 at random moments, and 50 at each point of a send (minutes)
	@KILLS=1000 CRASHES=50 $(BIN)/python -m pytest tests/integration/test_random_deaths.py \
	  tests/integration/test_crash_points.py -s $(ARGS)

test-deaths-counting: $(VENV)/.dev-ready ## end 1,000 counters by kill -9, 50 at each statement of a batch, 200 without memory, and shuffle 10,000 events (minutes)
	@COUNTING_KILLS=1000 COUNTING_DEATHS=50 COUNTING_STARVED=200 PERMUTED_EVENTS=10000 $(BIN)/python -m pytest -s \
	  --timeout 3600 tests/integration/test_killed_counters.py tests/integration/test_counting_deaths.py \
	  tests/integration/test_scarce_resources.py \
	  tests/integration/test_counting_order.py::test_a_random_permutation_of_many_events_gives_identical_tables $(ARGS)

test-replay: $(VENV)/.dev-ready ## replay all 10,999 rows of a public file of deliveries, in ../shared/data (minutes)
	@REPLAY_ROWS=10999 $(BIN)/python -m pytest tests/e2e/test_replay.py -k larger --timeout 3600 $(ARGS)

test-properties: $(VENV)/.dev-ready ## draw 1,000,000 schedules over all zones and decide 1,000,000 times: no quiet hours, caps or consent broken (minutes)
	@DRAW_ANEW=1 SCHEDULES=1000000 $(BIN)/python -m pytest tests/unit/test_schedule.py tests/unit/test_drawn_persons.py -k "all_zones or caps" --timeout 3600 $(ARGS)

test-upgrade: $(VENV)/.dev-ready ## upgrade from an older commit under load, run both beside each other, and go back (FROM=v1.2)
	@[ -n "$(FROM)" ] || { echo "say from what: make test-upgrade FROM=<tag or commit>"; exit 2; }
	@UPGRADE_FROM="$(FROM)" $(BIN)/python -m pytest tests/faults/test_upgrade.py -rP $(ARGS)

lint: $(VENV)/.dev-ready ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/.dev-ready ## measure answers, counted events and sent messages a second
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: $(VENV)/.dev-ready ## count beside ours on Kafka Streams, Quix, Faust and a plain program (needs Java and Maven)
	@$(BIN)/python -m tests.benchmarks.peers $(ARGS)

bench-scaling: $(VENV)/.dev-ready ## measure what an event takes 1, 2 and 4 aggregators and notifiers with as many partitions
	@$(BIN)/python -m tests.benchmarks.scaling $(ARGS)

simulate-scale: $(VENV)/.dev-ready ## run the busiest hour of 10^9 deliveries a year for minutes, beside the arithmetic of docs/scale.md
	@$(BIN)/python -m tests.benchmarks.peak_hour $(ARGS)

docs: pictures trace ## draw the pictures of the documents again from the real pages, then build the site (needs Chromium; minutes)
	@$(MAKE) --no-print-directory site

site: $(VENV)/.dev-ready ## build the documentation site into site/ with the pictures as they are, without a network
	@$(BIN)/zensical build --clean --strict

reference: $(VENV)/.run-ready ## write the page of all commands again (docs/reference/cli.md)
	@$(BIN)/python -m services.cli.reference

schemas: $(VENV)/.run-ready ## write the generated contract files again (schemas/json, asyncapi.yaml)
	@$(BIN)/python -m services schemas write

mail: $(VENV)/.dev-ready ## compile the HTML of the mail again from services/notifier/mail/invitation.mjml
	@$(BIN)/python -m services.notifier.mail

pictures: $(VENV)/.dev-ready ## draw the pictures of the pages in docs/images again, one from a running demo (needs Chromium)
	@$(BIN)/python -m tests.pictures
	@$(BIN)/python -m tests.demo_picture

trace: $(VENV)/.dev-ready ## draw one real trace again (docs/images/trace.svg; runs a short demo)
	@$(BIN)/python -m tests.trace_picture

likenesses: $(VENV)/.dev-ready ## draw the pictures that tests compare pages with again (tests/browser/pictures; needs Chromium)
	@KEEP_PICTURES=1 $(BIN)/python -m pytest -q tests/browser -k looks_like_its_picture

dashboards: $(VENV)/.run-ready ## write the Grafana dashboards again (deploy/grafana/dashboards)
	@$(BIN)/python deploy/grafana/generate.py

kafka-lock: $(VENV)/.run-ready ## make deploy/kafka/jars.lock again from deploy/kafka/pom.xml (needs Maven)
	@$(BIN)/python -m services.embedded.jars lock

lock: $(VENV)/.dev-ready ## resolve the Python locks again (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build pyproject.toml -o requirements-image.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build --extra embedded pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev --extra embedded pyproject.toml -o requirements-dev.lock

clean: ## remove the virtual environment, the demo's data and caches
	rm -rf $(VENV) .kvittera .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
