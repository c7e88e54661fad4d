package hook

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"berth/internal/state"
)

// LogName is the name of the runs' log file in STATE/state. The file is needed because some
// runtimes discard a hook's output.
const LogName = "hook.log"

// maxLog is the size in bytes at which a new log begins; one older log is kept.
const maxLog = 1 << 20

// OpenLog returns the log, which is opened by the first message. Each message has the ID of the
// process that the runtime or engine waits for. If the log cannot be opened, nothing is logged
// and the container does not fail.
func OpenLog(store *state.Store, pid int) (log *slog.Logger, closeLog func()) {
	w := &logFile{store: store}
	return slog.New(slog.NewTextHandler(w, nil)).With("pid", pid), w.close
}

// logFile is a file that the first write opens. slog writes one line at a time.
type logFile struct {
	store *state.Store
	once  sync.Once
	file  *os.File // nil before the first write and if the file cannot be opened
}

func (l *logFile) Write(line []byte) (int, error) {
	l.once.Do(l.open)
	if l.file == nil {
		return len(line), nil
	}
	return l.file.Write(line)
}

func (l *logFile) open() {
	path := filepath.Join(l.store.Dir(), LogName)
	if info, err := os.Lstat(path); err == nil && info.Size() > maxLog {
		_ = os.Rename(path, path+".1") // another run may have been first
	}
	l.file, _ = l.store.OpenFile(LogName, unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o600)
}

func (l *logFile) close() {
	if l.file != nil {
		l.file.Close()
	}
}
