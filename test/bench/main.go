package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"berth/test/lab"
)

func main() {
	rounds := flag.Int("rounds", 40, "how often each is measured")
	lab.Isolate()
	flag.Parse()
	if err := bench(*rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds int) error {
	host, err := prepare()
	if err != nil {
		return err
	}
	agent, err := host.StartAgent("--metrics", "")
	if err != nil {
		return err
	}
	defer agent.Stop()
	if err := host.Enter(); err != nil {
		return err
	}
	peers, err := crowd(host)
	if err != nil {
		return err
	}
	peers = append(peers, newBerth(berthAlone, host), newCNI(cniAlone, filepath.Join(host.Dir, "cni"), cniSubnet))
	times, err := measure(peers, rounds)
	if err != nil {
		return err
	}
	report(os.Stdout, times, rounds)
	return nil
}

// For documentation (RFC 5737), one for each: they share the parent.
var (
	berthSubnet = netip.MustParsePrefix("198.51.100.0/24")
	cniSubnet   = netip.MustParsePrefix("203.0.113.0/24")
)

// prepare makes the host with its parent eth1, and builds the programs.
func prepare() (*lab.Host, error) {
	bin := filepath.Join(lab.Dir, "bin")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin+"/", "./cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	if _, err := lab.Output(build); err != nil {
		return nil, err
	}
	lan, err := lab.NewSwitch("lan")
	if err != nil {
		return nil, err
	}
	host, err := lab.NewHost("host", bin)
	if err != nil {
		return nil, err
	}
	if err := lan.Plug(host.Machine, "eth1"); err != nil {
		return nil, err
	}
	return host, host.Network("lan", berthNetwork(berthSubnet))
}
