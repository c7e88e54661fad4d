package programs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// usesOfScripts returns the programs of the shell scripts and units in the tree, of the Makefile and
// of the pages in docs/engines.
func usesOfScripts(t *testing.T) []use {
	t.Helper()
	uses := slices.Concat(usesOfFiles(t), usesOfMakefile(t, readFile(t, filepath.Join(root, "Makefile"))))
	pages, err := filepath.Glob(filepath.Join(root, "docs/engines/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("docs/engines: %q, %v", pages, err)
	}
	block := regexp.MustCompile("(?ms)^<!-- run by test/docs -->\n```console\n(.*?)^```$")
	command := regexp.MustCompile(`(?m)^# (.*)$`)
	for _, page := range pages {
		for _, b := range block.FindAllStringSubmatch(readFile(t, page), -1) {
			for _, c := range command.FindAllStringSubmatch(b[1], -1) {
				uses = append(uses, usesOfShell(t, "test/docs", c[1])...)
			}
		}
	}
	generate := regexp.MustCompile(`(?m)^//go:generate .* -cc (\S+) -strip (\S+)`).FindStringSubmatch(readFile(t, filepath.Join(root, "bpf/doc.go")))
	if generate == nil {
		t.Fatal("bpf/doc.go: no compiler of the BPF programs")
	}
	for _, program := range generate[1:] {
		uses = append(uses, use{program, "scripts/generated.sh"})
	}
	return uses
}

// usesOfFiles returns the programs of every file of the tree that is a shell script or a unit.
func usesOfFiles(t *testing.T) (uses []use) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "dist", "testdata"}, d.Name()):
			return filepath.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(path) == ".go" || strings.HasSuffix(path, ".md"):
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case isShellScript(string(text)):
			uses = append(uses, usesOfShell(t, rel, string(text))...)
		case filepath.Ext(path) == ".service":
			uses = append(uses, usesOfUnit(t, rel, string(text))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

// execLine matches a line of a unit that runs a program (systemd.service(5)).
var execLine = regexp.MustCompile(`(?m)^Exec\w+=[-+@:!|]*(.+)`)

func usesOfUnit(t *testing.T, file, text string) (uses []use) {
	t.Helper()
	for _, line := range execLine.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		uses = append(uses, usesOfShell(t, file, line[1])...)
	}
	return uses
}

// rule matches the first line of a rule of the Makefile.
var rule = regexp.MustCompile(`^([\w%-]+):([^=]*)$`)

// usesOfMakefile returns the programs of the recipes and of $(shell …). The file of those of a
// recipe is "Makefile:" with the purposes for which the recipe, or a target that it needs, calls
// scripts/deps.sh.
func usesOfMakefile(t *testing.T, text string) (uses []use) {
	t.Helper()
	text = strings.NewReplacer("\\\n", " ", "$(GO)", "go").Replace(text)
	for _, call := range regexp.MustCompile(`\$\(shell ([^()]*)\)`).FindAllStringSubmatch(text, -1) {
		uses = append(uses, usesOfShell(t, "Makefile:", call[1])...)
	}
	recipes, needs := map[string][]string{}, map[string][]string{}
	target := ""
	for line := range strings.Lines(text) {
		if recipe, ok := strings.CutPrefix(line, "\t"); ok {
			recipes[target] = append(recipes[target], strings.TrimLeft(recipe, "@-+"))
		} else if m := rule.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			target = m[1]
			before, _, _ := strings.Cut(m[2], "##")
			needs[target] = strings.Fields(before)
		}
	}
	for target, lines := range recipes {
		file := "Makefile:" + strings.Join(purposesOfRecipe(recipes, slices.Concat([]string{target}, needs[target])), ",")
		for _, line := range lines {
			uses = append(uses, usesOfShell(t, file, shellOfRecipe(line))...)
		}
	}
	return uses
}

// purposesOfRecipe returns the purposes for which the recipes of some targets call scripts/deps.sh.
func purposesOfRecipe(recipes map[string][]string, targets []string) (purposes []string) {
	call := regexp.MustCompile(`scripts/deps\.sh (\w+)`)
	for _, target := range targets {
		for _, m := range call.FindAllStringSubmatch(strings.Join(recipes[target], ""), -1) {
			purposes = append(purposes, m[1])
		}
	}
	return purposes
}

// shellOfRecipe returns the text that make passes to the shell, with a word in place of each of
// make's variables and functions.
func shellOfRecipe(line string) string {
	const dollar = "\x00"
	line = strings.ReplaceAll(line, "$$", dollar)
	variable := regexp.MustCompile(`\$\([^()]*\)|\$[@<*^]`)
	for variable.MatchString(line) {
		line = variable.ReplaceAllString(line, unknownWord)
	}
	return strings.ReplaceAll(line, dollar, "$")
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
