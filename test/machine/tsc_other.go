//go:build !amd64

package machine

// readTSC returns 0, because the emulated counter is not that of this machine.
func readTSC() uint64 { return 0 }
