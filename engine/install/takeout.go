package install

import (
	"errors"
	"slices"
	"strings"

	"berth/engine/edit"
)

// takeOut returns a file without the changes of an engine's installation, except those that
// another engine needs. The error lists the changes that could not be removed.
func takeOut(r recordedFile, disk *Content, others []*record) (*Content, error) {
	shared := mentionsOf(others, r.Path)
	switch {
	case disk == nil:
		return nil, nil // deleted meanwhile
	case r.Format == "" && (len(shared) > 0 || r.before != nil && r.before.sum() == r.Sum):
		return disk, nil // another's too: a package's file may have a new content
	case r.Format == "" || disk.sum() == r.Sum && len(shared) == 0 && !r.Shared:
		return r.before, nil
	}
	text, left := disk.Text, error(nil)
	for _, c := range slices.Backward(r.Changes) {
		if heldBy(shared, c) {
			continue
		}
		undone, err := r.Format.Undo(text, c)
		if err != nil {
			left = errors.Join(left, err)
			continue
		}
		text = undone
	}
	if r.before == nil && len(shared) == 0 && isEmpty(r.Format, text) {
		return nil, left
	}
	base := *disk
	base.Text = text
	return &base, left
}

// mentionsOf returns the parts that other engines have in a file.
func mentionsOf(others []*record, path string) (all []recordedFile) {
	for _, r := range others {
		for _, f := range r.Files {
			if f.Path == path {
				all = append(all, f)
			}
		}
	}
	return all
}

// heldBy reports whether another engine relies on a change.
func heldBy(shared []recordedFile, c edit.Change) bool {
	return slices.ContainsFunc(shared, func(f recordedFile) bool {
		return slices.ContainsFunc(f.Changes, func(other edit.Change) bool { return slices.Equal(other.Path, c.Path) })
	})
}

// isEmpty reports whether a file has neither a value nor a comment.
func isEmpty(format edit.Format, text string) bool {
	values, err := format.Decode(text)
	return err == nil && len(values) == 0 && !strings.Contains(text, "#")
}
