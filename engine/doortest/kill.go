package doortest

import (
	"math/rand/v2"
	"os/exec"
	"syscall"
	"time"
)

// Steps are the steps of an attachment after which something exists.
var Steps = []string{
	"claim", "register", "create the interfaces", "set them up", "add addresses", "add routes", "commit",
}

// Killer runs programs and ends them by SIGKILL at random times, of which about half come
// before a program has ended by itself.
type Killer struct {
	Rand  *rand.Rand
	Kills int           // programs that were killed before their end
	took  time.Duration // by a program that was not killed, on average
}

// NewKiller returns a killer whose times depend on a seed. The test logs the seed.
func NewKiller(seed uint64) *Killer {
	return &Killer{Rand: rand.New(rand.NewPCG(seed, seed)), took: 100 * time.Millisecond}
}

// Run runs a program until its end or until it is killed. It returns whether it was killed,
// and the program's own error otherwise.
func (k *Killer) Run(cmd *exec.Cmd) (killed bool, err error) {
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return false, err
	}
	// The program is not reaped before Wait returns, so no other process has its ID.
	timer := time.AfterFunc(time.Duration(k.Rand.Int64N(int64(2*k.took))), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() &&
		status.Signal() == syscall.SIGKILL {
		k.Kills++
		return true, nil
	}
	k.took = max((3*k.took+time.Since(start))/4, time.Millisecond)
	return false, err
}
