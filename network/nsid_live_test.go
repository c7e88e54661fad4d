package network

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

func TestLinkIsSeenAndDeletedFromTheHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := s.macvlan("net1", mac(1))
	l.Alias, l.AltName = "berth:mine", "berth-of-this-test"
	made := s.createUp(t, s.n, l)
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.h.AssignNSID(s.n); err != nil || again != id {
		t.Errorf("assigned again: %d, %v; want %d", again, err, id)
	}
	got, err := s.h.LinkIn(id, "net1")
	if err != nil || got.Index != made.Index || got.Alias != l.Alias || got.MAC != l.MAC || !got.Up {
		t.Errorf("seen from the host: %+v, %v", got, err)
	}
	_, err = s.h.LinkIn(id, "net2")
	wantIs(t, err, ErrNoLink)
	if renamed, err := s.h.LinkIn(id, l.AltName); err != nil || renamed.Index != made.Index {
		t.Errorf("seen by its alternative name: %+v, %v", renamed, err)
	}
	if err := s.h.DeleteIn(id, l.AltName); err != nil {
		t.Error(err)
	}
	wantIs(t, s.h.DeleteIn(id, l.AltName), ErrNoLink)
	wantLinks(t, newInsideHandle(t, s.n), "lo")
}

// The kernel reuses the ID of an ended namespace for another one: the alias and
// the MAC of the link distinguish them.
func TestNSIDIsReused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old, n := newContainer(t)
	l := s.macvlan("net1", mac(1))
	l.Alias, l.AltName = "berth:old", "berth-old-of-this-test"
	s.createUp(t, n, l)
	id, err := s.h.AssignNSID(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.Close(), old.Close()); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the namespace is dead", func() bool {
		_, err := s.h.LinkIn(id, "net1")
		return errors.Is(err, ErrNoNamespace)
	})
	wantIs(t, s.h.DeleteAtIn(id, 2), ErrNoNamespace)
	wantErrno(t, s.h.DeleteAtIn(id, 2), unix.EINVAL)
	wantIs(t, s.h.DeleteIn(id, l.AltName), ErrNoNamespace)

	l.Alias, l.MAC = "berth:new", mac(2)
	s.createUp(t, s.n, l)
	testnet.Eventually(t, "the id is given again", func() bool {
		_, another := newContainer(t)
		got, err := s.h.AssignNSID(another)
		return err == nil && got == id
	})
}

func TestOpenPID(t *testing.T) {
	t.Parallel()
	ns, byPath := newContainer(t)
	p := testnet.Process(t, ns)
	byPID, err := OpenPID(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer byPID.Close()
	if same, err := byPID.Same(byPath); err != nil || !same {
		t.Errorf("by process id and by path: same %v, %v", same, err)
	}
	here, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if same, err := byPID.Same(here); err != nil || same {
		t.Errorf("the container's and our own: same %v, %v", same, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the process has ended", func() bool {
		n, err := OpenPID(p.Pid)
		if err == nil {
			_ = n.Close()
		}
		return errors.Is(err, ErrNoNamespace)
	})
	_, err = OpenPID(1 << 30)
	if err == nil {
		t.Error("opened the namespace of a process that cannot be")
	}
}

func TestOpenPathRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	for _, path := range []string{"/proc/self/ns/mnt", "/dev/null"} {
		if n, err := OpenPath(path); err == nil {
			_ = n.Close()
			t.Errorf("opened %s", path)
		}
	}
	_, err := OpenPath("/nonexistent/netns")
	wantIs(t, err, os.ErrNotExist)
}

func TestCookieIdentifiesNamespace(t *testing.T) {
	t.Parallel()
	ns, n := newContainer(t)
	_, other := newContainer(t)
	var want uint64
	var err error
	testnet.In(t, ns, func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			want, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
			_ = unix.Close(fd)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.Cookie()
	if err != nil || got != want || got == 0 {
		t.Errorf("cookie %d, %v; want %d", got, err, want)
	}
	if another, err := other.Cookie(); err != nil || another == got {
		t.Errorf("cookie of another namespace %d, %v", another, err)
	}
}

func TestDoIsInsideAndTheCallerIsNot(t *testing.T) {
	t.Parallel()
	_, n := newContainer(t)
	here, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	sentinel := errors.New("from inside")
	for range 50 {
		err := n.Do(func() error {
			now, err := Current()
			if err != nil {
				return err
			}
			defer now.Close()
			if same, err := now.Same(n); err != nil || !same {
				t.Errorf("inside: same %v, %v", same, err)
			}
			return sentinel
		})
		wantIs(t, err, sentinel)
		now, err := Current()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := now.Same(here); err != nil || !same {
			t.Errorf("outside: same %v, %v", same, err)
		}
		_ = now.Close()
	}
}

func TestDoSurvivesAFunctionThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	_, n := newContainer(t)
	for range 2 {
		wantIs(t, n.Do(func() error { runtime.Goexit(); return nil }), errEnded)
	}
}

// TestNoThreadStays checks that after Do, however it ended, no thread of this
// process remains in the namespace.
func TestNoThreadStays(t *testing.T) {
	t.Parallel()
	_, n := newContainer(t)
	inside := ""
	find := func() (err error) {
		inside, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	}
	if err := n.Do(find); err != nil {
		t.Fatal(err)
	}
	if inTasks(t, inside) {
		t.Error("a thread stayed in the namespace")
	}
	wantIs(t, n.Do(func() error { runtime.Goexit(); return nil }), errEnded)
	if inTasks(t, inside) {
		t.Error("the thread of a goroutine that ended stayed in the namespace")
	}
}

// inTasks reports whether a thread of this process is in a network namespace.
func inTasks(t *testing.T, namespace string) bool {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("tasks %q, %v", tasks, err)
	}
	return slices.ContainsFunc(tasks, func(task string) bool {
		name, err := os.Readlink(task)
		return err == nil && name == namespace
	})
}
