package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"berth/check"
	"berth/engine/install"
	"berth/specs"
)

// crictl starts pods by the interface that Kubernetes uses.
const crictl = "crictl"

// sockets are the paths at which the runtimes of pods listen, by the names that they have there.
var sockets = map[string]string{
	"containerd": "unix:///run/containerd/containerd.sock",
	"cri-o":      "unix:///run/crio/crio.sock",
}

// handler is the runtime handler that berth install adds.
const handler = "berth"

// tryPods starts the sandbox of a pod, then that of a pod that requests a network that does not
// exist, and reports whether berth refuses it. runtime is the wanted name of the runtime, or "" for any.
// Without crictl, or if no such runtime answers, it returns a line only if one is expected.
func (d *Doctor) tryPods(ctx context.Context, subject, runtime string, expected bool) []check.Line {
	ctx, cancel := context.WithTimeout(ctx, 3*tryTimeout)
	defer cancel()
	t := d.newTrial()
	p := &podTrial{trial: t, subject: subject}
	if err := p.findRuntime(ctx, runtime); err != nil {
		if !expected {
			return nil
		}
		return []check.Line{p.line(check.Warn, "start a pod with an annotation of berth, then run `berth ps`", err.Error())}
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "berth-doctor-"); err != nil {
		return []check.Line{p.line(check.Fail, "make room in the directory for temporary files", "not tried: "+err.Error())}
	}
	l := p.tryAnnotation(ctx)
	return []check.Line{errorLine(l, errors.Join(p.removePods(ctx), os.RemoveAll(p.dir)))}
}

// podTrial is a trial with pods.
type podTrial struct {
	*trial
	subject string
	flags   []string // of crictl
	dir     string   // of the pods' files
}

func (p *podTrial) line(r check.Result, remedy, message string) check.Line {
	return newLine(p.subject, "pods", r, remedy, "%s", message)
}

// findRuntime finds the flags by which crictl reaches a runtime: none, if that is its default.
func (p *podTrial) findRuntime(ctx context.Context, runtime string) error {
	if p.findProgram(crictl) == "" {
		return errors.New("not tried: crictl, which starts pods without Kubernetes, is not on PATH")
	}
	endpoints := [][]string{nil}
	if at := sockets[runtime]; at != "" {
		endpoints = append(endpoints, []string{"--runtime-endpoint", at})
	}
	for _, flags := range endpoints {
		p.flags = append(flags, "--timeout", tryTimeout.String())
		out, err := p.runCrictl(ctx, "version")
		if err == nil && strings.Contains(out.stdout, runtime) {
			return nil
		}
	}
	return errors.New("not tried: the runtime does not answer crictl")
}

func (p *podTrial) runCrictl(ctx context.Context, args ...string) (output, error) {
	return p.Run(ctx, nil, p.engineProgram(crictl), append(p.flags, args...)...)
}

// tryAnnotation tries the default handler, and then berth's, which pods have by a RuntimeClass. A
// containerd that keeps refused sandboxes starts the sandbox: berth-nri refuses its container.
func (p *podTrial) tryAnnotation(ctx context.Context) check.Line {
	if out, err := p.startPod(ctx, nil, ""); err != nil {
		return p.line(check.Fail, "repair the runtime first; berth is not the cause",
			"it cannot start even a pod without berth: "+lastLines(out, err))
	}
	annotations := map[string]string{specs.KeyNetworks: p.id}
	out, err := p.startPod(ctx, annotations, "")
	switch {
	case p.refuses(out.stderr):
		return p.line(check.Pass, "", "pods' annotations arrive, and the runtime shows berth's errors")
	case err != nil:
		return p.line(check.Fail, "`berth check`", "a plain pod starts, but one with an annotation of berth fails before "+
			"berth runs: "+lastLines(out, err))
	case p.refuses(p.createContainer(ctx, strings.TrimSpace(out.stdout)).stderr):
		return p.line(check.Pass, "",
			"pods' annotations arrive, and the runtime shows berth's errors for the pod's container")
	}
	if out, _ := p.startPod(ctx, annotations, handler); p.refuses(out.stderr) {
		return p.line(check.Pass, "", "pods' annotations arrive with the runtime handler berth, which a RuntimeClass names")
	}
	remedy := "for pods, `berth install --engine nri`"
	if _, installed := p.checkInstalled(install.NRI, install.NRI); installed {
		remedy = "start berth-nri again: the runtime starts its plugins when it is restarted"
	}
	return p.line(check.Warn, remedy,
		"the sandbox of a pod starts without berth; the annotations of its containers were not tried")
}

// startPod starts the sandbox of a pod with a handler, or the default one if it is "".
func (p *podTrial) startPod(ctx context.Context, annotations map[string]string, handler string) (output, error) {
	if err := p.removePods(ctx); err != nil {
		return output{}, err
	}
	pod := map[string]any{
		"metadata":    map[string]any{"name": p.id, "namespace": "default", "uid": p.id},
		"annotations": annotations, "linux": map[string]any{},
	}
	path, err := p.writeFile(podFile, pod)
	if err != nil {
		return output{}, err
	}
	args := []string{"runp"}
	if handler != "" {
		args = append(args, "--runtime", handler)
	}
	return p.runCrictl(ctx, append(args, path)...)
}

// podFile is the name of the file of a pod.
const podFile = "pod.json"

// writeFile writes a file for crictl.
func (p *podTrial) writeFile(name string, value any) (path string, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	path = filepath.Join(p.dir, name)
	return path, os.WriteFile(path, text, 0o600)
}

// createContainer creates a container in the pod that startPod has started last, from the image of its
// sandbox, which needs no pull. It never starts. The output is empty if the runtime does not name the
// image.
func (p *podTrial) createContainer(ctx context.Context, sandbox string) output {
	out, err := p.runCrictl(ctx, "inspectp", "--output", "go-template", "--template", "{{.info.image}}", sandbox)
	image := strings.TrimSpace(out.stdout)
	if err != nil || image == "" || image == "<no value>" {
		return output{}
	}
	path, err := p.writeFile("container.json", map[string]any{
		"metadata": map[string]any{"name": p.id}, "image": map[string]any{"image": image}, "linux": map[string]any{},
	})
	if err != nil {
		return output{}
	}
	out, _ = p.runCrictl(ctx, "create", sandbox, path, filepath.Join(p.dir, podFile)) // the error is in its output
	return out
}

// removePods removes the trial's pods. A runtime may keep a pod that it could not start.
func (p *podTrial) removePods(ctx context.Context) error {
	out, err := p.runCrictl(ctx, "pods", "--quiet", "--name", p.id)
	for _, id := range strings.Fields(out.stdout) {
		_, rmErr := p.runCrictl(ctx, "rmp", "--force", id)
		err = errors.Join(err, rmErr)
	}
	return err
}
