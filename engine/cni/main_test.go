package cni

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	result "github.com/containernetworking/cni/pkg/types/100"

	"berth/engine/doortest"
	"berth/hook"
	"berth/internal/state"
	"berth/internal/testnet"
)

func TestMain(m *testing.M) { testnet.MainOr(m, runPlugin) }

// runPlugin runs a plugin that ends itself after a step, with the directories of args.
func runPlugin(args []string) int {
	dirs := doortest.DirsOf(args)
	p := &Plugin{Dirs: dirs, Store: state.Open(dirs.State), Log: slog.New(slog.DiscardHandler), Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout}
	p.Step = testnet.KillStep
	return p.Run(context.Background())
}

// node is a host on which the plugin runs.
type node struct {
	*doortest.Host
	step func(string) error
}

func newNode(t *testing.T) *node {
	t.Helper()
	return &node{Host: doortest.New(t, doortest.LAN)}
}

// allowStatic lets configurations request addresses and MACs.
func (n *node) allowStatic() {
	n.Helper()
	n.Write("berth.toml", "[policy]\nstatic_ips = true\nstatic_macs = true\n")
}

// conf returns a configuration of the network "lan", with further keys.
func conf(protocol, more string) string {
	return fmt.Sprintf(`{"cniVersion": %q, "name": "cni-lan", "type": "berth-cni", "network": "lan"%s}`, protocol, more)
}

// request is a call of a runtime.
type request struct {
	command, id, netNS, ifname, args, conf string
}

func (r *request) env() map[string]string {
	return map[string]string{
		envCommand: r.command, envContainer: r.id, envNetNS: r.netNS, envInterface: r.ifname, envArgs: r.args, "CNI_PATH": "/opt/cni/bin",
	}
}

// on returns a request for the interface net0 of a container in a namespace.
func on(ns *testnet.NS, id, conf string) request {
	r := request{id: id, ifname: "net0", conf: conf}
	if ns != nil {
		r.netNS = ns.Path()
	}
	return r
}

// callPlugin runs the plugin, and returns its output and its error, or an error with code 0.
func (n *node) callPlugin(command string, r request) (out string, bad failure) {
	n.Helper()
	r.command = cmp.Or(command, r.command)
	var stdout bytes.Buffer
	env := r.env()
	p := &Plugin{
		Dirs: n.Dirs, Store: n.Store, Log: slog.New(slog.NewTextHandler(n.Output(), nil)), Step: n.step,
		Getenv: func(key string) string { return env[key] }, Stdin: strings.NewReader(r.conf), Stdout: &stdout,
	}
	ctx, cancel := context.WithTimeout(n.Context(), 6*hook.Timeout)
	defer cancel()
	if p.Run(ctx) == 0 {
		return stdout.String(), bad
	}
	if err := json.Unmarshal(stdout.Bytes(), &bad); err != nil || bad.Code == 0 || bad.Msg == "" || bad.CNIVersion == "" {
		n.Fatalf("%s: output %q, %v: want an error of CNI's", r.command, stdout.String(), err)
	}
	return "", bad
}

// must is call for a request that must succeed.
func (n *node) must(command string, r request) (out string) {
	n.Helper()
	out, bad := n.callPlugin(command, r)
	if bad.Code != 0 {
		n.Fatalf("%s of %s: %d %s", command, r.id, bad.Code, bad.Msg)
	}
	return out
}

// refused requires that a request fails with a code and a text, and leaves the records alone.
func (n *node) refused(command string, r request, code uint, text string) {
	n.Helper()
	before := n.Records()
	switch out, bad := n.callPlugin(command, r); {
	case bad.Code == 0:
		n.Errorf("%s of %s succeeded: %s", command, r.id, out)
	case bad.Code != code || !strings.Contains(bad.Msg, text):
		n.Errorf("%s of %s: error\n     %d %s\nwant %d %s", command, r.id, bad.Code, bad.Msg, code, text)
	}
	if after := n.Records(); after != before {
		n.Errorf("%s of %s: records are\n%s\nthey were\n%s", command, r.id, after, before)
	}
}

// added parses a result of the newest version.
func (n *node) added(out string) *result.Result {
	n.Helper()
	r := new(result.Result)
	if err := json.Unmarshal([]byte(out), r); err != nil {
		n.Fatalf("%v in %s", err, out)
	}
	return r
}

// withResult returns a configuration with a result of ADD, as a runtime's cache has it.
func withResult(conf, out string) string {
	return strings.TrimSuffix(conf, "}") + `, "prevResult": ` + out + "}"
}
