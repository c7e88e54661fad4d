package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"berth/engine/cdi"
	"berth/engine/install"
	"berth/engine/program"
	"berth/specs"
)

func newCDI(env *Env) *cobra.Command {
	var dir string
	generate := &cobra.Command{
		Use: "generate", Short: "write the networks as CDI devices, once", Args: noArguments,
		Long: "Write a CDI device for each network, as berth install --engine cdi does, but\n" +
			"only once: networks that are created later are not added.",
		Example: "  berth cdi generate\n  berth cdi generate --cdi-dir /run/cdi",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !filepath.IsAbs(dir) {
				return asUsageError(cmd, specs.Invalid("--cdi-dir", dir, "an absolute path"))
			}
			return generateDevices(env, dir)
		},
	}
	generate.Flags().StringVar(&dir, "cdi-dir", cdi.DefaultDir, "`DIR` to write to")
	return commandGroup("cdi", "networks as devices of the Container Device Interface", generate)
}

func generateDevices(env *Env, dir string) error {
	dirs, bin, err := env.absoluteDirs()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, cdi.File)
	left, err := install.WriteDevices(path, program.Beside(filepath.Join(bin, program.Hook)), dirs)
	if err != nil {
		return env.asRoot(err)
	}
	for _, name := range left {
		env.warnf("network %q gets no device, because CDI requires names that end in a letter or digit", name)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		env.warnf("%s was not written, because there is no network yet", path)
		return nil
	}
	_, err = fmt.Fprintln(env.Out, path)
	return err
}
