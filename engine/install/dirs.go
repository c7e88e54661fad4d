package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// collectDirs returns the directories that an installation creates, each after its parent. One that
// another installation has created, and that this one uses, is also this one's: the last to be
// uninstalled removes it.
func collectDirs(files []*File, records []*record) (dirs []string) {
	created := func(dir string) bool {
		return slices.ContainsFunc(records, func(r *record) bool { return slices.Contains(r.Dirs, dir) })
	}
	for _, f := range files {
		if !f.ours || f.After == nil {
			continue
		}
		for dir := filepath.Dir(f.Path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			_, err := os.Lstat(dir)
			if (errors.Is(err, fs.ErrNotExist) || created(dir)) && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}

// removeDirs removes directories that are empty.
func removeDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // one with files stays
	}
}
