package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"berth/agent/ground"
	"berth/network"

	"github.com/fsnotify/fsnotify"
)

// watcher wakes the agent when files or links have changed, without details.
type watcher struct {
	files *fsnotify.Watcher
	links *network.Listener
	dirs  []string
	pins  []string // directories of pinned objects, among dirs
}

// newWatcher watches the entries of the directories, which need not exist yet, and the
// kernel's notifications of links and addresses. It calls wake for files and for the host's
// own interfaces, and changed for every notification: from several goroutines, until close,
// so they must not block. The watcher's close closes the listener too.
func newWatcher(dirs, pins []string, links *network.Listener, wake func(),
	changed func(network.Change)) (*watcher, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create a watcher of files: %w", err), links.Close())
	}
	w := &watcher{files: files, links: links, dirs: slices.Concat(dirs, pins), pins: pins}
	go w.readFiles(wake)
	go w.readLinks(wake, changed)
	return w, nil
}

// watchDirs watches the directories created since. For a missing directory it watches the
// nearest existing one, to see it appear. Call it before reading the files, so that no
// change is missed between.
func (w *watcher) watchDirs() error {
	var errs []error
	for _, dir := range w.dirs {
		err := w.files.Add(dir)
		for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			err = w.files.Add(dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("watch %q: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

func (w *watcher) close() error { return errors.Join(w.files.Close(), w.links.Close()) }

func (w *watcher) readFiles(wake func()) {
	settled := time.AfterFunc(pinsSettle, wake)
	defer settled.Stop()
	for {
		select {
		case e, ok := <-w.files.Events:
			if !ok {
				return
			}
			if w.isPin(e.Name) {
				settled.Reset(pinsSettle)
			} else if e.Op != fsnotify.Chmod && filepath.Base(e.Name) != ground.LockName {
				wake()
			}
		case _, ok := <-w.files.Errors: // the queue overflowed: check all
			if !ok {
				return
			}
			wake()
		}
	}
}

// isPin reports whether a path is a pin, or one of the directories of pins.
func (w *watcher) isPin(path string) bool {
	return slices.Contains(w.pins, path) || slices.Contains(w.pins, filepath.Dir(path))
}

// readLinks passes notifications on until the listener is closed. After an interruption
// anything may have changed.
func (w *watcher) readLinks(wake func(), changed func(network.Change)) {
	for {
		changes, err := w.links.Next()
		if err != nil {
			return
		}
		for _, c := range changes {
			if c.NSID < 0 && !c.Filters || c.Lost {
				wake()
			}
			changed(c)
		}
	}
}
