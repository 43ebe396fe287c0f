package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/personaweave/personaweave/engine"
	"github.com/personaweave/personaweave/engine/eval"
)

func (a *app) evalReadingCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "reading FILE", Short: "Sum up what readers marked in replies", Args: argCount(1, 1, "FILE"),
		Long: `Each line of the file is a reply and its readers' marks, as JSON:
{"persona", "you", "text", "source", "marks": [{"fluent", "topic", "voice", "contradicts"}, …]}.
` + "`weave eval cast --out FILE`" + ` writes replies; readers should not see the source. The shares come with 95 % intervals over replies
(bootstrap), kappa is how far the first two readers agree beyond chance.`,
		Example: "  weave eval reading engine/eval/testdata/reading.jsonl",
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return &engine.Error{Code: engine.NotFound, Message: fmt.Sprintf("cannot read the reading: %v", err), Hint: "give a file of marked replies; see --help"}
			}
			defer f.Close()
			var all []eval.Read
			s := bufio.NewScanner(f)
			s.Buffer(nil, 1<<20)
			for line := 1; s.Scan(); line++ {
				if strings.TrimSpace(s.Text()) == "" {
					continue
				}
				var r eval.Read
				if err := json.Unmarshal(s.Bytes(), &r); err != nil || len(r.Marks) == 0 || r.Source == "" {
					return &engine.Error{Code: engine.Invalid, Message: fmt.Sprintf("%s:%d: not a marked reply", args[0], line), Hint: "each line needs a source and marks; see --help"}
				}
				all = append(all, r)
			}
			if err := s.Err(); err != nil {
				return err
			}
			out, err := eval.ReadingOf(all, 1)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.out).Encode(out)
			}
			return eval.WriteReading(a.out, out)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
