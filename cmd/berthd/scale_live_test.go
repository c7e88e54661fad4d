package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"

	"github.com/cilium/ebpf"
)

// addCrowd attaches n real but unused interfaces, all in one namespace.
func (l *lab) addCrowd(n int) {
	l.t.Helper()
	ns := testnet.Namespace(l.t)
	host, target := l.openNamespace(l.host), l.openNamespace(ns)
	h := openHandle(l.t, host)
	cookie, err := target.Cookie()
	mustSucceed(l.t, err)
	nsid, err := h.AssignNSID(target)
	mustSucceed(l.t, err)
	p, err := h.Parent(parent)
	mustSucceed(l.t, err)
	var all []*state.Attachment
	for i := 1; i <= n; i++ {
		a := &state.Attachment{
			Cookie: cookie, NSID: nsid, Containers: []string{fmt.Sprintf("%064x", uint64(i)*0x9e3779b97f4a7c15)},
			Annotations: map[string]string{"nerdctl/name": fmt.Sprintf("web-%d", i), "nerdctl/namespace": "default"},
			Network:     "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: parent, ParentIndex: p.Index,
			Interface: fmt.Sprintf("n%d", i), MAC: specs.MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}, MTU: 1500,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 15)},
			Phase:     specs.PhaseAttached, Created: time.Now(), Slot: uint32(i),
		}
		link, err := h.CreateLink(target, network.Link{Name: a.Interface, ParentIndex: p.Index, Driver: a.Driver, Mode: a.Mode, MAC: a.MAC, MTU: 1500, Alias: a.Alias()})
		mustSucceed(l.t, err)
		a.LinkIndex = link.Index
		all = append(all, a)
	}
	mustSucceed(l.t, l.store.Update(l.t.Context(), func(tx *state.Tx) error {
		var errs []error
		for _, a := range all {
			slot, err := tx.ClaimSlot(specs.LimitMaxEndpoints)
			a.Slot = slot
			errs = append(errs, err, tx.Put(a))
		}
		return errors.Join(errs...)
	}))
}

// BenchmarkAgent measures a berthd with 10,000 endpoints: the memory of its process and its
// maps, in MB, and the time of a scrape over HTTP. The goal is 40 MB on 8 CPUs, of which
// the counters alone are 15.
func BenchmarkAgent(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l := newLab(b)
			l.writeNetwork("lan", lanFile)
			mustSucceed(b, os.WriteFile(filepath.Join(l.config, "berth.toml"), fmt.Appendf(nil, "[agent]\nmax_endpoints = %d\n", n), 0o644))
			l.addCrowd(n)
			a := l.startAgent()
			testnet.Eventually(b, "all endpoints", func() bool { return l.agentStatus().Endpoints == n })
			least := time.Hour
			for b.Loop() {
				start := time.Now()
				text := a.scrapeMetrics()
				least = min(least, time.Since(start))
				if got := strings.Count(text, "\nberth_endpoint_info{"); got != n {
					b.Fatalf("%d endpoints in the scrape, want %d", got, n)
				}
			}
			b.ReportMetric(least.Seconds()*1e3, "least-ms")
			b.ReportMetric(a.memoryField("RssAnon:"), "anon-MB")
			b.ReportMetric(a.memoryField("RssFile:"), "file-MB")
			cpus, err := ebpf.PossibleCPU()
			mustSucceed(b, err)
			all, counters := l.mapBytes()
			b.ReportMetric(all/1e6, "maps-MB")
			b.ReportMetric((all+counters/float64(cpus)*float64(8-cpus))/1e6, "maps-MB-8-CPUs")
			b.ReportMetric((all+counters/float64(cpus)*float64(64-cpus))/1e6, "maps-MB-64-CPUs")
			a.stopAgent(syscall.SIGTERM)
		})
	}
}

// memoryField returns a line of the agent's /proc/PID/status, in MB.
func (a *agent) memoryField(field string) float64 {
	a.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	mustSucceed(a.t, err)
	_, rest, _ := strings.Cut(string(text), field)
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	mustSucceed(a.t, err)
	return kb * 1024 / 1e6
}

// mapBytes returns the kernel's figure of the pinned maps' memory in bytes, and that of the
// per-CPU maps.
func (l *lab) mapBytes() (all, perCPU float64) {
	l.t.Helper()
	mustSucceed(l.t, filepath.WalkDir(l.bpffs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		m, err := ebpf.LoadPinnedMap(path, nil)
		if err != nil {
			return nil // a program or a link
		}
		defer m.Close()
		info, err := m.Info()
		if err != nil {
			return err
		}
		bytes, _ := info.Memlock()
		if all += float64(bytes); info.Type == ebpf.PerCPUArray || info.Type == ebpf.PerCPUHash {
			perCPU += float64(bytes)
		}
		return nil
	}))
	return all, perCPU
}
