package tree

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"berth/test/command"
)

// Clone clones the Git repository of a directory to a new directory, with the
// current files: all that Git does not ignore, committed or not.
func Clone(ctx context.Context, from, to string) error {
	scratch, err := os.MkdirTemp("", "berth-clone-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	// A check-out may belong to another user: safe.directory in git-config(1).
	// Git clears this setting on the command line before it reads the other end.
	config := filepath.Join(scratch, "gitconfig")
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"), 0o644); err != nil {
		return err
	}
	env := []string{"GIT_CONFIG_GLOBAL=" + config}
	git := exec.CommandContext(ctx, "git", "-C", from, "rev-parse", "--show-toplevel")
	git.Env = append(os.Environ(), env...)
	top, err := git.Output()
	if err != nil {
		return fmt.Errorf("find the Git repository of %q: %w", from, err)
	}
	from = strings.TrimSpace(string(top))
	if err := command.Execute(ctx, env, "git", "clone", "-q", "--no-hardlinks", from, to); err != nil {
		return err
	}
	const copyFiles = `git -C "$1" ls-files -z --deleted | (cd "$2" && xargs -0r rm -f)
		cd "$1" && git ls-files -z --cached --others --exclude-standard | sort -zu |
		while IFS= read -rd '' f; do if [[ -e $f || -L $f ]]; then printf '%s\0' "$f"; fi; done |
		tar -c --null --no-recursion -T - | tar -x --no-same-owner -C "$2"`
	return command.Execute(ctx, env, "bash", "-euo", "pipefail", "-c", copyFiles, "clone", from, to)
}
