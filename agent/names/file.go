package names

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"berth/internal/regular"
)

// maxFile bounds the bytes read of an engine's file.
const maxFile = 32 << 20

// readJSON decodes a file of an engine. It reports false if the file does not exist.
func readJSON(path string, into any) (bool, error) {
	text, err := regular.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("decode %q: %w", path, err)
	}
	return true, nil
}

// files is an engine without notifications of changes. The caller has to ask again from
// time to time.
type files struct{}

// Watch implements Enricher.
func (files) Watch(ctx context.Context, _ func(string)) error {
	<-ctx.Done()
	return nil
}
