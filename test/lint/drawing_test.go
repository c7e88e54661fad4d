package lint

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// undrawn are the rooms that the first drawing of docs/ARCHITECTURE.md leaves out: foundations that
// any room may import, and tests.
var undrawn = []string{"early", "onestack", "digest", "plain", "random", "text", "rates", "regular", "engineversion", "test", "testnet"}

// graph has the rooms that each room imports.
type graph map[string]map[string]bool

func (g graph) add(from, to string) {
	if g[from] == nil {
		g[from] = map[string]bool{}
	}
	g[from][to] = true
}

// below returns the rooms to which arrows lead from a room, over others too.
func (g graph) below(room string) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(at string) {
		for next := range g[at] {
			if !seen[next] {
				seen[next] = true
				visit(next)
			}
		}
	}
	visit(room)
	return seen
}

// roomOf returns the room of a package, without "internal".
func roomOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, module+"/"), "/")
	if parts[0] == "internal" {
		return parts[1]
	}
	return parts[0]
}

// importedRooms returns the imports between rooms.
func importedRooms(t *testing.T) graph {
	t.Helper()
	real := graph{}
	for _, p := range listPackages(t, "./...") {
		for _, imported := range p.Imports {
			from, to := roomOf(p.ImportPath), roomOf(imported)
			if strings.HasPrefix(imported, module+"/") && from != to && !slices.Contains(undrawn, from) && !slices.Contains(undrawn, to) {
				real.add(from, to)
			}
		}
	}
	return real
}

// drawnRooms returns the arrows of the first drawing.
func drawnRooms(t *testing.T) graph {
	t.Helper()
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, drawing, _ := strings.Cut(string(text), "```mermaid\n")
	drawing, _, _ = strings.Cut(drawing, "```")
	drawn := graph{}
	for line := range strings.Lines(regexp.MustCompile(`-- [^>\n]+ -->`).ReplaceAllString(drawing, "-->")) {
		groups := strings.Split(line, "-->")
		for i := range groups[1:] {
			for from := range strings.SplitSeq(groups[i], "&") {
				for to := range strings.SplitSeq(groups[i+1], "&") {
					drawn.add(strings.TrimSpace(from), strings.TrimSpace(to))
				}
			}
		}
	}
	return drawn
}

// TestDrawingIsTheImports requires that the drawing of the rooms has an arrow, or arrows over other
// rooms, for each import, and that each of its arrows is an import.
func TestDrawingIsTheImports(t *testing.T) {
	t.Parallel()
	real, drawn := importedRooms(t), drawnRooms(t)
	if len(real) < 10 || len(drawn) < 10 {
		t.Fatalf("%d rooms import others, and %d are drawn", len(real), len(drawn))
	}
	for _, from := range slices.Sorted(maps.Keys(real)) {
		for _, to := range slices.Sorted(maps.Keys(real[from])) {
			if !drawn.below(from)[to] {
				t.Errorf("%s imports %s, and docs/ARCHITECTURE.md draws no way", from, to)
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(drawn)) {
		for _, to := range slices.Sorted(maps.Keys(drawn[from])) {
			if !real[from][to] {
				t.Errorf("docs/ARCHITECTURE.md draws an arrow from %s to %s, which is no import", from, to)
			}
		}
	}
}
