package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/test/lab"
)

// The container that runs while others are refused, and its attributes.
const (
	heldIP   = "192.0.2.50"
	heldMAC  = "02:00:5e:00:53:01"
	heldTiny = "192.0.2.200"
)

// crowdedSite returns a site with a container that holds every name and address
// that another could request.
func crowdedSite(t *testing.T) (*site, *lab.Runc) {
	t.Helper()
	s := newSite(t)
	must(t, s.Policy(openPolicy))
	must(t, s.Network("lan", lanNetwork))
	must(t, s.Network("tiny", strings.Replace(lanNetwork, "192.0.2.64/26", heldTiny+"/32", 1)))
	_, err := s.Run("ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
	must(t, err)
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	_, err = r.Start(lab.Container{ID: s.id("holder"), Args: []string{"sleep", "600"}, Annotations: map[string]string{
		"berth/networks": `[{"name":"lan","ips":["` + heldIP + `"],"mac":"` + heldMAC + `"},{"name":"tiny"}]`,
	}})
	must(t, err)
	t.Cleanup(func() { must(t, r.Stop(s.id("holder"))) })
	return s, r
}

type annotations = map[string]string

// badInputs are containers that must not start; the error must contain want.
var badInputs = map[string]struct {
	annotations annotations
	want        []string
}{
	"malformed list":        {annotations{"berth/networks": "lan,,lan"}, []string{"berth/networks", `""`, "letters"}},
	"malformed JSON":        {annotations{"berth/networks": `[{"name":"lan"`}, []string{"berth/networks", "JSON"}},
	"unknown JSON key":      {annotations{"berth/networks": `[{"name":"lan","vlan":"7"}]`}, []string{"berth/networks[0]", "vlan"}},
	"unknown annotation":    {annotations{"berth/netwroks": "lan"}, []string{`"berth/netwroks"`, "berth/networks"}},
	"both forms":            {annotations{"berth/networks": "lan", "berth/mtu": "1400"}, []string{"berth/mtu", `"1400"`, "exclude each other"}},
	"unknown network":       {annotations{"berth/networks": "lam"}, []string{"berth/networks[0]", "lam", "lan", "tiny"}},
	"unknown mode":          {annotations{"berth/parent": "eth1", "berth/mode": "brigde"}, []string{"berth/mode", `"brigde"`, "bridge"}},
	"no such parent":        {annotations{"berth/parent": "eth9"}, []string{"parent", "eth9"}},
	"parent not Ethernet":   {annotations{"berth/parent": "tun0"}, []string{"parent", `"tun0"`, "Ethernet"}},
	"parent loopback":       {annotations{"berth/parent": "lo"}, []string{"parent", `"lo"`}},
	"address not an IP":     {annotations{"berth/parent": "eth1", "berth/ip": "192.0.2.300/24"}, []string{"berth/ip", `"192.0.2.300/24"`, "an address"}},
	"address outside":       {annotations{"berth/networks": `[{"name":"lan","ips":["198.51.100.7"]}]`}, []string{"berth/networks[0]", "ips", `"198.51.100.7"`, "192.0.2.0/24"}},
	"address reserved":      {annotations{"berth/networks": `[{"name":"lan","ips":["192.0.2.255"]}]`}, []string{"ips", "192.0.2.255"}},
	"address in use":        {annotations{"berth/networks": `[{"name":"lan","ips":["` + heldIP + `"]}]`}, []string{"berth/networks[0]", heldIP, "holder"}},
	"address on the LAN":    {annotations{"berth/parent": "eth1", "berth/ip": neighborIP + "/24"}, []string{neighborIP, neighborMAC}},
	"pool exhausted":        {annotations{"berth/networks": "tiny"}, []string{"tiny", "only address", heldTiny, "holder"}},
	"second pool exhausted": {annotations{"berth/networks": "lan,tiny"}, []string{"tiny", heldTiny, "holder"}},
	"name asked for twice":  {annotations{"berth/networks": "lan@up0,lan@up0"}, []string{"berth/networks[1]", `"up0"`}},
	"name taken":            {annotations{"berth/networks": "lan@lo"}, []string{"berth/networks[0]", "interface", `"lo"`}},
	"name of 16 bytes":      {annotations{"berth/networks": "lan@abcdefghijklmnop"}, []string{"berth/networks[0]", "abcdefghijklmnop", "15 bytes"}},
	"MAC multicast":         {annotations{"berth/parent": "eth1", "berth/mac": "03:00:5e:00:53:01"}, []string{"berth/mac", "03:00:5e:00:53:01", "unicast"}},
	"MAC zero":              {annotations{"berth/parent": "eth1", "berth/mac": "00:00:00:00:00:00"}, []string{"berth/mac", "00:00:00:00:00:00", "zero"}},
	"MAC in use":            {annotations{"berth/parent": "eth1", "berth/mac": heldMAC}, []string{"mac", heldMAC, "holder"}},
	"MTU above the parent":  {annotations{"berth/parent": "eth1", "berth/mtu": "9000"}, []string{"mtu", `"9000"`, "1500"}},
	"MTU not a number":      {annotations{"berth/parent": "eth1", "berth/mtu": "big"}, []string{"berth/mtu", `"big"`}},
	"passthru beside":       {annotations{"berth/parent": "eth1", "berth/mode": "passthru"}, []string{"passthru", "eth1"}},
	"gateway of no address": {annotations{"berth/parent": "eth1", "berth/gateway": "192.0.2.1"}, []string{"berth/gateway", `"192.0.2.1"`}},
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s, r := crowdedSite(t)
	s.agent(t)
	before := s.snapshot(t)
	for name, c := range badInputs {
		t.Run(name, func(t *testing.T) {
			_, err := r.Start(lab.Container{ID: s.id("refused"), Args: []string{"sleep", "600"}, Annotations: c.annotations})
			s.expectRefused(t, err, c.want...)
			s.expectUnchanged(t, before)
		})
	}
	t.Run("host network", func(t *testing.T) {
		err := r.StartBundle(lab.Bundle{ID: s.id("refused"), Rootfs: rootfs, Args: []string{"sleep", "600"},
			Annotations: annotations{"berth/networks": "lan"}, Hooks: s.Hooks(), NetNS: lab.HostNetwork})
		s.expectRefused(t, err, "host", "network namespace")
		s.expectUnchanged(t, before)
	})
	t.Run("name taken in a namespace by path", func(t *testing.T) {
		err := r.StartBundle(lab.Bundle{ID: s.id("refused"), Rootfs: rootfs, Args: []string{"sleep", "600"},
			Annotations: annotations{"berth/networks": "lan@eth0"}, Hooks: s.Hooks(), NetNS: s.neighbor.Path()})
		s.expectRefused(t, err, "berth/networks[0]", "interface", `"eth0"`)
		s.expectUnchanged(t, before)
	})
}

func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	must(t, s.Policy("[policy]\nnetworks = [\"lan\"]\n"))
	must(t, s.Network("other", lanNetwork))
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	before := s.snapshot(t)
	for name, c := range map[string]struct {
		annotations annotations
		want        []string
	}{
		"network": {annotations{"berth/networks": "other"}, []string{"berth/networks[0]", `"other"`, "networks"}},
		"parent":  {annotations{"berth/parent": "eth1"}, []string{"parent", `"eth1"`, "parents"}},
		"address": {annotations{"berth/networks": `[{"name":"lan","ips":["192.0.2.50"]}]`}, []string{"ips", "static_ips"}},
		"MAC":     {annotations{"berth/networks": `[{"name":"lan","mac":"02:00:5e:00:53:01"}]`}, []string{"mac", "static_macs"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Start(lab.Container{ID: s.id("refused"), Args: []string{"sleep", "600"}, Annotations: c.annotations})
			s.expectRefused(t, err, append(c.want, "[policy]", "berth.toml")...)
			s.expectUnchanged(t, before)
		})
	}
}

