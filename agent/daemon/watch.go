package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// watcher wakes the agent when files or links have changed. It says neither
// what nor how.
type watcher struct {
	files *fsnotify.Watcher
	links *os.File
	dirs  []string
}

// newWatcher watches the entries of the directories, which need not exist yet,
// and the links of the namespace that the caller is in. wake must not block;
// it is called from several goroutines until close.
func newWatcher(dirs []string, wake func()) (*watcher, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	links, err := subscribeLinks()
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	w := &watcher{files: files, links: links, dirs: dirs}
	go w.readFiles(wake)
	go w.readLinks(wake)
	return w, nil
}

// refresh watches the directories that have come into being since; of one that
// does not exist the nearest that does, so that its coming is seen. Call it
// before looking at the files, so that no change falls between.
func (w *watcher) refresh() error {
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
	for {
		select {
		case e, ok := <-w.files.Events:
			if !ok {
				return
			}
			if e.Op != fsnotify.Chmod && filepath.Base(e.Name) != lockName {
				wake()
			}
		case _, ok := <-w.files.Errors: // of the queue that overflowed: look at all
			if !ok {
				return
			}
			wake()
		}
	}
}

// subscribeLinks opens a socket that becomes readable when a link of this
// namespace changes (RTMGRP_LINK, rtnetlink(7)). What the messages say is not
// read: package network is asked for the links then.
func subscribeLinks() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch links: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("watch links: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "link events"), nil
}

func (w *watcher) readLinks(wake func()) {
	buf := make([]byte, 1<<16)
	for {
		_, err := w.links.Read(buf)
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // lost some: as good as one
			return
		}
		wake()
	}
}
