package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	debian "berth/test/tree"
)

// download is a script that downloads a kernel's package, and the packages into which
// Debian splits it since 7.0.
const download = `apt-get -q update
set -- %s
for part in linux-base-%[2]s linux-binary-%[2]s linux-modules-%[2]s; do
	if apt-cache show $part >/dev/null 2>&1; then set -- "$@" $part; fi
done
apt-get -q -o APT::Sandbox::User= download "$@"
`

// fromSuite returns the newest kernel of a Debian suite, of one series unless series
// is empty. It asks the apt of a tree of that suite, because the machine's apt need
// not have it.
func (k kernels) fromSuite(ctx context.Context, series, suite string) (*kernel, error) {
	t, err := debian.Build(ctx, suite)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	tmp, err := os.MkdirTemp(k.dir, "new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	log, err := os.Create(filepath.Join(tmp, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	apt := func(script string) error { return runLogged(ctx, t, tmp, log, script) }
	const list = "apt-get -q update && apt-cache pkgnames linux-image- >names"
	if err := apt(list); err != nil {
		return nil, fmt.Errorf("list the kernels of %q: %w", suite, err)
	}
	names, err := os.ReadFile(filepath.Join(tmp, "names"))
	if err != nil {
		return nil, err
	}
	name := newest(series, strings.Fields(string(names)))
	if name == "" {
		return nil, fmt.Errorf("%q offers no package linux-image-%s*-cloud-amd64", suite, series)
	}
	if _, err := os.Stat(filepath.Join(k.dir, name)); err != nil {
		if err := apt(fmt.Sprintf(download, name, strings.TrimPrefix(name, "linux-image-"))); err != nil {
			return nil, fmt.Errorf("download %s: %w", name, err)
		}
		if err := k.unpack(ctx, tmp, name); err != nil {
			return nil, err
		}
	}
	return k.open(series, name)
}

// runLogged runs a script in a tree, in a directory of this machine, with its output in log. The
// error quotes the output.
func runLogged(ctx context.Context, t *debian.Tree, dir string, log *os.File, script string) error {
	s := t.In()
	s.Binds, s.Dir, s.Output = []debian.Bind{{Source: dir, Target: "/kernel"}}, "/kernel", log
	status, err := s.Run(ctx, "sh", "-ec", script)
	if err == nil && status != 0 {
		text, _ := os.ReadFile(log.Name()) // if it cannot be read, the error quotes less
		err = fmt.Errorf("exit status %d: %s", status, text)
	}
	return err
}
