package hook

import (
	"context"
	"errors"

	"berth/internal/config"
	"berth/network"
	"berth/specs"
)

// ProbeBundle is ProbeAhead for the networks that the annotations in a bundle's config.json
// select, before the container is created. It refuses those that the policy refuses.
func (h *Hook) ProbeBundle(ctx context.Context, path string) error {
	var bundle struct{ Annotations map[string]string }
	readEngineFile(path, &bundle)
	selections, err := specs.ParseAnnotations(bundle.Annotations)
	if err != nil || len(selections) == 0 {
		return err
	}
	namespace, namespaceErr := kubernetesNamespace(bundle.Annotations)
	cfg, err := config.Load(h.Dirs.Config)
	if err := errors.Join(namespaceErr, err); err != nil {
		return err
	}
	if h.host, err = network.NewHandle(); err != nil {
		return err
	}
	defer h.host.Close()
	requests, err := h.resolveSelections(&Sandbox{Namespace: namespace}, selections, &cfg.Policy)
	if err != nil {
		return err
	}
	var all []ProbeRequest
	for _, r := range requests {
		if r.InPlace == nil {
			all = append(all, ProbeRequest{Network: r.Net.Name})
		}
	}
	return h.ProbeAhead(ctx, all)
}
