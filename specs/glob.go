package specs

import "path"

// matchAny reports whether one of the globs (in path.Match's syntax) matches.
func matchAny(globs []string, name string) bool {
	for _, glob := range globs {
		if ok, _ := path.Match(glob, name); ok {
			return true
		}
	}
	return false
}

func checkGlob(glob string) error {
	if _, err := path.Match(glob, ""); err != nil || glob == "" {
		return Invalid("", glob, "a pattern of letters, '*', '?' and [ranges]")
	}
	return nil
}
