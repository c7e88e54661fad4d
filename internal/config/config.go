package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"berth/specs"
)

// Load reads DIR/berth.toml. If the file does not exist it returns the defaults;
// any other error names the file.
func Load(dir string) (specs.Config, error) {
	if err := checkDir(dir); err != nil {
		return specs.Config{}, fmt.Errorf("configuration: %w", err)
	}
	path := filepath.Join(dir, "berth.toml")
	data, err := readRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return specs.DefaultConfig(), nil
	}
	if err != nil {
		return specs.Config{}, fmt.Errorf("configuration: %w", err)
	}
	c, err := specs.DecodeConfig(data)
	if err != nil {
		return specs.Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
