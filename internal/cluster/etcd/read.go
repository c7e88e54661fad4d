package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// askAgain is the time after which a read is sent to the next member too. The client takes the members
// in turn. After a cut, it finds that one of them is silent only after keepAlive and keepAliveTimeout.
const askAgain = 500 * time.Millisecond

// readAnswer is the answer of one member to a read.
type readAnswer struct {
	r   *clientv3.TxnResponse
	err error
}

// readFirst sends a transaction that only reads. If it is not answered within askAgain, and there are other
// members, it sends it a second time and returns the first answer. The first one goes on, so that a slow
// member still answers. Changes are sent once: the second one of two would find that the first has been
// made, as if it were another node's.
func (s *Store) readFirst(ctx context.Context, c *connection, ops []clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the other one
	answers := make(chan readAnswer, 2)
	ask := func() {
		r, err := c.client.Txn(ctx).Then(ops...).Commit()
		answers <- readAnswer{r, err}
	}
	go ask()
	again := time.NewTimer(askAgain)
	defer again.Stop()
	if len(s.config.Endpoints) == 1 {
		again.Stop()
	}
	for waiting := 1; ; {
		select {
		case <-again.C:
			go ask()
			waiting++
		case a := <-answers:
			if waiting--; a.err == nil || waiting == 0 {
				return a.r, a.err
			}
		}
	}
}
