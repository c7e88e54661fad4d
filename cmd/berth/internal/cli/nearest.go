package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// farthest is the maximum distance of a misspelt flag from the suggested one; cobra has the
// same for commands.
const farthest = 2

// unknownFlag returns an error that suggests the nearest flag to a misspelt one.
func unknownFlag(cmd *cobra.Command, name string) error {
	nearest, least := "", farthest+1
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		d := editDistance(name, f.Name)
		if d >= len(name) {
			return // nothing in common
		}
		if len(name) > farthest && strings.HasPrefix(f.Name, name) {
			d = min(d, farthest)
		}
		if d < least {
			nearest, least = f.Name, d
		}
	})
	if nearest == "" {
		return fmt.Errorf("unknown flag --%s", name)
	}
	return fmt.Errorf("unknown flag --%s; did you mean --%s?", name, nearest)
}

// editDistance returns the number of bytes to insert, delete or change to turn a into b
// (Levenshtein's).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
