package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"berth/agent/client"
	"berth/bpf"
	"berth/specs"
	"berth/test/lab"
)

// The agent's goals, for benchmarks with as many endpoints as named.
const (
	fewEndpoints  = 100
	manyEndpoints = 10_000
	readWithin    = 5 * time.Millisecond
	scrapeWithin  = 100 * time.Millisecond
	memoryWithin  = 40e6 // bytes, of maps and process, on 8 CPUs
)

// counterBytes is the size of a slot's counters on one CPU: 6 pairs of packets and bytes.
const counterBytes = 6 * 2 * 8

func benchAgent(b *bench) (*section, error) {
	host, err := b.newManyHost()
	if err != nil {
		return nil, err
	}
	agent, err := host.StartAgent("--metrics", "")
	if err != nil {
		return nil, err
	}
	defer agent.Stop()
	if err := host.Enter(); err != nil {
		return nil, err
	}
	m, err := newMany(host)
	if err != nil {
		return nil, err
	}
	s := &section{
		how: fmt.Sprintf("The interfaces are real and share one namespace; their records are in the database, as hooks "+
			"write them. Times are medians of %d scrapes of /metrics by the agent's socket, which are read into one "+
			"buffer, with max_endpoints = %d. Map reading is the part in which all "+
			"counters and violations are read from the maps. Process is the least resident memory within %s after the "+
			"scrapes, in which the "+
			"agent returns unused memory. The scrapes begin when the agent has inspected the new interfaces. The processor "+
			"is that of the agent, as a share of a core, while the page of docs/web.md reads it each second for %s.",
			scrapes(b), manyEndpoints, releaseWait, viewerTime),
		head: []string{"endpoints", "map reading", "whole scrape", "scrape's size", "process"},
	}
	var process float64
	for i, n := range []int{0, fewEndpoints, 1000, manyEndpoints} {
		if err := m.fill(n, func(done int) { b.step(done+i*100, manyEndpoints+400) }); err != nil {
			return nil, err
		}
		if process, err = m.weigh(s, n, scrapes(b)); err != nil {
			return nil, err
		}
	}
	return s, addMemory(s, host, process)
}

// newManyHost returns a host with a network for the most endpoints.
func (b *bench) newManyHost() (*lab.Host, error) {
	host, _, err := b.newHost("agent")
	if err != nil {
		return nil, err
	}
	return host, errors.Join(host.Policy(fmt.Sprintf("[agent]\nmax_endpoints = %d\n", manyEndpoints)),
		host.Network("lan", berthNetwork(manySubnet, 0)))
}

func scrapes(b *bench) int { return max(3, b.rounds/2) }

// weigh measures the agent with n endpoints and returns the memory of its process.
func (m *many) weigh(s *section, n, repeats int) (process float64, err error) {
	maps, err := bpf.Open(m.host.BPFFS)
	if err != nil {
		return 0, err
	}
	defer maps.Close()
	status, err := client.New(m.host.State).Status(context.Background())
	if err != nil {
		return 0, err
	}
	if err := waitInspected(status.PID); err != nil {
		return 0, err
	}
	before, err := processorTime(status.PID)
	if err != nil {
		return 0, err
	}
	reads, whole, size, err := m.timeScrapes(maps, n, repeats)
	if err != nil {
		return 0, err
	}
	after, err := processorTime(status.PID)
	if err != nil {
		return 0, err
	}
	process, own, err := settled(status.PID)
	if err != nil {
		return 0, err
	}
	s.judgeProcess(n, process, ms(median(reads)), ms(median(whole)), megabytes(float64(size)))
	if n == manyEndpoints {
		s.judgeScrapes(reads, whole)
		s.addFacts(own, process, reads, whole, (after-before)/time.Duration(repeats))
		err = s.judgeViewer(m.host, status.PID)
	}
	return process, err
}

// addFacts adds the facts about the most endpoints: memory in bytes, and the times of scrapes.
func (s *section) addFacts(own, process float64, reads, whole []time.Duration, processor time.Duration) {
	s.fact("At 10,000 endpoints, %s of the process is its own memory, and %s are mapped files, nearly all of it the "+
		"program.",
		megabytes(own), megabytes(process-own))
	s.fact("The fastest scrape at 10,000 endpoints: map reading %s, whole scrape %s. A scrape takes %s of the agent's "+
		"processor time.", ms(quantile(reads, 0)), ms(quantile(whole, 0)), ms(processor))
}

// waitInspected waits until the agent has inspected the interfaces that are new to it: until it uses less
// than a twentieth of a processor for two seconds.
func waitInspected(pid int) error {
	idle := 0
	return lab.Eventually(2*time.Minute, func() error {
		before, err := processorTime(pid)
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		after, err := processorTime(pid)
		if idle++; after-before >= time.Second/20 {
			idle = 0
		}
		if err == nil && idle < 2 {
			err = fmt.Errorf("the agent is not idle: it used %s of a processor within a second", after-before)
		}
		return err
	})
}

