package names

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFile bounds how much of an engine's file is read, in bytes.
const maxFile = 32 << 20

// readJSON decodes a file that an engine writes. It reports false where there
// is none.
func readJSON(path string, into any) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(into); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}

// files is an engine whose changes nobody tells. Whoever asks has to ask again
// from time to time.
type files struct{}

// Watch implements Enricher.
func (files) Watch(ctx context.Context, _ func(string)) error {
	<-ctx.Done()
	return nil
}
