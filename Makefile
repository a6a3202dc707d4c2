# The two commands are `make demo` and `make test`; the rest is what they are made of.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
HAIRPIN := target/release/hairpin

.PHONY: help setup build demo test lint check-fmt clippy unit configs deny unit-file shell training-tests test-device test-openvino test-mlserver test-gpu browser screenshots bench bench-device soak soak-device model models networks locator locator-int8 widths fmt features

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

setup: ## fetch what is missing: Debian packages, the ONNX Runtime library
	@scripts/setup

build: setup ## the release binary
	cargo build --release --locked

demo: build ## an exam of eight fingers on the simulated microscope
	$(HAIRPIN) run --config config/demo.toml --view

test: setup browser lint unit configs unit-file shell training-tests test-device ## everything that must pass

lint: check-fmt clippy features deny ## form, lints, licences

check-fmt:
	cargo fmt --check

clippy: setup
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

features:
	@if ldconfig -p | grep -Eq 'libclang(-[0-9.]+)?\.so'; then cargo clippy --locked --lib --features nokhwa -- -D warnings; \
	else echo "skipped: the feature nokhwa needs libclang (libclang-dev)"; fi

unit: setup
	cargo test --locked

browser:
	@scripts/browser

screenshots: setup browser ## pictures of the page's states, into target/screenshots; needs chromium and chromium-driver
	HAIRPIN_SCREENSHOTS=$(CURDIR)/target/screenshots cargo test --locked --test web -- --test-threads 1

configs: setup ## every configuration that ships passes its own check
	# The binary that the tests bring with them; `cargo run` would build another.
	cargo test --locked --quiet --no-run
	for file in config/*.toml; do target/debug/hairpin check --config "$$file"; done

deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check licenses bans sources; \
	else echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; fi

unit-file:
	@if command -v systemd-analyze >/dev/null; then \
	  systemd-analyze security --offline=yes --threshold=20 systemd/hairpin.service | tail -n 1; \
	else echo "skipped: systemd-analyze is not installed"; fi

shell:
	@if command -v shellcheck >/dev/null; then shellcheck tests/rig/run tests/rig/build-guest tests/rig/guest-run tests/rig/guest/* scripts/openvino scripts/mlserver; \
	else echo "skipped: shellcheck is not installed"; fi

training-tests:
	@scripts/training-tests

test-device: setup ## the same service against a real uvcvideo driver, in a small guest
	tests/rig/run suite

test-openvino: setup ## the OpenVINO build of ONNX Runtime, fetched where it is missing (84 MB)
	scripts/openvino
	cargo test --locked --test openvino -- --nocapture

test-mlserver: setup ## the same models in a real MLServer, fetched where it is missing (500 MB)
	scripts/mlserver
	cargo test --locked --test mlserver -- --nocapture

test-gpu: setup ## CUDA and TensorRT, with the library that HAIRPIN_ORT_GPU names (docs/gpu.md)
	cargo test --locked --test gpu -- --nocapture

bench: build ## speed, side by side with what one would use instead
	benches/run

bench-device: setup ## what a camera costs, beside v4l2-ctl and ustreamer, in the guest
	tests/rig/run figures

soak-device: setup ## thirty minutes in the guest, the cable pulled once a minute
	tests/rig/run soak 30

soak: build ## thirty minutes at 30 frames/s, memory watched
	benches/soak

model: build ## draw the cohort and train the shipped model again
	models/training/make-model

models: build ## draw the cohort, compare the classical models on it and make those that ship
	models/training/make-models

networks: build ## train the five networks on the same cohort: minutes on a GPU, many hours on two cores
	# One whose 8 bits are refused keeps no other from being made.
	failed=; for network in densenet121 vgg16 resnet18 vit_small mobilenetv4_small; do models/training/make-network $$network --epochs 40 || failed="$$failed $$network"; done; \
	if [ -n "$$failed" ]; then echo "not made, or not in 8 bits:$$failed"; exit 1; fi

locator: build ## draw the pictures and train the network that finds loops again
	models/training/make-locator

widths: build ## the network that says how wide loops are again, into its finished bundle
	models/training/make-widths

locator-int8: build ## the same network in 8 bits, from its finished bundle
	models/training/make-locator-int8

fmt: ## rewrite the sources in the project's form
	cargo fmt