// judgeScrapes compares the times at the most endpoints with their goals.
func (s *section) judgeScrapes(reads, whole []time.Duration) {
	s.judge("≤ 5 ms", median(reads) <= readWithin, "map reading at 10,000", ms(median(reads)))
	s.judge("≤ 100 ms", median(whole) <= scrapeWithin, "whole scrape at 10,000", "", ms(median(whole)))
}

// timeScrapes returns the times of reading the maps and of whole scrapes, and the size of the last
// answer.
func (m *many) timeScrapes(maps *bpf.Maps, n, repeats int) (reads, whole []time.Duration, size int, err error) {
	reader := newScraper(m.host.State)
	for range repeats {
		read, err := readMaps(maps, n)
		if err != nil {
			return nil, nil, 0, err
		}
		begin := time.Now()
		text, err := reader.scrape()
		if err != nil {
			return nil, nil, 0, err
		}
		whole, reads, size = append(whole, time.Since(begin)), append(reads, read), len(text)
		if got := bytes.Count(text, []byte("\nberth_network_receive_packets_total{")); got != n {
			return nil, nil, 0, fmt.Errorf("%d series of received packets, want %d", got, n)
		}
	}
	return reads, whole, size, nil
}

// readMaps reads the map elements that a scrape of n endpoints needs.
func readMaps(maps *bpf.Maps, n int) (time.Duration, error) {
	var slots, packets uint64
	begin := time.Now()
	err := maps.EachCounters(uint32(n+1), func(_ uint32, c *specs.Counters) {
		slots++
		packets += c.Receive.External.Unicast.Packets
	})
	if err == nil {
		err = maps.EachViolation(func(uint32, specs.Kind, specs.Broken) {})
	}
	took := time.Since(begin)
	if err == nil && slots != uint64(n+1) {
		err = fmt.Errorf("read %d slots, want %d", slots, n+1)
	}
	return took, err
}

// A scraper gets /metrics from the agent's socket. It reads each answer into the same buffer, as
// Prometheus does: the time to allocate and grow a new one would count as the scrape's.
type scraper struct {
	client http.Client
	text   bytes.Buffer
}

func newScraper(state string) *scraper {
	return &scraper{client: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(state, "berthd.sock"))
		},
	}}}
}

// scrape returns the text of one scrape, which is valid until the next.
func (s *scraper) scrape() ([]byte, error) {
	response, err := s.client.Get("http://berthd/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	s.text.Reset()
	_, err = s.text.ReadFrom(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("scrape: %s: %s", response.Status, s.text.Bytes())
	}
	return s.text.Bytes(), err
}

// addMemory adds the memory of the maps: as the kernel reports it for its CPUs, and
// computed for 8 and 64 CPUs, because only the counters are per CPU.
func addMemory(s *section, host *lab.Host, process float64) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	maps, largest, err := mapMemory(host)
	if err != nil {
		return err
	}
	s.fact("The pinned maps take %s for max_endpoints = %d on the %d CPUs of this machine, independent of the number "+
		"of endpoints in use; the largest: %s.",
		megabytes(maps), manyEndpoints, cpus, largest)
	for _, n := range []int{8, 64} {
		on := maps + float64((n-cpus)*counterBytes*(manyEndpoints+1))
		what := fmt.Sprintf("maps and process, computed for %d CPUs", n)
		cells := []string{what, "", "", "maps " + megabytes(on), megabytes(on + process)}
		if n == 8 {
			s.judge("≤ 40 MB", on+process <= memoryWithin, cells...)
		} else {
			s.addRow(cells...)
		}
	}
	s.fact("Each further CPU adds %s, %d bytes for each endpoint.",
		megabytes(counterBytes*(manyEndpoints+1)), counterBytes)
	return nil
}

// mapMemory returns the memory of the pinned maps as the kernel reports it, in bytes,
// and the names of the three largest.
func mapMemory(host *lab.Host) (sum float64, largest string, err error) {
	paths, err := filepath.Glob(filepath.Join(host.BPFFS, fmt.Sprintf("v%d", bpf.Version), "*"))
	if err != nil {
		return 0, "", err
	}
	type one struct {
		name  string
		bytes uint64
	}
	var all []one
	for _, path := range paths {
		m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			continue // a program, or the directory of the links
		}
		info, err := m.Info()
		_ = m.Close()
		if err != nil {
			return 0, "", err
		}
		bytes, ok := info.Memlock()
		if !ok {
			return 0, "", fmt.Errorf("the kernel does not report the memory of map %q", path)
		}
		all = append(all, one{filepath.Base(path), bytes})
		sum += float64(bytes)
	}
	slices.SortFunc(all, func(a, b one) int { return int(b.bytes) - int(a.bytes) })
	var names []string
	for _, m := range all[:min(3, len(all))] {
		names = append(names, fmt.Sprintf("%s %s", m.name, megabytes(float64(m.bytes))))
	}
	return sum, strings.Join(names, ", "), nil
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }
