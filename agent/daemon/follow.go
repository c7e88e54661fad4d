package daemon

import (
	"fmt"
	"reflect"
	"strings"

	"berth/internal/config"
	"berth/specs"
)

// followConfig reads berth.toml again. Only keep_ended is followed; the other keys take
// effect at the start.
func (a *Agent) followConfig() error {
	c, err := config.Load(a.o.Dirs.Config)
	if err != nil {
		return err
	}
	a.keepEnded.Store(int64(c.Agent.KeepEnded))
	c.Agent.KeepEnded = a.config.KeepEnded
	if changed := changedKeys(a.config, c.Agent); len(changed) > 0 {
		return fmt.Errorf("berth.toml: %s under [agent] changed; restart berthd to apply it", strings.Join(changed, ", "))
	}
	if changed := changedKeys(a.cluster, c.Cluster); len(changed) > 0 {
		return fmt.Errorf("berth.toml: %s under [cluster] changed; restart berthd to apply it", strings.Join(changed, ", "))
	}
	return nil
}

// changedKeys returns the keys of berth.toml whose values differ.
func changedKeys[Table specs.Agent | specs.ClusterConfig](before, now Table) (keys []string) {
	b, n := reflect.ValueOf(before), reflect.ValueOf(now)
	for i, field := range reflect.VisibleFields(b.Type()) {
		if !reflect.DeepEqual(b.Field(i).Interface(), n.Field(i).Interface()) {
			keys = append(keys, field.Tag.Get("toml"))
		}
	}
	return keys
}
