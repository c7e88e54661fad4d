package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"berth/test/lab"
)

// serveTCP starts iperf3 at a place, and returns a function that ends it.
func serveTCP(at place) (end func(), err error) {
	cmd := exec.Command("nsenter", "--net="+at.path, "iperf3", "--server", "--bind", at.addr.String())
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	}
	err = lab.Eventually(5*time.Second, func() error {
		_, err := throughput(at, at, "--bytes", "100000")
		return err
	})
	if err != nil {
		end()
	}
	return end, err
}

// throughput returns the bits per second of one TCP stream from one place to another, as
// the receiver counts them. length is the flag of iperf3 that limits the stream.
func throughput(from, to place, length ...string) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	args := append([]string{"--net=" + from.path, "iperf3", "--json", "--interval", "0", "--client", to.addr.String()},
		length...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	out, err := cmd.Output()
	var report struct {
		Error string
		End   struct {
			SumReceived struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if jsonErr := json.Unmarshal(out, &report); jsonErr != nil {
		return 0, errors.Join(err, fmt.Errorf("iperf3 from %s to %s: %w in %q", from.addr, to.addr, jsonErr, out))
	}
	if report.Error != "" || report.End.SumReceived.BitsPerSecond == 0 {
		return 0, fmt.Errorf("iperf3 from %s to %s: %q", from.addr, to.addr, report.Error)
	}
	return report.End.SumReceived.BitsPerSecond, nil
}
