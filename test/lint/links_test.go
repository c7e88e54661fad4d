package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var (
	pageLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	ruleMeaning = regexp.MustCompile(`(?m)^ +meaning: (\S+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// anchorsOf returns the anchors of a page's headings, as GitHub forms them.
func anchorsOf(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(fence.ReplaceAllString(text, "")) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			anchor := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all[strings.ReplaceAll(anchor, " ", "-")] = true
		}
	}
	return all
}

// fence matches the blocks of code of a page.
var fence = regexp.MustCompile("(?s)```.*?```")

// checkLink fails the test if the target, relative to a directory below root, is no file or
// has no such heading.
func checkLink(t *testing.T, from, dir, target string) {
	t.Helper()
	if strings.Contains(target, "://") {
		return
	}
	path, anchor, _ := strings.Cut(target, "#")
	file := filepath.Join(root, from)
	if path != "" {
		file = filepath.Join(root, dir, path)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s: link to %q: %v", from, target, err)
		return
	}
	if anchor == "" || !strings.HasSuffix(file, ".md") {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !anchorsOf(string(text))[anchor] {
		t.Errorf("%s: link to %q: no such heading", from, target)
	}
}

// TestLinks checks that every link of a page, and the page that an alert names, leads to an
// existing file and heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	links := 0
	eachFile(t, func(path, text string) {
		for _, m := range pageLink.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			checkLink(t, path, filepath.Dir(path), m[1])
			links++
		}
	}, ".md")
	const rules = "deploy/prometheus/berth-rules.yml"
	text, err := os.ReadFile(filepath.Join(root, rules))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ruleMeaning.FindAllStringSubmatch(string(text), -1) {
		checkLink(t, rules, "", m[1])
		links++
	}
	if links < 200 {
		t.Errorf("%d links, want at least 200", links)
	}
}

// TestAlertsNameEvidence checks that every alert has a command that shows the evidence, and a
// page that explains it.
func TestAlertsNameEvidence(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/berth-rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := strings.Split(string(text), "- alert: ")[1:]
	for _, a := range alerts {
		if !strings.Contains(a, " evidence: ") || !ruleMeaning.MatchString(a) {
			t.Errorf("alert %s has no evidence or no meaning", strings.Fields(a)[0])
		}
	}
	if len(alerts) < 20 {
		t.Errorf("%d alerts, want at least 20", len(alerts))
	}
}

// TestPagesBegin checks that each page of docs and specs first states what the reader can do
// after it, and that the map in README.md leads to it.
func TestPagesBegin(t *testing.T) {
	t.Parallel()
	maps := map[string]string{"docs": "README.md", "specs": "README.md", "docs/engines": "docs/engines/README.md"}
	checked := 0
	eachFile(t, func(path, text string) {
		index := maps[filepath.Dir(path)]
		if index == "" {
			return
		}
		checked++
		_, body, _ := strings.Cut(text, "\n\n")
		if !strings.HasPrefix(body, "After this page you ") {
			t.Errorf("%s: want the first sentence to begin with %q", path, "After this page you ")
		}
		if path == index {
			return
		}
		page, err := os.ReadFile(filepath.Join(root, index))
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(filepath.Dir(index), path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "("+name+")") {
			t.Errorf("%s: %s does not lead to it", path, index)
		}
	}, ".md")
	if checked < 25 {
		t.Errorf("%d pages, want at least 25", checked)
	}
}
