package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"berth/internal/foreign"
)

// dockerSocket returns the socket of the dockerd that runs, or "" if none is known to. It follows
// DOCKER_HOST as docker's own command does. A connection to the usual socket would start a
// dockerd that systemd has not started yet, so it needs the process's file.
func dockerSocket() string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		path, isUnix := strings.CutPrefix(host, "unix://")
		if !isUnix {
			return "" // another machine's
		}
		return path
	}
	if _, err := os.Stat("/run/docker.pid"); err != nil {
		return ""
	}
	return "/run/docker.sock"
}

// dockerNetworks returns the macvlan and ipvlan networks of docker, or none if no dockerd runs.
func dockerNetworks(ctx context.Context) ([]foreign.Network, error) {
	socket := dockerSocket()
	if socket == "" {
		return nil, nil
	}
	all, err := foreign.ReadDockerNetworks(ctx, socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	return all, err
}
