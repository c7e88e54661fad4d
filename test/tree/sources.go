package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A source is one entry of apt's sources in either format: sources.list(5).
type source struct {
	uris, suites, components []string
	signedBy                 []string // paths or fingerprints; the text of a key as one element
	trusted                  bool     // signatures are not checked
}

// machineSources returns the enabled binary sources of a root directory.
func machineSources(root string) ([]source, error) {
	files := []string{filepath.Join(root, "etc/apt/sources.list")}
	more, err := filepath.Glob(filepath.Join(root, "etc/apt/sources.list.d/*"))
	if err != nil {
		return nil, err
	}
	var all []source
	for _, name := range append(files, more...) {
		parse := map[string]func(string) []source{".list": parseLines, ".sources": parseStanzas}[filepath.Ext(name)]
		if parse == nil {
			continue // apt also ignores other names
		}
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read apt's sources: %w", err)
		}
		all = append(all, parse(string(text))...)
	}
	return all, nil
}

// parseLines parses the one-line format:
//
//	deb [ signed-by=/key.gpg trusted=yes ] URI SUITE COMPONENT…
func parseLines(text string) []source {
	var all []source
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || strings.TrimLeft(rest, " \t") == rest {
			continue
		}
		var s source
		rest = strings.TrimSpace(rest)
		if options, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(rest, "[") {
			s.option(strings.Fields(options[1:]))
			rest = after
		}
		if fields := strings.Fields(rest); len(fields) > 2 {
			s.uris, s.suites, s.components = fields[:1], fields[1:2], fields[2:]
			all = append(all, s)
		}
	}
	return all
}

func (s *source) option(options []string) {
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "signed-by":
			s.signedBy = strings.Split(value, ",")
		case "trusted":
			s.trusted = value == "yes"
		}
	}
}

// parseStanzas parses the deb822 format: stanzas of "Field: value", with
// continued lines that begin with a space.
func parseStanzas(text string) []source {
	var all []source
	stanza := map[string]string{}
	field := ""
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			all = append(all, sourceOf(stanza)...)
			stanza, field = map[string]string{}, ""
		case line[0] == ' ' || line[0] == '\t':
			stanza[field] += "\n" + strings.TrimSpace(line)
		default:
			name, value, _ := strings.Cut(line, ":")
			field = strings.ToLower(name)
			stanza[field] = strings.TrimSpace(value)
		}
	}
	return all
}

// sourceOf returns the source of a stanza, or none if it is disabled or has only
// source packages.
func sourceOf(stanza map[string]string) []source {
	off := strings.EqualFold(stanza["enabled"], "no") || strings.EqualFold(stanza["enabled"], "false")
	if off || !slices.Contains(strings.Fields(stanza["types"]), "deb") {
		return nil
	}
	s := source{
		uris: strings.Fields(stanza["uris"]), suites: strings.Fields(stanza["suites"]),
		components: strings.Fields(stanza["components"]), trusted: stanza["trusted"] == "yes",
	}
	if key := stanza["signed-by"]; strings.Contains(key, "BEGIN PGP") {
		s.signedBy = []string{strings.ReplaceAll(strings.TrimSpace(key), "\n.\n", "\n\n")}
	} else {
		s.signedBy = strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
	}
	return []source{s}
}

// debianSuites are the suite names in sources of Debian's own archive.
var debianSuites = []string{
	"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// archives returns the sources of Debian's main archive, and those of its
// security archive.
func archives(all []source) (main, security []source) {
	for _, s := range all {
		if !slices.Contains(s.components, "main") {
			continue
		}
		switch {
		case slices.ContainsFunc(s.suites, func(suite string) bool { return slices.Contains(debianSuites, suite) }):
			main = append(main, s)
		case slices.ContainsFunc(s.suites, func(suite string) bool {
			base, ok := strings.CutSuffix(strings.ReplaceAll(suite, "/updates", "-security"), "-security")
			return ok && slices.Contains(debianSuites, base)
		}):
			security = append(security, s)
		}
	}
	return main, security
}
