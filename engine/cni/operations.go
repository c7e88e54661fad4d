package cni

import (
	"context"
	"errors"
	"slices"

	"berth/engine/door"
	"berth/hook"
	"berth/internal/state"
	"berth/specs"
)

// add gives the container its interface.
func (p *Plugin) add(ctx context.Context, c *call) (any, error) {
	if c.invalid != nil {
		return nil, c.invalid
	}
	if err := specs.CheckInterfaceName(c.ifname); err != nil {
		return nil, coded(codeEnvironment, specs.At(envInterface, err))
	}
	previous, err := c.previousResult()
	if err != nil {
		return nil, err
	}
	all, err := p.newHook().Attach(ctx, c.sandbox(), []specs.Selection{c.selection()})
	if err != nil {
		return nil, door.AtNetwork("network", err)
	}
	return resultOf(c, all[0], previous)
}

// del takes the interface back. It needs neither the namespace nor a valid configuration,
// and succeeds if there is nothing.
func (p *Plugin) del(ctx context.Context, c *call) (any, error) {
	door := c.door()
	_, err := p.newHook().Detach(ctx, c.id, hook.Which{Interface: c.ifname, Door: &door})
	return nil, err
}

// gc takes back the attachments that the runtime does not list.
func (p *Plugin) gc(ctx context.Context, c *call) (any, error) {
	if c.Network == "" {
		return nil, coded(codeConfiguration, errors.New("network is missing; without it no attachments are chosen"))
	}
	if c.Valid == nil {
		return nil, coded(codeConfiguration, errors.New("cni.dev/valid-attachments is missing; the runtime lists the "+
			"attachments there that it still uses"))
	}
	valid := make(map[specs.CNIAttachment]bool)
	for _, v := range c.Valid {
		valid[specs.CNIAttachment{ContainerID: recordedID(v.ContainerID), Interface: v.Interface}] = true
	}
	done, err := p.newHook().Collect(ctx, c.door(), c.Network, func(a *state.Attachment) bool {
		return slices.ContainsFunc(a.Containers, func(id string) bool {
			return valid[specs.CNIAttachment{ContainerID: id, Interface: a.Interface}]
		})
	})
	for _, a := range done {
		p.Log.Info("released, because the runtime no longer uses it",
			"container", a.Containers, "interface", a.Interface, "network", a.Network)
	}
	return nil, err
}

// status reports whether an ADD could succeed.
func (p *Plugin) status(ctx context.Context, c *call) (any, error) {
	if c.invalid != nil {
		return nil, coded(codeNotReady, c.invalid)
	}
	switch err := p.newHook().Ready(ctx, c.Network); {
	case errors.Is(err, hook.ErrParent):
		return nil, coded(codeLimited, err)
	case err != nil:
		return nil, coded(codeNotReady, err)
	}
	return nil, nil
}
