package tree

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// A proxy is the part of apt's configuration that defines how to reach an archive.
type proxy struct {
	lines  []string          // as apt-config prints them
	values map[string]string // by lower-case key
}

// carried are the prefixes of the keys that a tree's apt needs to reach an archive
// as this machine does: apt.conf(5), apt-transport-http(1).
var carried = []string{
	"acquire::http::", "acquire::https::", "acquire::check-valid-until", "acquire::check-date",
	"acquire::retries", "acquire::forceipv",
}

// machineProxy reads apt's configuration.
func machineProxy(ctx context.Context) (*proxy, error) {
	out, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return nil, fmt.Errorf("read apt's configuration: %w", err)
	}
	return parseProxy(string(out)), nil
}

func parseProxy(dump string) *proxy {
	p := &proxy{values: map[string]string{}}
	for line := range strings.Lines(dump) {
		key, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ";"), " ")
		low := strings.ToLower(key)
		value = strings.Trim(value, `"`)
		if !ok || value == "" || strings.Contains(low, "proxy-auto") {
			continue // a detector is a program of this machine; detect runs it
		}
		for _, prefix := range carried {
			if strings.HasPrefix(low, prefix) {
				p.lines = append(p.lines, strings.TrimSpace(line))
				p.values[low] = value
			}
		}
	}
	return p
}

// proxyFor returns the proxy for a host, or "" if apt's configuration has none.
func (p *proxy) proxyFor(scheme, host string) string {
	value, ok := p.values["acquire::"+scheme+"::proxy::"+host]
	if !ok {
		value = p.values["acquire::"+scheme+"::proxy"]
	}
	if strings.EqualFold(value, "DIRECT") {
		return ""
	}
	return value
}

// detect runs the program of apt's Proxy-Auto-Detect for a URI, and adds its result.
func (p *proxy) detect(ctx context.Context, uri string) error {
	scheme, _, _ := strings.Cut(uri, ":")
	out, err := exec.CommandContext(ctx, "apt-config", "shell",
		"detector", "Acquire::"+scheme+"::Proxy-Auto-Detect").Output()
	if err != nil {
		return fmt.Errorf("read apt's configuration: %w", err)
	}
	_, program, ok := strings.Cut(strings.TrimSpace(string(out)), "=")
	if program = strings.Trim(program, "'"); !ok || program == "" {
		return nil
	}
	out, err = exec.CommandContext(ctx, program, uri).Output()
	if err != nil {
		return fmt.Errorf("ask %q for a proxy: %w", program, err)
	}
	if value := strings.TrimSpace(string(out)); value != "" && value != "DIRECT" {
		p.values["acquire::"+scheme+"::proxy"] = value
		p.lines = append(p.lines, fmt.Sprintf("Acquire::%s::Proxy %q;", scheme, value))
	}
	return nil
}

// environment returns the proxy for programs that do not read apt's configuration.
func (p *proxy) environment() []string {
	var env []string
	for _, scheme := range []string{"http", "https"} {
		if value := p.values["acquire::"+scheme+"::proxy"]; value != "" && !strings.EqualFold(value, "DIRECT") {
			env = append(env, scheme+"_proxy="+value)
		}
	}
	return env
}
