# make          builds the program
# make check    is what has to pass before a commit
#
# Building and testing need Go alone. "make servers" installs, on Debian, the servers and
# tools that some tests speak to, and that are named at the end of "make test" if missing.

GO = go
FUZZTIME = 1m
TARGETS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 freebsd/amd64 freebsd/arm64 \
	openbsd/amd64 openbsd/arm64 windows/amd64 windows/arm64
VET = linux darwin freebsd openbsd windows
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build test fuzz lint vuln cross bench check servers clean

# Without what is not needed and would cost at each start: the documents that the command-line library
# could write, and HTTP/2, in which nothing is fetched. internal/bench builds with the same.
TAGS = urfave_cli_no_docs,nethttpomithttp2

build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) .

# The race detector needs a C compiler on most systems; "go list" fails where it can't be had.
test:
	@race=-race; \
	$(GO) list $$race runtime >/dev/null 2>&1 || race=; \
	status=0; \
	echo "$(GO) test $$race ./..."; \
	$(GO) test $$race ./... || status=1; \
	$(GO) test $$race -count=1 -v -run '^TestInstalled$$' ./internal/realserver | sed -n 's/.*: \(not tried\)/\1/p'; \
	test -n "$$race" || echo "not tried: the race detector ($(GO) wants a C compiler for it)"; \
	exit $$status

# Each fuzz target in turn, for FUZZTIME. At the end of that Go's fuzzer at times calls its own
# deadline a failure; a real one comes with the input that brings it about.
fuzz:
	@out=$$(mktemp) && trap 'rm -f "$$out"' EXIT && \
	for package in $$($(GO) list ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$package) || exit 1; \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package 2>&1 | tee "$$out"; \
			grep -q '^ok' "$$out" && continue; \
			grep -q '^ *context deadline exceeded' "$$out" && ! grep -q 'Failing input' "$$out" || exit 1; \
		done; \
	done

lint:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) && \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" $$unformatted; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@if command -v mandoc >/dev/null; then \
		for page in man/*.1; do \
			echo "mandoc -Tlint $$page"; \
			! mandoc -Tlint "$$page" | grep -v 'referenced manual not found' || exit 1; \
		done; \
	else \
		echo "not tried: mandoc -Tlint (mandoc is not installed)"; \
		test "$$CI" != true; \
	fi

# An unreachable database is no fault of the code.
vuln:
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1) && status=0 || status=1; \
	echo "$$out"; \
	case "$$out" in *"govulncheck: fetching vulnerabilities"*) \
		echo "not tried: known vulnerabilities (their database can't be reached)"; status=0;; \
	esac; \
	exit $$status

# The program for each of TARGETS; and go vet once a system of VET, so that its tests compile.
cross:
	@vetted=; \
	for target in $(TARGETS); do \
		echo "$$target"; \
		export CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/}; \
		$(GO) build -tags $(TAGS) -o /dev/null . || exit 1; \
		case " $(VET) " in *" $$GOOS "*) ;; *) continue;; esac; \
		case "$$vetted" in *" $$GOOS "*) continue;; esac; \
		$(GO) vet ./... || exit 1; \
		vetted="$$vetted $$GOOS "; \
	done

# The tables for docs/performance.md, and its plot.
bench:
	$(GO) run ./internal/bench --plot docs/performance.svg

check: lint test cross

servers:
	sh internal/realserver/install.sh
	$(GO) clean -testcache

clean:
	$(GO) clean
	rm -rf .bin
