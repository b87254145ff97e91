package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// addOutput gives cmd the flag of its output's format.
func addOutput(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "table", "`FORMAT` of the output: table or json")
}

func checkOutput(format string) error {
	if format != "table" && format != "json" {
		return exit(exitUsage, fmt.Errorf("--output %q: use table or json", format))
	}
	return nil
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
