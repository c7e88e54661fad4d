package main

import (
	"context"
	"fmt"
	"time"

	"berth/agent/client"
	"berth/test/lab"
)

// The agent's share of a core is measured for viewerTime without a page and as long with one that
// reads it: as long as from one reconciliation of everything to the next.
const (
	viewerTime      = 30 * time.Second
	viewerProcessor = 0.10
	networksEvery   = 5 // seconds
)

// viewer reads an agent as berth-web does for all pages together: the status and the changes of the
// endpoints each second, and now and then the networks.
type viewer struct {
	agent    *client.Client
	follower *client.Follower
}

func newViewer(host *lab.Host) *viewer {
	agent := client.New(host.State)
	return &viewer{agent, agent.Follower()}
}

func (v *viewer) readAgent(second int) error {
	if _, err := v.agent.RecentStatus(context.Background()); err != nil {
		return err
	}
	if second%networksEvery == 0 {
		if _, err := v.agent.Networks(context.Background()); err != nil {
			return err
		}
	}
	_, err := v.follower.Endpoints(context.Background())
	return err
}

// judgeViewer adds the agent's share of a core that a viewer of the page takes, once the names of
// new interfaces are no longer searched.
func (s *section) judgeViewer(host *lab.Host, pid int) error {
	time.Sleep(namesSettled)
	idle, err := shareOf(pid, func(int) error { return nil })
	if err != nil {
		return err
	}
	v := newViewer(host)
	if err := v.readAgent(0); err != nil { // all endpoints, once
		return err
	}
	watched, err := shareOf(pid, v.readAgent)
	if err != nil {
		return err
	}
	s.judge(fmt.Sprintf("≤ %.0f %%", viewerProcessor*100), watched-idle <= viewerProcessor,
		"processor for the page's viewers, at 10,000", fmt.Sprintf("%.2f %%", (watched-idle)*100))
	s.fact("At 10,000 endpoints the agent used %.2f %% of a core without a viewer, and %.2f %% with one.", idle*100,
		watched*100)
	return nil
}

// shareOf returns the share of a core that a process uses in viewerTime, while each is called once a
// second.
func shareOf(pid int, each func(second int) error) (float64, error) {
	before, err := processorTime(pid)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; time.Since(begin) < viewerTime; second++ {
		<-tick.C
		if err := each(second); err != nil {
			return 0, err
		}
	}
	after, err := processorTime(pid)
	return (after - before).Seconds() / time.Since(begin).Seconds(), err
}
