package check

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// The driver's socket and the directory of its networks, as berth-docker has them by default.
const (
	driverSocket   = "/run/docker/plugins/berth.sock"
	driverNetworks = "/var/lib/berth/docker"
)

// driverPatience is the time within which the driver must answer. It includes the start of
// the program by systemd.
const driverPatience = 5 * time.Second

// DockerDriver is berth's driver of docker's networks.
type DockerDriver struct {
	Networks int   // that docker created in it
	Err      error // why it does not answer; nil if it answers, or was not asked
}

// DriverOfDocker reports whether berth's driver of docker's networks answers. It returns no line if
// docker has no such network.
func (c *Checker) DriverOfDocker(ctx context.Context, subject string) []Line {
	r := &report{subject: subject}
	judgeDockerDriver(r, c.gatherDockerDriver(ctx))
	return r.lines
}

// gatherDockerDriver calls the driver if docker has networks of it.
func (c *Checker) gatherDockerDriver(ctx context.Context) (d DockerDriver) {
	files, _ := filepath.Glob(filepath.Join(c.underRoot(driverNetworks), "*.json")) // the pattern is well formed
	if d.Networks = len(files); d.Networks > 0 {
		d.Err = callDriver(ctx, c.underRoot(driverSocket))
	}
	return d
}

// callDriver makes docker's first call of a driver, which changes nothing.
func callDriver(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, driverPatience)
	defer cancel()
	var dialer net.Dialer
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://berth/Plugin.Activate", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000)) // the status alone suffices
	return fmt.Errorf("it answers %s: %s", answer.Status, text)
}

func judgeDockerDriver(r *report, d DockerDriver) {
	switch {
	case d.Networks == 0:
	case d.Err != nil:
		r.addFail("driver", "`systemctl unmask berth-docker.socket berth-docker.service`, then `systemctl enable --now "+
			"berth-docker.socket`; if it fails again, `journalctl -u berth-docker` has the reason",
			"no container starts on the %d networks of docker with the driver berth, and docker waits up to 30 s each "+
				"time: %v", d.Networks, d.Err)
	default:
		r.addPass("driver", "berth-docker answers for the %d networks of docker", d.Networks)
	}
}
