package keep

import (
	"errors"

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
	return network.OpenMounted(cookie)
}
