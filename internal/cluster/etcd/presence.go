package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// revokeTimeout bounds the end of a presence; its lease ends anyway.
const revokeTimeout = time.Second

// Present implements cluster.Store. It returns an error if the key could not be written or
// its lease has ended; the caller tries again.
func (s *Store) Present(ctx context.Context, key string, value []byte) error {
	seconds := max(int64(s.config.Presence/time.Second), 2)
	c, err := s.connection()
	if err != nil {
		return err
	}
	lease, err := c.client.Grant(ctx, seconds)
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	if lease.ClusterId == 0 || lease.ID == 0 {
		return ErrNotEtcd
	}
	defer c.revoke(lease.ID)
	if _, err := c.client.Put(ctx, s.prefix+key, string(value), clientv3.WithLease(lease.ID)); err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	renewals, err := c.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	for range renewals {
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("presence: its lease in etcd has ended")
}

func (c *connection) revoke(id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	// If this fails, the lease ends by itself.
	_, _ = c.client.Revoke(ctx, id)
}
