package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const securityPage = "../../docs/security.md"

// TestSecurityPageNamesTests checks that every test function that the threat
// model names is a link to the file that declares it.
func TestSecurityPageNamesTests(t *testing.T) {
	text, err := os.ReadFile(securityPage)
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\[((?:Test|Fuzz)[A-Z]\w*)\]\(([^)]+_test\.go)\)`)
	links := link.FindAllStringSubmatch(string(text), -1)
	if len(links) < 50 {
		t.Errorf("%d links to tests, want at least 50: the pattern does not match the page", len(links))
	}
	for _, m := range links {
		source, err := os.ReadFile(filepath.Join(filepath.Dir(securityPage), m[2]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
		} else if !strings.Contains(string(source), "\nfunc "+m[1]+"(") {
			t.Errorf("%s does not declare %s", m[2], m[1])
		}
	}
	bare := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	for _, name := range bare.FindAllString(link.ReplaceAllString(string(text), ""), -1) {
		t.Errorf("%s is no link to the file that declares it", name)
	}
}