// expectRefused checks that a start failed with an error that contains want, in the
// runtime's output and in the hook's log.
func (s *site) expectRefused(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("the container started")
	}
	log, readErr := os.ReadFile(filepath.Join(s.State, "state/hook.log"))
	must(t, readErr)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	for _, w := range want {
		// Runtimes quote the hook's error, and so does the log.
		if !strings.Contains(unquote(err.Error()), w) {
			t.Errorf("the error lacks %q: %v", w, err)
		}
		if !strings.Contains(unquote(strings.Join(lines[max(0, len(lines)-3):], "\n")), w) {
			t.Errorf("the log lacks %q: %s", w, lines[len(lines)-1])
		}
	}
}

func unquote(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

func (s *site) expectUnchanged(t *testing.T, before snapshot) {
	t.Helper()
	if d := s.snapshot(t).difference(before); d != "" {
		t.Error(d)
	}
	if out, err := s.Run("runc", "--root", filepath.Join(s.Dir, "runc"), "state", s.id("refused")); err == nil {
		t.Errorf("the runtime knows the refused container: %s", out)
	}
}

// TestBadStandardInput runs the hook itself, because no runtime writes such states.
func TestBadStandardInput(t *testing.T) {
	t.Parallel()
	s, _ := crowdedSite(t)
	before := s.snapshot(t)
	for name, c := range map[string]struct {
		stdin string
		want  []string
	}{
		"empty":     {"", []string{"standard input", `""`, "JSON"}},
		"huge":      {strings.Repeat(" ", 2<<20), []string{"standard input", "1048576"}},
		"not JSON":  {"#!/bin/sh", []string{"standard input", "#!/bin/sh", "JSON"}},
		"no id":     {`{"pid":1}`, []string{"state.id", "id"}},
		"no pid":    {`{"id":"x","status":"created","annotations":{"berth/networks":"lan"}}`, []string{"pid"}},
		"dead pid":  {`{"id":"x","pid":4194303,"status":"created","annotations":{"berth/networks":"lan"}}`, []string{"4194303"}},
		"wrong key": {`{"id":"x","pid":"self","annotations":{"berth/networks":"lan"}}`, []string{"standard input", "pid"}},
	} {
		t.Run(name, func(t *testing.T) {
			hook := s.Hook("createRuntime")
			cmd := s.Command(context.Background(), hook.Path, hook.Args[1:]...)
			cmd.Stdin = bytes.NewReader([]byte(c.stdin))
			_, err := lab.Output(cmd)
			s.expectRefused(t, err, c.want...)
			s.expectUnchanged(t, before)
		})
	}
}
