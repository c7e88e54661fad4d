package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is the output of `berth version --json`.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the sources, if the build has it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "show the version of berth", Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return showVersion(env, asJSON) },
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func showVersion(env *Env, asJSON bool) error {
	b := build{Version: env.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
	}
	if asJSON {
		return writeJSON(env.Out, []build{b})
	}
	_, err := fmt.Fprintf(env.Out, "berth %s (%s, %s)\n", b.Version, b.Go, b.Platform)
	return err
}

func jsonFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "json", false, "print a JSON array")
}
