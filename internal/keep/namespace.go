package keep

import (
	"errors"
	"fmt"
	"path/filepath"

	"berth/network"
)

// namespace opens the namespace with a cookie, through the process that was in it last
// time, or any other.
func (k *Keeper) namespace(cookie uint64) (*network.Namespace, error) {
	k.mu.Lock()
	pid := k.pids[cookie]
	k.mu.Unlock()
	if pid != 0 {
		if ns, err := network.OpenPID(pid); err == nil {
			if got, err := ns.Cookie(); err == nil && got == cookie {
				return ns, nil
			}
			_ = ns.Close() // another one
		}
	}
	var found *network.Namespace
	err := network.EachNamespace(func(pid int, ns *network.Namespace) (bool, error) {
		got, err := ns.Cookie()
		if err != nil || got != cookie {
			return false, errors.Join(err, ns.Close())
		}
		k.mu.Lock()
		k.pids[cookie] = pid
		k.mu.Unlock()
		found = ns
		return true, nil
	})
	if found != nil || err != nil {
		return found, err
	}
	return named(cookie)
}

// places are the patterns of files by which engines hold namespaces: CNI and podman,
// docker. In a pod without the host's processes they are all that a keeper sees.
var places = []string{"/run/netns/*", "/run/docker/netns/*"}

// named opens the namespace with a cookie through a file that holds it.
func named(cookie uint64) (*network.Namespace, error) {
	for _, place := range places {
		paths, _ := filepath.Glob(place) // the patterns are well formed
		for _, path := range paths {
			ns, err := network.OpenPath(path)
			if err != nil {
				continue // it ends, or is no namespace
			}
			if got, err := ns.Cookie(); err == nil && got == cookie {
				return ns, nil
			}
			_ = ns.Close() // another one
		}
	}
	return nil, fmt.Errorf("network namespace %016x: %w: no process is in it", cookie, network.ErrNoNamespace)
}
