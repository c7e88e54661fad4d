package main

import (
	"context"
	"fmt"
	"time"

	"berth/agent/client"
	"berth/test/lab"
)

// The agent's share of a core while a page with viewers reads it is measured for viewerTime.
const (
	viewerTime      = 20 * time.Second
	viewerProcessor = 0.10
	networksEvery   = 5 // seconds
)

// judgeViewer adds the agent's share of a core while a page reads it, as berth-web does for all
// viewers together: the status and the changes of the endpoints each second, and now and then the
// networks.
func (s *section) judgeViewer(host *lab.Host, pid int) error {
	agent := client.New(host.State)
	follower := agent.Follower()
	read := func(second int) error {
		if _, err := agent.Status(context.Background()); err != nil {
			return err
		}
		if second%networksEvery == 0 {
			if _, err := agent.Networks(context.Background()); err != nil {
				return err
			}
		}
		_, err := follower.Endpoints(context.Background())
		return err
	}
	if err := read(0); err != nil { // all endpoints, once
		return err
	}
	before, err := processorTime(pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; time.Since(begin) < viewerTime; second++ {
		<-tick.C
		if err := read(second); err != nil {
			return err
		}
	}
	after, err := processorTime(pid)
	if err != nil {
		return err
	}
	share := (after - before).Seconds() / time.Since(begin).Seconds()
	s.judge(fmt.Sprintf("≤ %.0f %%", viewerProcessor*100), share <= viewerProcessor,
		"processor with one or more viewers of the page, at 10,000", fmt.Sprintf("%.2f %%", share*100))
	return nil
}
