package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// overflow changes interfaces while the agent is stopped, until its socket has lost notifications,
// and waits until the agent has the state that they have.
func (f *foreigners) overflow() error {
	const lost = 4000
	var batch strings.Builder
	for i := range lost {
		fmt.Fprintf(&batch, "link set dev eth1 alias changed%d\n", i)
	}
	for i := range endedNamespaces {
		fmt.Fprintf(&batch, "netns delete %s\n", foreignNamespace(1+i))
	}
	if err := errors.Join(f.agent.Freeze(), runBatch(batch.String()), f.agent.Thaw()); err != nil {
		return err
	}
	begin := time.Now()
	if err := f.waitCounted(observedEndpoints - (1+endedNamespaces)*perNamespace); err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	f.s.fact("After the overflow the agent has the new state of all interfaces %.2f s after it goes on.", took)
	return f.hasNoProblem()
}

// rested adds the memory of the agent just after the overflow, and an idle row.
func (f *foreigners) rested() error {
	memory, err := f.memory()
	if err != nil {
		return err
	}
	f.s.addRow("just after the overflow", "", memory)
	return f.idleRow(fmt.Sprintf("idle, %d interfaces left", observedEndpoints-(1+endedNamespaces)*perNamespace))
}
