package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"berth/agent/client"
	"berth/specs"
	"berth/test/traffic"
)

// The goals for the agent's events.
const (
	toldWithin  = 100 * time.Millisecond // from a frame to its event at the socket
	driftWithin = time.Second            // from a change of an interface to its event
)

// minutesPerHour is the number of rounds in an hour of traffic.
const minutesPerHour = 60

// perEndpoint is the number of timed frames of an endpoint, below the number that the
// agent passes on at once. The time between them exceeds the datapath's rate limit.
const (
	perEndpoint = 15
	apart       = 120 * time.Millisecond
)

func benchAlarms(b *bench) (*section, error) {
	programs, _ := traffic.Programs()
	site, err := traffic.NewSite("alarms", b.bin, programs...)
	if err != nil {
		return nil, err
	}
	defer site.Close()
	if err := site.Start(); err != nil {
		return nil, err
	}
	rounds := max(1, minutesPerHour*b.rounds/40)
	begin := time.Now()
	for i := range rounds {
		b.step(i, rounds)
		if err := site.Round(i); err != nil {
			return nil, err
		}
	}
	site.Settle()
	took := time.Since(begin)
	s := &section{
		how: "A host with a network of every mode, and the legitimate traffic of containers, the host and other machines: " +
			"TCP with segmentation " +
			"offload and UDP with fragments, in IPv4 and IPv6, between siblings and with the LAN; multicast and broadcast; " +
			"DHCP clients; router " +
			"advertisements; neighbours that are forgotten; containers that are restarted with the same MAC; addresses that " +
			"move. Beside them, on the same parents, are containers on networks of other programs, and containers on such a " +
			"network and on one of berth's, with the same traffic, restarts, and changes of MAC and address. One round " +
			"has about as much of each as one minute on a LAN. Then frames are forged and addresses changed. The delay is " +
			"from the call that " +
			"sends the frame, or the start of ip(8), until the event is read from the agent's socket.",
		head: []string{"", "measured", "most"},
	}
	if err := falseAlarms(s, site, rounds, took); err != nil {
		return nil, err
	}
	return s, latencies(s, site)
}

func falseAlarms(s *section, site *traffic.Site, rounds int, took time.Duration) error {
	ctx := context.Background()
	events, counted, err := site.Alarms(ctx)
	if err != nil {
		return err
	}
	frames, err := site.Frames(ctx)
	if err != nil {
		return err
	}
	var sum uint64
	for _, n := range counted {
		sum += n
	}
	s.addRow("rounds of traffic", fmt.Sprintf("%d in %.0f s", rounds, took.Seconds()), "")
	s.addRow("frames counted", fmt.Sprint(frames), "")
	seen, err := site.Seen(ctx)
	if err != nil {
		return err
	}
	for _, program := range slices.Sorted(maps.Keys(seen)) {
		s.addRow("of these, of containers that the agent only observes, made by "+program, fmt.Sprint(seen[program]), "")
	}
	s.judge("0", len(events) == 0, "false events", fmt.Sprint(len(events)), "")
	s.judge("0", sum == 0, "violations counted", fmt.Sprint(sum), "")
	kinds := make(map[specs.Kind]bool)
	for i := range events {
		if e := &events[i]; !kinds[e.Kind] {
			kinds[e.Kind] = true
			s.fact("The first false %s: %s", e.Kind, traffic.AlarmText(e))
		}
	}
	nameLeftOut(s, site)
	return nil
}

// nameLeftOut adds what the site does without.
func nameLeftOut(s *section, site *traffic.Site) {
	if _, missing := traffic.Programs(); len(missing) > 0 {
		s.fact("Networks of these programs are left out, because they are not installed: %s.", strings.Join(missing, ", "))
	}
	if len(site.LeftOut) > 0 {
		s.fact("Left out, because this kernel has no driver for them: %s.", strings.Join(site.LeftOut, ", "))
	}
}

// latencies times events.
func latencies(s *section, site *traffic.Site) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan readEvent, 1000)
	go watch(ctx, site.Client, seen)
	// These have assigned addresses, by which a kernel that cannot name the sender's
	// namespace identifies the forger.
	containers := []*traffic.Container{site.Container("bridge", 0), site.Container("bridge", 1),
		site.Container("slaac", 0)}
	var frames, drifts []time.Duration
	for i := range perEndpoint {
		for k, c := range containers {
			took, err := timeFrame(c, byte(i*len(containers)+k), seen)
			if err != nil {
				return err
			}
			frames = append(frames, took)
			<-time.After(apart / time.Duration(len(containers)))
		}
	}
	for i := range perEndpoint {
		took, err := timeDrift(site.Container("bridge", 1), i, seen)
		if err != nil {
			return err
		}
		drifts = append(drifts, took)
	}
	add := func(goal time.Duration, what string, all []time.Duration) {
		goalText := fmt.Sprintf("≤ %d ms", goal.Milliseconds())
		s.judge(goalText, median(all) <= goal, what, ms(median(all)), ms(slices.Max(all)))
	}
	add(toldWithin, "forged frame to event, median", frames)
	add(driftWithin, "changed address to event, median", drifts)
	s.fact("The delays are of %d forged frames of %d containers, and of %d changed addresses.", len(frames),
		len(containers), len(drifts))
	return nil
}

// readEvent is an event and the time at which it was read.
type readEvent struct {
	specs.Event
	at  time.Time
	err error
}

func watch(ctx context.Context, from *client.Client, seen chan<- readEvent) {
	for e, err := range from.Events(ctx, client.Filter{Follow: true}) {
		seen <- readEvent{e, time.Now(), err}
	}
}

// await waits until an event was read for which wanted returns true; what describes it.
func await(seen <-chan readEvent, what string, wanted func(*specs.Event) bool) (time.Time, error) {
	late := time.After(10 * time.Second)
	for {
		select {
		case s := <-seen:
			if s.err != nil {
				return time.Time{}, s.err
			}
			if wanted(&s.Event) {
				return s.at, nil
			}
		case <-late:
			return time.Time{}, fmt.Errorf("no event of %s within 10 s", what)
		}
	}
}

func timeFrame(c *traffic.Container, n byte, seen <-chan readEvent) (time.Duration, error) {
	f, err := c.Forger()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	mac := [6]byte{2, 0, 0x5e, 0, 0x99, n}
	begin := time.Now()
	if err := f.Send(mac); err != nil {
		return 0, err
	}
	at, err := await(seen, "a forged MAC", func(e *specs.Event) bool {
		return e.Kind == specs.MACSpoof && e.MAC == specs.FrameMAC(mac)
	})
	return at.Sub(begin), err
}

func timeDrift(c *traffic.Container, n int, seen <-chan readEvent) (time.Duration, error) {
	address := fmt.Sprintf("203.0.113.%d/32", n+1)
	begin := time.Now()
	if _, err := c.IP("address", "add", address, "dev", c.IfName); err != nil {
		return 0, err
	}
	at, err := await(seen, "the address "+address, func(e *specs.Event) bool {
		return e.Kind == specs.AddressDrift && strings.Contains(e.Detail, " "+address+" ")
	})
	return at.Sub(begin), err
}
