package hook

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth/internal/state"
)

// LogName is the file in STATE/state that runs log to, because some runtimes
// throw a hook's output away.
const LogName = "hook.log"

// maxLog is the size in bytes at which the log is begun anew; one older is kept.
const maxLog = 1 << 20

// OpenLog opens the log. A log that cannot be opened is no reason to fail a
// container: then nothing is logged.
func OpenLog(store *state.Store) (log *slog.Logger, closeLog func()) {
	path := filepath.Join(store.Dir(), LogName)
	if info, err := os.Lstat(path); err == nil && info.Size() > maxLog {
		_ = os.Rename(path, path+".1") // another run may have been first
	}
	f, err := store.OpenFile(LogName, unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o600)
	if err != nil {
		return slog.New(slog.NewTextHandler(io.Discard, nil)), func() {}
	}
	log = slog.New(slog.NewTextHandler(f, nil)).With("pid", os.Getpid())
	return log, func() { f.Close() }
}
