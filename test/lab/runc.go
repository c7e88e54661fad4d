package lab

import "path/filepath"

// Runc is the OCI runtime by itself, with hooks in config.json.
type Runc struct {
	Host   *Host
	Rootfs string
}

func (r *Runc) run(args ...string) (string, error) {
	return r.Host.Run("runc", append([]string{"--root", filepath.Join(r.Host.Dir, "runc")}, args...)...)
}

// Start implements Engine.
func (r *Runc) Start(c Container) (string, error) {
	return c.ID, r.StartBundle(Bundle{
		ID: c.ID, Rootfs: r.Rootfs, Args: c.Args,
		Annotations: c.Annotations, Hooks: r.Host.Hooks(),
	})
}

// StartBundle starts what need not be an ordinary container.
func (r *Runc) StartBundle(b Bundle) error {
	dir := filepath.Join(r.Host.Dir, "bundles", b.ID)
	if err := b.Write(dir); err != nil {
		return err
	}
	_, err := r.run("run", "--detach", "--bundle", dir, b.ID)
	return err
}

// Exec implements Engine.
func (r *Runc) Exec(id, name string, args ...string) (string, error) {
	return r.run(append([]string{"exec", id, name}, args...)...)
}

// Stop implements Engine.
func (r *Runc) Stop(id string) error {
	_, err := r.run("delete", "--force", id)
	return err
}
