# Personaweave. Go and gcc are all it needs; the model is in the repository.
GO ?= go
export CGO_ENABLED := 1

.PHONY: play test lint bench golden demo train build clean

play: build ## build weave and open the library
	@./bin/weave

build: bin/weave

bin/weave: FORCE
	@mkdir -p bin
	@$(GO) build -o bin/weave ./cmd/weave

FORCE:

test: ## every test, without network
	$(GO) test -vet=off ./...

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l cmd engine saves stories tui)" || { gofmt -l cmd engine saves stories tui; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

bench: build ## Go benchmarks of kernels, decoding, retrieval and drawing, then the whole program
	$(GO) test -run '^$$' -bench . -benchtime 0.5s ./engine/kernel ./engine/seq2seq ./engine/persona ./saves ./stories ./tui
	./bin/weave bench

golden: ## draw the golden screens again; read the difference before you commit it
	$(GO) test ./tui -update

demo: build ## record the real screen into an SVG for the README
	./cmd/weave/demo/record.sh ./bin/weave cmd/weave/demo/screen.svg

train: ## tune the adapter with the PyTorch twin (see README, "Training")
	python3 engine/seq2seq/twin/train.py --help

clean:
	rm -rf bin
