package web

import (
	"regexp"
	"strings"

	"berth/specs"
)

var (
	kindHeading = regexp.MustCompile("(?m)^## `([a-z-]+)`$")
	markdown    = regexp.MustCompile("\\*\\*|`|\\]\\([^)]*\\)|\\[")
)

// Kinds returns the explanation of each kind of violation, from specs/violations.md: its
// definition, the usual causes and the remedy, as plain paragraphs.
func Kinds() map[specs.Kind]string {
	all := make(map[specs.Kind]string)
	heads := kindHeading.FindAllStringSubmatchIndex(specs.ViolationsPage, -1)
	for i, head := range heads {
		end := len(specs.ViolationsPage)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		kind := specs.Kind(specs.ViolationsPage[head[2]:head[3]])
		all[kind] = explanation(specs.ViolationsPage[head[1]:end])
	}
	return all
}

// explanation returns the paragraphs of a section that a viewer needs.
func explanation(section string) string {
	var kept []string
	keeps := false
	for paragraph := range strings.SplitSeq(section, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if strings.HasPrefix(paragraph, "**") {
			keeps = false
			for _, head := range []string{"**Is.**", "**Means.**", "**What to do.**"} {
				keeps = keeps || strings.HasPrefix(paragraph, head)
			}
		}
		if strings.HasPrefix(paragraph, "#") {
			break
		}
		if keeps && paragraph != "" {
			kept = append(kept, strings.Join(strings.Fields(markdown.ReplaceAllString(paragraph, "")), " "))
		}
	}
	return strings.Join(kept, "\n\n")
}
