package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// riddles match English that needs two readings: clauses in place of terms, and
// people in place of programs (CONTRIBUTING.md, "English").
var riddles = regexp.MustCompile(`(?i)\bwhat (is|it|was|has|are)\b|\bof before\b|\bof now\b|\bthat is there\b|\b(nobody|somebody)\b`)

// exceptions are texts that may match riddles.
var exceptions = []struct{ file, text, reason string }{
	{"test/vm/initramfs.go", "nobody:x:65534:65534:nobody", "the user of that name"},
}

// TestComments checks the comments of Go, of the BPF programs, of scripts and of the
// configuration in deploy.
func TestComments(t *testing.T) {
	t.Parallel()
	for _, all := range [][]remark{goComments(t), cComments(t), shellComments(t)} {
		checkEnglish(t, all)
	}
}

// TestTexts checks the errors, help texts and messages of the programs.
func TestTexts(t *testing.T) {
	t.Parallel()
	checkEnglish(t, goTexts(t))
}

// code matches the blocks and spans that a Markdown page quotes, and the comments that tell
// test/docs how to run them.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|<!--.*?-->")

// TestPages checks the Markdown pages: their sentences, not their headings, which
// may be questions.
func TestPages(t *testing.T) {
	t.Parallel()
	var all []remark
	eachFile(t, func(path, text string) {
		for paragraph := range strings.SplitSeq(code.ReplaceAllString(text, ""), "\n\n") {
			if !strings.HasPrefix(strings.TrimSpace(paragraph), "#") {
				all = append(all, remark{path, paragraph})
			}
		}
	}, ".md")
	checkEnglish(t, all)
}

// TestHelpTexts checks the golden help texts of the commands and programs.
func TestHelpTexts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../cmd/*/internal/cli/testdata/help/*.txt")
	others, err2 := filepath.Glob("../deploy/testdata/help/*.txt")
	if err != nil || err2 != nil || len(others) == 0 {
		t.Fatal(err, err2, others)
	}
	paths = append(paths, others...)
	var all []remark
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, remark{path, string(text)})
	}
	checkEnglish(t, all)
}

// checkEnglish fails the test for each remark with a riddle.
func checkEnglish(t *testing.T, all []remark) {
	t.Helper()
	if len(all) == 0 {
		t.Error("found no text to check")
	}
	for _, r := range all {
		text := strings.Join(strings.Fields(r.text), " ")
		for _, e := range exceptions {
			if strings.HasPrefix(r.place, e.file) {
				text = strings.ReplaceAll(text, e.text, e.reason)
			}
		}
		for _, found := range riddles.FindAllStringIndex(text, -1) {
			around := text[max(0, found[0]-50):min(len(text), found[1]+50)]
			t.Errorf("%s: %q: want a subject, a verb and a term (CONTRIBUTING.md, English)", r.place, around)
		}
	}
}

// figures are limits of words in comments, per 10,000 words. "what" and "where" are
// counted in every use, so the figures are upper bounds of "what …" used as a noun and of
// "where …" used for "if".
var figures = []struct {
	word        string
	least, most float64
}{
	{"what", 0, 5},
	{"where", 0, 5},
	{"who", 0, 5},
	{"says", 0, 5},
	{"tells", 0, 5},
	{"told", 0, 5},
	{"if", 60, 10_000},
}

// wordCounts returns the number of words in texts, and of each of the words of figures.
func wordCounts(texts []remark) (total int, of map[string]int) {
	of = map[string]int{}
	for _, r := range texts {
		for _, word := range strings.Fields(strings.ToLower(r.text)) {
			total++
			of[strings.Trim(word, ".,:;()")]++
		}
	}
	return total, of
}

// fewWords is the number of words below which a language has too few for figures of its own: a
// word that occurs five times in them is not frequent yet, and "if" need not occur.
const fewWords = 10_000

// heading matches the headings of Markdown, and "What to do", which is one within a section.
var heading = regexp.MustCompile(`(?m)^#.*$|\*\*What to do\*?\*?`)

// perTenThousand returns how often a word occurs per 10,000 words.
func perTenThousand(count, total int) float64 { return float64(count) * 10_000 / float64(total) }

// TestProseFigures measures the comments of the whole project and of each language, and the
// pages. With -v it prints the figures.
func TestProseFigures(t *testing.T) {
	t.Parallel()
	var pages []remark
	eachFile(t, func(path, text string) {
		pages = append(pages, remark{path, heading.ReplaceAllString(code.ReplaceAllString(text, ""), "")})
	}, ".md")
	goText, cText, shellText := goComments(t), cComments(t), shellComments(t)
	comments := slices.Concat(goText, cText, shellText)
	for _, one := range []struct {
		name  string
		texts []remark
	}{{"comments", comments}, {"Go", goText}, {"C", cText}, {"shell", shellText}, {"Markdown", pages}} {
		total, counts := wordCounts(one.texts)
		line := fmt.Sprintf("%-8s %6d words; per 10,000:", one.name, total)
		for _, f := range figures {
			per := perTenThousand(counts[f.word], total)
			line += fmt.Sprintf(" %s %.1f", f.word, per)
			most := perTenThousand(counts[f.word], max(total, fewWords))
			if most > f.most || per < f.least && total >= fewWords {
				t.Errorf("%s: %q: %.1f per 10,000 words, want %g to %g", one.name, f.word, per, f.least, f.most)
			}
		}
		t.Log(line)
	}
}
